"""The seven troubles of a database, and none: each does its harm and returns when it has taken it away."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import psutil  # type: ignore[import-untyped]  # ships no types

from deploy.embedded.processes import read_run_file
from tests.bench.stage import Stage, until
from tests.chaos.full_disk import Disk
from tests.chaos.proxy import PASSING, Manner, Proxy

FAULT_SECONDS = 4.0
"""How long a trouble lasts that has no end of its own."""

AGAIN_SECONDS = 0.1
MOST_CONNECTIONS = 300
AT_ONCE = 25
CONNECT_SECONDS = 2.0

SLOW = Manner(latency_seconds=0.1, bytes_per_second=50_000)
"""A batch of 500 events is a megabyte or so each way."""

REFUSED = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)

END = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True)
class Scene:
    """What a trouble acts on: the server, and one store on it."""

    stage: Stage
    database: str
    disk: Disk | None = None
    """Where the store's tables are, when they have one of their own."""
    network: Proxy | None = None
    """Between the worker and the server, when there is one."""

    def postmaster(self) -> psutil.Process | None:
        """Return the server's main process; None while there is none."""
        _, recorded = read_run_file(self.stage.home / "engines" / "run" / "engines.processes.json")
        return next((entry.process() for entry in recorded if entry.name == "postgres"), None)


Strike = Callable[[Scene], Awaitable[None]]
"""Returns at the moment of the healing."""


async def nothing(_: Scene) -> None:
    """Do no harm: what a shared machine does to the figures by itself."""
    await asyncio.sleep(FAULT_SECONDS)


async def restarted(scene: Scene) -> None:
    """Restart the server the fast way: connections end, a checkpoint is written."""
    await _ended(scene, signal.SIGINT)


async def killed(scene: Scene) -> None:
    """Kill the postmaster; the server that is started next replays the log."""
    await _ended(scene, signal.SIGKILL)


async def _ended(scene: Scene, how: signal.Signals) -> None:
    before = scene.postmaster()
    assert before is not None
    before.send_signal(how)

    async def another_accepts() -> bool:
        fresh = scene.postmaster()
        return fresh is not None and fresh.pid != before.pid and await _accepts(scene)

    await until(another_accepts, "PostgreSQL, which was ended, accepts connections again")


async def paused(scene: Scene) -> None:
    """Freeze every process of the server."""
    postmaster = scene.postmaster()
    assert postmaster is not None
    postmaster.suspend()  # first: it makes no others
    tree = [postmaster, *postmaster.children(recursive=True)]
    try:
        for process in tree[1:]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        await asyncio.sleep(FAULT_SECONDS)
    finally:
        for process in reversed(tree):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


async def backends_killed(scene: Scene) -> None:
    """End every connection to the store, again and again: whoever comes back is ended, too."""
    connection = await _connected(scene)
    try:
        end = time.monotonic() + FAULT_SECONDS
        while time.monotonic() < end:
            await connection.execute(END, scene.database)
            await asyncio.sleep(AGAIN_SECONDS)
    finally:
        await connection.close()


async def pool_exhausted(scene: Scene) -> None:
    """Take every place that the server has with idle connections, the worker's own as well."""
    held: list[asyncpg.Connection[Any]] = []
    try:
        held += await _all_there_are(scene)
        end = time.monotonic() + FAULT_SECONDS
        while time.monotonic() < end:
            # Whoever is connected would notice nothing; a place that it gives up is taken before it is back.
            await held[0].execute(END, scene.database)
            held += await _all_there_are(scene)
            await asyncio.sleep(AGAIN_SECONDS)
    finally:
        for connection in held:
            connection.terminate()
        await until(lambda: _accepts(scene), "the places that were taken are free")


async def disk_full(scene: Scene) -> None:
    """Leave the tables no free page."""
    assert scene.disk is not None
    scene.disk.fill()
    try:
        await asyncio.sleep(FAULT_SECONDS)
    finally:
        scene.disk.heal()


async def network_slow(scene: Scene) -> None:
    """Let every byte between the worker and the server come late, and few of them at a time."""
    assert scene.network is not None
    scene.network.behave(SLOW)
    try:
        await asyncio.sleep(FAULT_SECONDS)
    finally:
        scene.network.behave(PASSING)


async def _connected(scene: Scene) -> "asyncpg.Connection[Any]":
    return await asyncpg.connect(scene.stage.dsn("postgres"), timeout=CONNECT_SECONDS)


async def _accepts(scene: Scene) -> bool:
    try:
        await (await _connected(scene)).close()
    except REFUSED:
        return False
    return True


async def _all_there_are(scene: Scene) -> "list[asyncpg.Connection[Any]]":
    """Return connections until the server refuses one, MOST_CONNECTIONS at the most."""
    taken: list[asyncpg.Connection[Any]] = []
    while len(taken) < MOST_CONNECTIONS:
        asked = await asyncio.gather(*(_connected(scene) for _ in range(AT_ONCE)), return_exceptions=True)
        got = [one for one in asked if not isinstance(one, BaseException)]
        taken += got
        if len(got) < AT_ONCE:
            break
    return taken


@dataclass(frozen=True)
class Scenario:
    """One trouble and what it needs around the store."""

    name: str
    words: str
    strike: Strike
    small_disk: bool = False
    network: bool = False


CONTROL = Scenario("control", "no trouble at all", nothing)
SCENARIOS = (
    CONTROL,
    Scenario("restart", "the server is restarted", restarted),
    Scenario("kill", "kill -9 of the postmaster", killed),
    Scenario("pause", "all its processes stand still", paused),
    Scenario("backends", "every connection is ended, for seconds", backends_killed),
    Scenario("connections", "idle connections take every place", pool_exhausted),
    Scenario("disk", "the disk of the tables is full", disk_full, small_disk=True),
    Scenario("network", "slow network to the server", network_slow, network=True),
)
