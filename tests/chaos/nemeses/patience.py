"""Waiting for what an earlier fault may still keep away: faults come before the system is itself again."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.05


class NotBroughtAbout(Exception):  # noqa: N818 - a finding, not a mistake
    """The harm could not be done; the sentence says what did not happen."""


def until(happened: Callable[[], bool], what: str, *, within: float = PATIENCE_SECONDS) -> None:
    """Return as soon as it has happened. Raises NotBroughtAbout with `what` when it has not in time."""
    give_up = time.monotonic() + within
    while not happened():
        if time.monotonic() > give_up:
            raise NotBroughtAbout(what)
        time.sleep(LOOK_SECONDS)


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """Give a connection to a store as soon as its server takes one."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            connection: asyncpg.Connection[Any] = await asyncpg.connect(dsn, timeout=5.0)
            break
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if time.monotonic() > give_up:
                message = "the database took no connection"
                raise NotBroughtAbout(message) from error
            await asyncio.sleep(LOOK_SECONDS)
    try:
        yield connection
    finally:
        connection.terminate()
