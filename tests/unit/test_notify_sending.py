"""The senders of a worker: when one ends, that is never missed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from asyncpg import AdminShutdownError

from schemas.events.codes import Channel
from services.kernel.base.clock import SystemClock
from services.kernel.base.ending import CancelledInside, PartFailed
from services.kernel.base.settings import Settings
from services.kernel.postgres.connection import Engine
from services.notify.delivery.dispatcher import Dispatcher
from services.notify.delivery.sender import Sender
from services.notify.delivery.store import claims
from services.notify.delivery.store.claims import SenderKey

FIRST, SECOND = SenderKey(Channel.EMAIL), SenderKey(Channel.SMS)
PATIENCE_SECONDS = 10


class Store:
    """An engine that nobody asks for rows."""

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[None]:
        yield None


async def cancelled(_: Sender, _carrier: object) -> int:
    raise asyncio.CancelledError


async def broken(_: Sender, _carrier: object) -> int:
    raise LookupError


async def away(_: Sender, _carrier: object) -> int:
    raise AdminShutdownError("")


async def hangs(_: Sender, _carrier: object) -> int:
    await asyncio.Event().wait()
    return 0


@pytest.fixture
def sending(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Dispatcher]:
    """A dispatcher whose senders drain as a test says."""

    def make(**drains: Any) -> Dispatcher:
        by_channel = {Channel(name): drain for name, drain in drains.items()}

        async def busy(*_: object, **__: object) -> Iterable[SenderKey]:
            return [SenderKey(channel) for channel in by_channel]

        async def drain(self: Sender, carrier: object) -> int:
            return int(await by_channel[self.key.channel](self, carrier))

        monkeypatch.setattr(claims, "busy", busy)
        monkeypatch.setattr(Sender, "drain", drain)
        settings = Settings(smtp="127.0.0.1:1", send_seconds=0.001)
        made = Dispatcher(settings, cast("Engine", Store()), SystemClock())
        monkeypatch.setattr(made._carriers, "direct", lambda _: None)
        return made

    return make


@pytest.mark.parametrize(("drain", "reason"), [(cancelled, CancelledInside), (broken, PartFailed)])
async def test_a_sender_that_is_cancelled_or_fails_crashes_the_worker(
    sending: Callable[..., Dispatcher], drain: object, reason: type[Exception]
) -> None:
    """Senders that had ended unseen would leave every message where it is."""
    part = sending(email=drain)
    async with part, asyncio.timeout(PATIENCE_SECONDS):
        await part.wait_until_stopped()
        assert isinstance(part.crash_reason, reason)


async def test_what_is_broken_counts_beside_what_passes(sending: Callable[..., Dispatcher]) -> None:
    """Whichever of two senders ends first."""
    with pytest.raises(LookupError):
        await sending(email=away, sms=broken).send_due()


async def test_a_sender_that_lost_its_store_begins_again(sending: Callable[..., Dispatcher]) -> None:
    """The trouble passes by itself."""
    tried = asyncio.Event()
    attempts = iter([away, hangs])

    async def drain(sender: Sender, carrier: object) -> int:
        attempt = next(attempts)
        if attempt is hangs:
            tried.set()
        return await attempt(sender, carrier)

    part = sending(email=drain)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await part.start()
        await tried.wait()
        assert part.crash_reason is None
        for task in part._running.values():
            task.cancel()  # or the stop would give it its time
        await part.stop()


async def test_draining_once_says_that_a_sender_was_cancelled(
    sending: Callable[..., Dispatcher],
) -> None:
    """And not that it was cancelled itself."""
    with pytest.raises(CancelledInside):
        await sending(email=cancelled).send_due()
