"""Bad networks: a proxy takes a server's place for a while, and nothing is left of it afterwards."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from deploy.embedded.kafka import server_properties
from tests.chaos.nemeses.bad_network import ways
from tests.chaos.nemeses.broker_network import move
from tests.chaos.nemeses.postgres_network import in_place_of, socket_of
from tests.chaos.proxy import BLACKHOLE, CUT

ANSWER = b"it is me\n"


@pytest.fixture
async def socket(tmp_path: Path) -> AsyncIterator[Path]:
    """Give the socket of a server that greets whoever connects."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    path = tmp_path / ".s.PGSQL.5432"
    async with await asyncio.start_unix_server(greet, path):
        yield path


async def answer_of(socket: Path) -> bytes:
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_unix_connection(socket)
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.transport.abort()


async def test_a_proxy_takes_a_sockets_place_and_gives_it_back(socket: Path) -> None:
    """Clients use the same path before, meanwhile and afterwards."""
    assert await answer_of(socket) == ANSWER
    with in_place_of(socket) as proxy:
        assert await answer_of(socket) == ANSWER
        proxy.behave(CUT)
        assert await answer_of(socket) == b""
    assert await answer_of(socket) == ANSWER
    assert list(socket.parent.iterdir()) == [socket]


async def test_a_nemesis_that_fails_gives_the_socket_back(socket: Path) -> None:
    """Whatever ends the bad network, the server is there again."""

    def fail() -> None:
        with in_place_of(socket):
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - our own, raised one line above
        fail()
    assert await answer_of(socket) == ANSWER


def test_the_socket_is_found_in_a_servers_address() -> None:
    """Where libpq would look for it."""
    dsn = "postgresql://postgres@/postgres?host=%2Fsome%2Fwhere&port=5432"
    assert socket_of(dsn) == Path("/some/where/.s.PGSQL.5432")


def test_a_broker_moves_and_its_clients_stay(tmp_path: Path) -> None:
    """It listens elsewhere; what it tells its clients, and its controller's port, are as before."""
    settings = tmp_path / "server.properties"
    before = server_properties(tmp_path / "data", port=4000, controller_port=4001)
    settings.write_text(before, encoding="utf-8")
    move(settings, port=4000, to=5000)
    lines = settings.read_text(encoding="utf-8").splitlines()
    changed = [line for line in lines if line not in before.splitlines()]
    assert changed == ["listeners=PLAINTEXT://127.0.0.1:5000,CONTROLLER://127.0.0.1:4001"]
    assert len(lines) == len(before.splitlines())


def test_networks_are_late_narrow_silent_and_cut() -> None:
    """Every manner occurs, and no number leaves nothing through for ever."""
    manners = [manner for way in ways(Random(7)) for manner in way]
    assert any(manner.latency_seconds for manner in manners)
    assert any(manner.bytes_per_second for manner in manners)
    assert BLACKHOLE in manners
    assert CUT in manners
