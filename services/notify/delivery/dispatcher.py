"""The senders of a worker: one task for each sender that has work, so that none waits for another."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta

import structlog
from mode import Service as Part

from services.kernel.base.clock import Clock, SystemClock
from services.kernel.base.ending import CancelledInside, kind_of, place_of
from services.kernel.base.settings import Settings
from services.kernel.postgres.connection import Engine
from services.kernel.postgres.database import is_transient
from services.kernel.processing.loops import Waiting, keep_doing, worst
from services.notify import metrics
from services.notify.delivery.channels.carrier import Carrier
from services.notify.delivery.channels.configured import DIRECT, SUBSCRIBED, Carriers, channels_of
from services.notify.delivery.sender import Sender
from services.notify.delivery.store import claims
from services.notify.delivery.store import subscriptions as subscription_store
from services.notify.delivery.store.claims import SenderKey

log = structlog.get_logger()

PATIENCE_SECONDS = 25.0
"""How long a stopping worker waits for messages in flight; after that, their lease brings them back."""


class Dispatcher(Part):
    """Checks every `send_seconds` which senders have messages, and lets each work at its own pace.

    A hanging endpoint keeps only its own task busy: no connection to the store is held while a far side
    is slow.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        clock: Clock,
        *,
        real: Clock | None = None,
        carriers: Carriers | None = None,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._engine = engine
        self._clock = clock
        self._real = real or SystemClock()
        self._carriers = carriers or Carriers(settings, real=self._real)
        self._lease = timedelta(seconds=settings.claim_seconds)
        self._channels = channels_of(settings)
        self._senders: dict[SenderKey, Sender] = {}
        self._running: dict[SenderKey, asyncio.Task[int]] = {}

    @Part.task
    async def _look_for_ever(self) -> None:
        waiting = Waiting("database away, messages wait")
        await keep_doing(self, self.look, pause_seconds=self._settings.send_seconds, waiting=waiting)

    async def look(self) -> None:
        """Start draining every idle sender that has work. Raises what a sender has raised."""
        done = {key: task for key, task in self._running.items() if task.done()}
        self._running = {key: task for key, task in self._running.items() if key not in done}
        _raise_what_ended(done.values())
        async with self._engine.connect() as connection:
            found = await claims.busy(
                connection,
                direct=self._channels.intersection(DIRECT),
                subscribed=self._channels.intersection(SUBSCRIBED),
                now=self._real.now(),
            )
        for key in found:
            sender = self._sender(key)
            if key not in self._running and sender.may_send() and not self.should_stop:
                name = f"sender {key.channel.value}"
                self._running[key] = asyncio.create_task(self._drain(sender), name=name)
        self._measure()

    async def send_due(self) -> int:
        """Drain every sender that has work, once, and wait for all; return how many messages were taken.

        Raises what a sender has raised, but only after the others have ended: none is still running then.
        """
        await self.look()
        running, self._running = list(self._running.values()), {}
        if running:
            await asyncio.wait(running)
        _raise_what_ended(running)
        return sum(task.result() for task in running)

    async def on_stop(self) -> None:
        """Let messages in flight arrive and be recorded; begin nothing new."""
        for sender in self._senders.values():
            sender.stop()
        if self._running:
            _, late = await asyncio.wait(self._running.values(), timeout=PATIENCE_SECONDS)
            for task in late:
                task.cancel()
            for ended in await asyncio.gather(*self._running.values(), return_exceptions=True):
                if isinstance(ended, Exception) and not is_transient(ended):
                    log.error("a sender failed while stopping", error=kind_of(ended), at=place_of(ended))

    async def on_shutdown(self) -> None:
        """Release what the channels hold."""
        self._carriers.close()

    async def _drain(self, sender: Sender) -> int:
        carrier = await self._carrier(sender.key)
        return await sender.drain(carrier)

    async def _carrier(self, key: SenderKey) -> Carrier:
        if key.subscription_id is None:
            return self._carriers.direct(key.channel)
        async with self._engine.connect() as connection:
            # Read each time: a moved subscription or a new key applies from the next drain on.
            return self._carriers.subscribed(await subscription_store.get(connection, key.subscription_id))

    def _sender(self, key: SenderKey) -> Sender:
        if key not in self._senders:
            self._senders[key] = Sender(
                key, self._engine, clock=self._clock, real=self._real, lease=self._lease
            )
        return self._senders[key]

    def _measure(self) -> None:
        for channel in self._channels:
            senders = [sender for key, sender in self._senders.items() if key.channel is channel]
            resting = sum(not sender.may_send() for sender in senders)
            metrics.SENDERS_RESTING.labels(channel.value).set(resting)


def _raise_what_ended(tasks: Iterable[asyncio.Task[int]]) -> None:
    """Raise the worst error of the tasks that are done. Only `on_stop` may cancel a sender."""
    ended = worst(CancelledInside() if task.cancelled() else task.exception() for task in tasks)
    if ended is not None:
        raise ended
