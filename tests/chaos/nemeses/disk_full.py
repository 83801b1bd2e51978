"""The disk under a service's tables is full for some seconds.

The tables that every batch and every command writes to lie on a small file system meanwhile (full_disk.py):
the next page that one of them needs is refused with ENOSPC, which is 53100 in PostgreSQL's words. The
server's own log has room: without that the whole server would stop, which `postgres_killed` shows.
"""

import asyncio
from random import Random

from tests.chaos.full_disk import Disk, on_disk, own_disk
from tests.chaos.nemeses.patience import NotBroughtAbout, connected
from tests.chaos.target import Target

FULL_SECONDS = (4.0, 6.0)
TABLES = ("inbox", "requests")
"""The journal would be the first to grow, but is copied to the small disk and back: by then it is long."""

SERVICES = ("referral", "assessment", "notify")
"""To placement this feed leads too little to fill a page in time."""

REFUSED = b"No space left on device"


def act(target: Target, chance: Random) -> None:
    """Fill the disk of one service, give it room again, and move its tables back."""
    log = target.home / "log" / "postgres.log"
    begin = log.stat().st_size
    with own_disk(target.home / "postgres" / "data") as disk:
        asyncio.run(_full(target.dsn(chance.choice(SERVICES)), disk, chance.uniform(*FULL_SECONDS)))
    with log.open("rb") as lines:
        lines.seek(begin)
        if REFUSED not in lines.read():
            message = "nothing was written that the full disk could refuse"
            raise NotBroughtAbout(message)


async def _full(dsn: str, disk: Disk, seconds: float) -> None:
    async with connected(dsn):
        pass  # an earlier fault is over: the tables can be moved
    async with on_disk(dsn, disk, TABLES):
        disk.fill()
        await asyncio.sleep(seconds)
