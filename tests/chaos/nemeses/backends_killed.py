"""Every connection to every store ends at once, as when an administrator or a proxy cuts them."""

import asyncio
from random import Random

import asyncpg

from tests.chaos.target import Target

END = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname LIKE 'leadline%' AND pid <> pg_backend_pid()
"""


def act(target: Target, _chance: Random) -> None:
    """End all of the services' connections, whatever their transactions are at."""
    asyncio.run(_end(target.dsn("postgres")))


async def _end(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(END)
    finally:
        await connection.close()
