"""The network between the services and PostgreSQL is slow, narrow, silent or cut for some seconds.

The server listens on a unix socket: for as long as it lasts a proxy takes the socket's place, and everybody's
connections are ended so that they come again through it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from sqlalchemy.engine import make_url

from tests.chaos.nemeses.backends_killed import end_all
from tests.chaos.nemeses.bad_network import disturb
from tests.chaos.proxy import Proxy
from tests.chaos.target import Target


def act(target: Target, chance: Random) -> None:
    """Put the proxy between, let it be bad, and take it away: its connections end once more."""
    dsn = target.dsn("postgres")
    asyncio.run(end_all(dsn))  # waits for a server that an earlier fault has ended: a new one, a new socket
    with in_place_of(socket_of(dsn)) as proxy:
        asyncio.run(end_all(dsn))
        disturb(proxy, chance)


def socket_of(dsn: str) -> Path:
    """Return the unix socket of a server's address."""
    query = make_url(dsn).query
    return Path(str(query["host"])) / f".s.PGSQL.{query['port']}"


@contextmanager
def in_place_of(socket: Path) -> Iterator[Proxy]:
    """Give a proxy that listens where a server did; at the end the server does again."""
    real = socket.with_name(f"{socket.name}.real")
    socket.rename(real)
    try:
        with Proxy(real, path=socket) as proxy:
            try:
                yield proxy
            finally:
                real.replace(socket)  # in one step: at no moment is nobody there
    finally:
        if real.exists():
            real.replace(socket)
