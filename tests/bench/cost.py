"""What one event costs each service: CPU time, and bytes on disk."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from schemas.topics import TOPICS, published_by, read_by
from services.kernel.kafka.admin import Bus
from tests.bench.backlogs import Backlog
from tests.bench.cpu import CpuMeter
from tests.bench.run import Measured
from tests.bench.say import say, table
from tests.bench.stage import BenchFailed, Stage
from tests.bench.variants import worker_of

PATIENCE_SECONDS = 900.0
POLL_SECONDS = 0.05
POLL_SHARE = 0.02
"""Looking costs the engines CPU time: so much of the time so far lies between two looks, at least."""

COMMON = {
    "inbox": """
        SELECT count(*) FROM delivered AS d FULL JOIN inbox USING (message_id)
        WHERE d.message_id IS NULL OR inbox.message_id IS NULL
    """,
    "outbox": "SELECT count(*) FROM outbox",
    "dead letters": "SELECT count(*) FROM dead_letters",
}


@dataclass(frozen=True)
class Cost:
    """What one worker of a service needed for a backlog, until all that came of it was on the bus."""

    service: str
    events_read: int
    events_handled: int
    """Different events of types that the service handles; it skips the others by their header."""
    events_published: int
    seconds: float
    """Until everything was handled and what came of it was on the bus."""
    cpu_seconds: Mapping[str, float]
    """By process tree, until everything was acknowledged, too."""
    stored_bytes: int
    strangers: float
    faults: tuple[str, ...] = ()

    @property
    def figures(self) -> dict[str, Any]:
        """Return the service's part of the report; `event` is one that was handled unless it says `read`."""
        used = sum(self.cpu_seconds.values())
        return {
            "events_read": self.events_read,
            "events_handled": self.events_handled,
            "events_published": self.events_published,
            "events_s": round(self.events_handled / self.seconds),
            "read_events_s": round(self.events_read / self.seconds),
            "events_per_cpu_second": round(self.events_handled / used),
            "read_events_per_cpu_second": round(self.events_read / used),
            "cpu_us_per_event": {
                name: round(spent / self.events_handled * 1e6, 1) for name, spent in self.cpu_seconds.items()
            },
            "stored_bytes_per_event": round(self.stored_bytes / self.events_handled),
            "stored_bytes_per_read_event": round(self.stored_bytes / self.events_read),
        }


def of_assessment(measured: Measured, *, handled: int, published: int) -> Cost:
    """Return assessment's cost, which the pipeline's own way to measure has found on the county's mix."""
    return Cost(
        service="assessment",
        events_read=measured.events,
        events_handled=handled,
        events_published=published,
        seconds=measured.publish_seconds,
        cpu_seconds=measured.cpu_seconds,
        stored_bytes=measured.stored_bytes,
        strangers=measured.strangers,
    )


async def measure_cost(stage: Stage, backlog: Backlog) -> Cost:
    """Let one worker work a service's backlog off on an empty store, and recount what it made of it.

    It joins its group on empty topics and is held at the door, by a lock on the inbox, while the backlog is
    written. It is done when everything it reads is acknowledged, what it publishes and reads itself
    included, and everything that came of it is on the bus.
    """
    service = backlog.service
    reads, variant = read_by(service), worker_of(service)
    for topic in TOPICS:
        await stage.topics(topic.partitions, [topic])
    await stage.make_template(service)
    async with (
        stage.store(service) as store,
        stage.connection(f"{store}_{service}") as connection,
        Bus(stage.settings(store)) as bus,
        stage.processes(variant.name, variant.argv, stage.env(store)) as (worker,),
    ):
        for topic in reads:
            await stage.joined(variant.group, 1, topic.partitions, topic.name)
        size = await connection.fetchval("SELECT pg_database_size(current_database())")
        door = connection.transaction()
        await door.start()
        await connection.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
        for name, told in backlog.by_topic.items():
            await stage.fill(name, (message for message, _ in told))
        engines = {name: [pid] for name, pid in stage.engine_pids.items() if name in ("kafka", "postgres")}
        meter = CpuMeter({"worker": [worker.pid]} | engines)
        meter.start()
        begun = time.monotonic()
        await door.rollback()

        async def alive(condition: str) -> None:
            """Wait a moment, a longer one the longer it lasts; raise when the worker has ended."""
            spent = time.monotonic() - begun
            if worker.exit_code() is not None:
                raise BenchFailed(f"{variant.name} ended: {worker.last_words()}")
            if spent > PATIENCE_SECONDS:
                raise BenchFailed(f"{variant.name} did not finish: {condition}")
            await asyncio.sleep(max(POLL_SECONDS, spent * POLL_SHARE))

        async def acknowledged() -> bool:
            for topic in reads:
                done = await stage.committed(variant.group, topic.name, topic.partitions)
                if done < await stage.ends(bus, topic):
                    return False
            return True

        async def settled(done: Callable[[], Awaitable[bool]]) -> None:
            """Wait until something is done and the outbox is empty."""
            while not await done():
                await alive("events are not handled")
            while await connection.fetchval("SELECT EXISTS (SELECT FROM outbox)"):
                await alive("the outbox is not empty")

        async def handled() -> bool:
            # Whatever is missing when all is acknowledged never comes: the recount will say so.
            inbox = await connection.fetchval("SELECT count(*) FROM inbox")
            return bool(inbox >= len(backlog.inbox)) or await acknowledged()

        await settled(handled)
        seconds = time.monotonic() - begun
        await settled(acknowledged)  # it may read what it has published
        used, strangers = meter.used(), meter.strangers()
        await asyncio.to_thread(stage.children.stop, worker)
        faults = await _recount(connection, backlog)
        journal = await connection.fetchval("SELECT count(*) FROM journal")
        written = sum(
            len(told) for name, told in backlog.by_topic.items() if name == published_by(service).name
        )
        on_bus = await stage.ends(bus, published_by(service)) - written
        if on_bus != journal:
            faults.append(f"bus: {on_bus} events published, {journal} in the journal")
        grown = await connection.fetchval("SELECT pg_database_size(current_database())") - size
    return Cost(
        service=service,
        events_read=backlog.read,
        events_handled=len(backlog.inbox),
        events_published=journal,
        seconds=seconds,
        cpu_seconds=used,
        stored_bytes=grown,
        strangers=strangers,
        faults=tuple(faults),
    )


async def _recount(connection: "asyncpg.Connection[Any]", backlog: Backlog) -> list[str]:
    await connection.execute("CREATE TEMP TABLE delivered (message_id uuid)")
    await connection.copy_records_to_table("delivered", records=[(one,) for one in backlog.inbox])
    await connection.execute(f"CREATE TEMP TABLE expected ({backlog.columns})")
    await connection.copy_records_to_table("expected", records=backlog.expected)
    await connection.execute("ANALYZE")
    wrong = []
    for what, query in {**COMMON, **backlog.checks}.items():
        if disagreeing := await connection.fetchval(query):
            wrong.append(f"{what}: {disagreeing} rows disagree")
    return wrong


def show(costs: Sequence[Cost]) -> None:
    """Print what an event costs each service."""
    heads = [
        "service",
        "read",
        "handled",
        "published",
        "handled/s",
        "read/s",
        "per CPU s",
        "worker us",
        "db us",
    ]
    rows = []
    for cost in costs:
        figures = cost.figures
        spent = figures["cpu_us_per_event"]
        rows.append(
            [
                cost.service,
                *(f"{figures[name]:,}" for name in ("events_read", "events_handled", "events_published")),
                *(f"{figures[name]:,}" for name in ("events_s", "read_events_s", "events_per_cpu_second")),
                *(f"{spent.get(name, 0):,.0f}" for name in ("worker", "postgres", "kafka")),
                f"{figures['stored_bytes_per_event']:,}",
                f"{figures['stored_bytes_per_read_event']:,}",
                f"{cost.strangers:.0%}",
                "NO" if cost.faults else "yes",
            ]
        )
    table(
        "what an event costs, by service (one worker; us, CPU s and bytes: per event handled)",
        [*heads, "broker us", "stored B", "B per read", "strangers", "consistent"],
        rows,
    )
    for cost in costs:
        for fault in cost.faults:
            say(f"  INCONSISTENT {cost.service}: {fault}")
