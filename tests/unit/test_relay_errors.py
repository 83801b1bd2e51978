"""What ends a relay's connection to its store does not end its worker; what waiting cannot mend does."""

import asyncio
from types import TracebackType
from typing import Self, cast

import asyncpg
import pytest
from aiokafka.errors import TopicAuthorizationFailedError

from services.kernel.base.settings import Settings
from services.kernel.processing.relay import Relay
from services.kernel.store.relaying import Relaying


class Broken:
    """A connection whose server has said goodbye."""

    def __init__(self, error: Exception, tried: asyncio.Event) -> None:
        self._error = error
        self._tried = tried

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def try_lock(self) -> bool:
        self._tried.set()
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalClientError("got an unexpected message"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.AdminShutdownError("terminating connection"),
        ConnectionResetError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_relay_waits_when_its_connection_is_broken_in_whatever_way(error: Exception) -> None:
    """The driver has an error of its own for a server that said goodbye while nobody listened."""
    tried = asyncio.Event()
    relay = Relay(
        Settings(),
        service="referral",
        relaying=lambda _address, _topic: cast("Relaying", Broken(error, tried)),
    )
    async with relay:
        await asyncio.wait_for(tried.wait(), 10)
        await asyncio.sleep(0)
        assert relay.crash_reason is None
        assert not relay.should_stop


@pytest.mark.parametrize(
    "error",
    [asyncpg.UndefinedTableError("no such table"), TopicAuthorizationFailedError(), LookupError()],
    ids=lambda error: type(error).__name__,
)
async def test_a_relay_crashes_its_worker_where_waiting_mends_nothing(error: Exception) -> None:
    """One that waited for ever would be missed only when somebody misses its events."""
    relay = Relay(
        Settings(),
        service="referral",
        relaying=lambda _address, _topic: cast("Relaying", Broken(error, asyncio.Event())),
    )
    async with relay, asyncio.timeout(10):
        await relay.wait_until_stopped()
        assert str(relay.crash_reason) == type(error).__name__
