"""Every connection to every store ends at once, as when an administrator or a proxy cuts them."""

import asyncio
from random import Random

from tests.chaos.nemeses.patience import connected
from tests.chaos.target import Target

END = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname LIKE 'leadline%' AND pid <> pg_backend_pid()
"""


def act(target: Target, _chance: Random) -> None:
    """End all of the services' connections, whatever their transactions are at."""
    asyncio.run(end_all(target.dsn("postgres")))


async def end_all(dsn: str) -> None:
    """End all connections to the services' stores. `dsn` is of an administrator."""
    async with connected(dsn) as connection:
        await connection.execute(END)
