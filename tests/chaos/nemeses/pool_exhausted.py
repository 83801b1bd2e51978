"""Idle connections take every place that the database has, and keep them for a while."""

import asyncio
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import asyncpg

from tests.chaos.nemeses.backends_killed import END
from tests.chaos.target import Target

HELD_SECONDS = (4.0, 7.0)
MOST = 300
"""More than the server has."""


def act(target: Target, chance: Random) -> None:
    """Take all free connections, cut the services' own, and take those as well; then let go."""
    asyncio.run(_hold(target.dsn("postgres"), chance.uniform(*HELD_SECONDS)))


async def _hold(dsn: str, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    async with AsyncExitStack() as stack:
        held = await _take_all(dsn, stack)
        if held:
            # Whoever is connected would not notice: its place must be fought for again.
            await held[0].execute(END)
        while loop.time() < until:
            held += await _take_all(dsn, stack)
            await asyncio.sleep(0.1)


async def _take_all(dsn: str, stack: AsyncExitStack) -> "list[asyncpg.Connection[Any]]":
    taken: list[asyncpg.Connection[Any]] = []
    for _ in range(MOST):
        try:
            connection = await asyncpg.connect(dsn, timeout=2.0)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            break
        stack.push_async_callback(connection.close)
        taken.append(connection)
    return taken
