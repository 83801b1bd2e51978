"""One run: a backlog, a number of worker processes of one variant, and what it took them."""

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cached_property

from schemas.topics import ASSESSMENT, REFERRAL
from services.assessment.pack import AssessmentPack
from services.kernel.kafka.admin import Bus
from tests.bench.backlog import Message, Referral, firsts, message
from tests.bench.cpu import CpuMeter, resident_mb
from tests.bench.mixture import mixed
from tests.bench.profiling import profiled
from tests.bench.recount import recount
from tests.bench.stage import BenchFailed, Stage
from tests.bench.variants import Variant

POLL_SECONDS = 0.02
CORES = os.cpu_count() or 1
SHARES = ("worker", "postgres", "kafka", "client", "strangers", "idle")
PATIENCE_SECONDS = 1800.0
EVENTS_OF_A_CASE = 3
"""assessment.started, lead_professional.assigned and deadline.scheduled."""


@dataclass(frozen=True)
class Work:
    """A backlog and what must come of it."""

    referrals: Sequence[Referral]
    with_others: bool = False
    """Whether the events that the service skips are there, too, in the county's mix."""

    @cached_property
    def messages(self) -> list[Message]:
        """Return the Kafka records."""
        if self.with_others:
            return mixed(self.referrals)
        return [message(referral) for referral in self.referrals]

    @cached_property
    def distinct(self) -> int:
        """Return how many different messages there are."""
        return len({referral.event_id for referral in self.referrals})

    @cached_property
    def published(self) -> int:
        """Return how many events the assessment service must publish."""
        return EVENTS_OF_A_CASE * len(firsts(self.referrals))


@dataclass(frozen=True)
class Measured:
    """What one run took. Seconds count from the moment at which all workers began on the full backlog."""

    variant: str
    workers: int
    partitions: int
    events: int
    commit_seconds: float
    """Until the last event was committed."""
    publish_seconds: float
    """Until the last event that came of it was on the bus."""
    cpu_seconds: dict[str, float]
    """By process tree, until everything was published."""
    client_seconds: float
    """CPU seconds of the benchmark itself meanwhile: it looks whether the work is done."""
    resident_mb: float
    """Of the largest worker, at the end."""
    stored_bytes: int
    """What the store has grown by."""
    strangers: float
    """Share of the machine's CPU that processes outside the benchmark took meanwhile."""
    faults: tuple[str, ...]
    """What the recount found wrong."""

    @property
    def events_s(self) -> float:
        """Return events committed per second."""
        return self.events / self.commit_seconds

    @property
    def published_s(self) -> float:
        """Return events per second until all that came of them was published."""
        return self.events / self.publish_seconds

    @property
    def shares(self) -> dict[str, float]:
        """Return which share of the machine's CPU time went where; all of them together make 1.

        `idle` is what nobody has used, waiting for the disk included.
        """
        whole = self.publish_seconds * CORES
        used = {**self.cpu_seconds, "client": self.client_seconds}
        found = {name: used.get(name, 0.0) / whole for name in SHARES} | {"strangers": self.strangers}
        found["idle"] = max(0.0, 1.0 - sum(found.values()))
        return found

    def cpu_us(self, name: str) -> float:
        """Return the CPU microseconds per event of one process tree."""
        return self.cpu_seconds.get(name, 0.0) / self.events * 1e6


async def measure(
    stage: Stage,
    variant: Variant,
    work: Work,
    pack: AssessmentPack,
    *,
    workers: int,
    partitions: int,
    profile: bool = False,
) -> Measured:
    """Let `workers` processes of a variant work a full backlog off, and recount what they made of it.

    They join their group on an empty topic and are then held at the door, by a lock on the inbox, while
    the backlog is written: so nobody starts early, and nobody has read ahead more than one small fetch.
    `profile`: look into the first worker meanwhile, and print where it spends its time.
    """
    await stage.topics(partitions)
    async with (
        stage.store() as store,
        stage.connection(f"{store}_assessment") as connection,
        Bus(stage.settings(store)) as bus,
        stage.processes(variant.name, variant.argv, stage.env(store), count=workers) as processes,
        AsyncExitStack() as around,
    ):
        await stage.joined(variant.group, workers, partitions, REFERRAL.name)
        size = await connection.fetchval("SELECT pg_database_size(current_database())")
        door = connection.transaction()
        await door.start()
        await connection.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
        await stage.fill(REFERRAL.name, work.messages)
        meter = CpuMeter(
            {"worker": [one.pid for one in processes]}
            | {name: [pid] for name, pid in stage.engine_pids.items() if name in ("kafka", "postgres")}
        )
        if profile:
            await around.enter_async_context(profiled(stage, processes[0].pid, variant.name))
        meter.start()
        begun, own = time.monotonic(), time.process_time()
        await door.rollback()

        async def alive(condition: str) -> None:
            """Wait a moment; raise when a worker has ended."""
            if any(one.exit_code() is not None for one in processes):
                raise BenchFailed(f"{variant.name} ended: {processes[0].last_words()}")
            if time.monotonic() - begun > PATIENCE_SECONDS:
                raise BenchFailed(f"{variant.name} did not finish: {condition}")
            await asyncio.sleep(POLL_SECONDS)

        # The sequence costs nothing to ask, and is ahead of the commits: the count has the last word.
        while (await connection.fetchval("SELECT last_value FROM journal_position_seq")) < work.published:
            await alive("journal")
        while (await connection.fetchval("SELECT count(*) FROM inbox")) < work.distinct:
            await alive("inbox")
        committed = time.monotonic() - begun
        while await stage.ends(bus, ASSESSMENT) < work.published:
            await alive("bus")
        published = time.monotonic() - begun
        used, strangers, client = meter.used(), meter.strangers(), time.process_time() - own
        memory = max(resident_mb(one.pid) for one in processes)
        while await connection.fetchval("SELECT count(*) FROM outbox"):
            await alive("outbox")
        await around.aclose()
        for one in processes:
            await asyncio.to_thread(stage.children.stop, one)
        faults = await recount(connection, work.referrals, pack)
        acknowledged = await stage.committed(variant.group, REFERRAL.name, partitions)
        if acknowledged != len(work.messages):
            faults.append(f"offsets: {acknowledged} of {len(work.messages)} acknowledged")
        on_bus = await stage.ends(bus, ASSESSMENT)
        if on_bus != work.published:
            faults.append(f"bus: {on_bus} events, not {work.published}")
        grown = await connection.fetchval("SELECT pg_database_size(current_database())") - size
    return Measured(
        variant=variant.name,
        workers=workers,
        partitions=partitions,
        events=len(work.messages),
        commit_seconds=committed,
        publish_seconds=published,
        cpu_seconds=used,
        client_seconds=client,
        resident_mb=memory,
        stored_bytes=grown,
        strangers=strangers,
        faults=tuple(faults),
    )
