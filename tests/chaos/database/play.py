"""One scenario: a worker works a full backlog off, its database has a trouble, and all is recounted."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.engine import make_url

from deploy.embedded.processes import Child
from schemas.topics import ASSESSMENT, REFERRAL
from services.assessment.pack import AssessmentPack
from tests.bench.backlog import START
from tests.bench.run import Work
from tests.bench.stage import BenchFailed, Stage, until
from tests.bench.variants import LEADLINE
from tests.chaos.database.recounting import Recounted, recounted
from tests.chaos.database.scenarios import Scenario, Scene
from tests.chaos.database.throughput import (
    BASELINE_SECONDS,
    CONFIRM_SECONDS,
    Baseline,
    Recovery,
    Sample,
    baseline,
    course,
    rate,
    recovery,
)
from tests.chaos.full_disk import on_disk, own_disk
from tests.chaos.proxy import LOOPBACK, Proxy

PARTITIONS = 4
SETTLE_SECONDS = 2.0
"""After its first batches a worker has its connections, its statements and its caches."""

BAR_SECONDS = 5.0
WORKED_SECONDS = SETTLE_SECONDS + BASELINE_SECONDS + 2 * BAR_SECONDS + CONFIRM_SECONDS
"""So long a backlog must last, the trouble itself not counted."""

DRAIN_SECONDS = 600.0
LOOK_SECONDS = 0.5

BATCHES = "SELECT received_at, count(*) FROM inbox GROUP BY received_at ORDER BY received_at"


@dataclass(frozen=True)
class Played:
    """What one scenario showed."""

    scenario: Scenario
    baseline: Baseline
    during: float
    """Events per second from the beginning of the trouble to its healing."""
    fault_seconds: float
    recovery: Recovery | None
    watched_seconds: float
    """From the healing to the end of the backlog."""
    by_second: list[float]
    """Events per second in each second from the beginning of the baseline to the end of the backlog."""
    recounted: Recounted

    @property
    def too_short(self) -> bool:
        """Whether the backlog ended before throughput could be seen to be back."""
        return self.recovery is None and self.watched_seconds < BAR_SECONDS + CONFIRM_SECONDS

    @property
    def passed(self) -> bool:
        """Whether throughput was back in time and everything is exact."""
        return self.recovery is not None and self.recovery.seconds <= BAR_SECONDS and self.recounted.exact


@dataclass(frozen=True)
class _Ended:
    """A store at rest: how the work went, and what is wrong with it."""

    samples: list[Sample]
    recounted: Recounted


async def play(stage: Stage, scenario: Scenario, work: Work, pack: AssessmentPack) -> Played:
    """Let a worker begin on the backlog that lies on the bus, and strike when it is in full swing.

    Raises BenchFailed when it does not get that far or never ends, NoSmallDiskError where this machine
    cannot have the scenario.
    """
    await stage.topics(PARTITIONS, (ASSESSMENT,))
    await _forget_offsets(stage)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(stage.store())
        scene = await _scene(stage, scenario, f"{store}_assessment", stack)
        env = stage.env(store)
        if scene.network is not None:
            env["LEADLINE_DATABASE"] = _through(scene.network, stage.address(store))
        processes = stage.processes(f"database-{scenario.name}", LEADLINE.argv, env)
        (worker,) = await stack.enter_async_context(processes)
        await _in_full_swing(scene, worker)
        struck = _seconds(stage, stage.now())
        await scenario.strike(scene)
        healed = _seconds(stage, stage.now())
        ended = await _at_rest(scene, worker, work, pack)
    normal = baseline(ended.samples, struck)
    found = recovery(ended.samples, healed, normal)
    return Played(
        scenario,
        normal,
        rate(ended.samples, struck, healed),
        healed - struck,
        found,
        ended.samples[-1].at - healed,
        _by_second(ended.samples, struck - BASELINE_SECONDS),
        ended.recounted,
    )


async def _scene(stage: Stage, scenario: Scenario, database: str, stack: AsyncExitStack) -> Scene:
    disk = network = None
    if scenario.small_disk:
        disk = stack.enter_context(own_disk(stage.home / "engines" / "postgres" / "data"))
        await stack.enter_async_context(on_disk(stage.dsn(database), disk))
    if scenario.network:
        where = make_url(stage.engines.database_url.replace("{service}", "x")).query
        network = stack.enter_context(Proxy(Path(str(where["host"])) / f".s.PGSQL.{where['port']}"))
    return Scene(stage, database, disk, network)


def _through(network: Proxy, address: str) -> str:
    """Return a store's address by way of the network."""
    url = make_url(address.replace("{service}", "__service__"))
    url = url.set(host=LOOPBACK, port=network.port, query={})
    return url.render_as_string(hide_password=False).replace("__service__", "{service}")


async def _forget_offsets(stage: Stage) -> None:
    """Let the group begin with the first event again."""

    async def forgotten() -> bool:
        answer = await asyncio.to_thread(stage.admin.delete_groups, [LEADLINE.group])
        return answer[LEADLINE.group] in ("OK", "GroupIdNotFoundError")

    await until(forgotten, f"the group {LEADLINE.group} has no members and no offsets")


async def _in_full_swing(scene: Scene, worker: Child) -> None:
    """Return when the worker has worked for as long as the baseline needs."""
    async with scene.stage.connection(scene.database) as connection:

        async def begun() -> bool:
            _alive(worker)
            return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM inbox)"))

        await until(begun, "the worker has delivered its first batch")
    await asyncio.sleep(SETTLE_SECONDS + BASELINE_SECONDS)
    _alive(worker)


async def _at_rest(scene: Scene, worker: Child, work: Work, pack: AssessmentPack) -> _Ended:
    """Wait until nothing is left to do, stop the worker, and recount."""
    stage = scene.stage
    async with stage.connection(scene.database) as connection:

        async def done() -> bool:
            _alive(worker)
            await asyncio.sleep(LOOK_SECONDS)
            count = await connection.fetchval("SELECT count(*) FROM inbox")
            return count >= work.distinct and not await connection.fetchval(
                "SELECT EXISTS (SELECT FROM outbox)"
            )

        await until(done, "every event of the backlog is in effect and on the bus", within=DRAIN_SECONDS)
        await asyncio.to_thread(stage.children.stop, worker)
        batches = await connection.fetch(BATCHES)
        found = await recounted(connection, stage.engines.kafka, PARTITIONS, work.referrals, pack)
    acknowledged = await stage.committed(LEADLINE.group, REFERRAL.name, PARTITIONS)
    if acknowledged != len(work.messages):
        offsets = f"offsets: {acknowledged} of {len(work.messages)} acknowledged"
        found = Recounted(found.lost, found.twice, (*found.disagreements, offsets))
    # Workers' clocks began at START when the stage's began.
    return _Ended(course([((begun - START).total_seconds(), count) for begun, count in batches]), found)


def _by_second(samples: list[Sample], begin: float) -> list[float]:
    seconds = range(int(samples[-1].at - begin))
    return [rate(samples, begin + second, begin + second + 1) for second in seconds]


def _seconds(stage: Stage, moment: datetime) -> float:
    return (moment - stage.epoch).total_seconds()


def _alive(worker: Child) -> None:
    if worker.exit_code() is not None:
        raise BenchFailed(f"the worker ended: {worker.last_words()}")
