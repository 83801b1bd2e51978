"""The limit: the database doing only our statements, and the broker only moving our bytes."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from asyncpg.prepared_stmt import PreparedStatement

from schemas.topics import ASSESSMENT, REFERRAL
from services.assessment.app import build
from services.assessment.pack import AssessmentPack
from services.kernel.base.clock import clock_of
from services.kernel.messages.record import Record
from services.kernel.postgres.database import create_engine
from services.kernel.processing.batches import BatchProcessor
from services.kernel.processing.outgoing import Encoder
from services.kernel.processing.relay import BATCH as RELAY_BATCH
from services.kernel.store.relaying import PENDING, Pending, Relaying
from tests.bench.backlog import Message
from tests.bench.recount import recount
from tests.bench.run import Work
from tests.bench.say import table
from tests.bench.stage import Stage

DIRECT = ("fetch", "fetchrow", "fetchval", "execute", "executemany", "copy_records_to_table")
PREPARED = ("fetch", "fetchrow", "fetchval", "executemany")
CONNECTIONS = (1, 2)


@dataclass(frozen=True)
class Call:
    """One call of the database driver, with its arguments as they were."""

    method: str
    query: str
    args: tuple[Any, ...]
    named: dict[str, Any]


Transaction = Sequence[Call]


@dataclass(frozen=True)
class Limit:
    """Events per second when only one part works. The broker's figure includes a Python client's work."""

    database_by_connections: dict[int, float]
    broker_events_s: float
    faults: tuple[str, ...]

    def events_s(self, workers: int) -> float:
        """Return what neither part lets so many workers exceed: each has one transaction at a time."""
        return min(self.database_by_connections[workers], self.broker_events_s)


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """Record every call of asyncpg that sends a statement, whoever makes it."""
    calls: list[Call] = []

    def spy(owner: type[Any], method: str, *, prepared: bool) -> Any:
        original = getattr(owner, method)

        async def call(self: Any, *args: Any, **named: Any) -> Any:
            if prepared:
                calls.append(Call(method, self.get_query(), args, {}))
            else:
                calls.append(Call(method, args[0], args[1:], named))
            return await original(self, *args, **named)

        return patch.object(owner, method, call)

    with ExitStack() as stack:
        for method in DIRECT:
            stack.enter_context(spy(asyncpg.Connection, method, prepared=False))
        for method in PREPARED:
            stack.enter_context(spy(PreparedStatement, method, prepared=True))
        yield calls


def transactions(calls: Sequence[Call]) -> list[Transaction]:
    """Return the calls between BEGIN and COMMIT, both included; whatever came in between is dropped."""
    found: list[Transaction] = []
    running: list[Call] | None = None
    for call in calls:
        word = call.query.strip(" ;").upper()
        if word.startswith("BEGIN"):
            running = [call]
        elif running is not None:
            running.append(call)
            if word.startswith("COMMIT"):
                found.append(running)
                running = None
    return found


async def measure_limit(stage: Stage, work: Work, pack: AssessmentPack, *, batch: int) -> Limit:
    """Record what a backlog makes us say to the database; say it again with nobody deciding anything."""
    await stage.topics(4)
    async with stage.store() as store:
        script = await _script(stage, store, work, batch)
        async with stage.connection(f"{store}_assessment") as connection:
            rows = await connection.fetch(PENDING, work.published)
    speeds: dict[int, float] = {}
    faults: list[str] = []
    for count in CONNECTIONS:
        async with stage.store() as store:
            speeds[count] = len(work.referrals) / await _replay(stage, store, script, count)
            if count == 1:
                async with stage.connection(f"{store}_assessment") as connection:
                    faults = await recount(connection, work.referrals, pack)
    encoder = Encoder("/leadline/assessment")
    outgoing = [encoder.encode(Pending(*row)) for row in rows]
    await stage.fill(REFERRAL.name, work.messages)
    seconds = await _move(stage, len(work.messages), outgoing)
    return Limit(speeds, len(work.referrals) / seconds, tuple(faults))


async def _script(stage: Stage, store: str, work: Work, batch: int) -> list[Transaction]:
    settings = stage.settings(store)
    service, engine = build(settings), create_engine(settings, "assessment")
    delivery = BatchProcessor(service, engine, clock_of(settings), calendar=service.calendar)
    records = [
        Record(REFERRAL.name, 0, offset, key, value, tuple(headers))
        for offset, (key, value, headers) in enumerate(work.messages)
    ]
    try:
        with recorded() as calls:
            for begin in range(0, len(records), batch):
                await delivery.deliver(records[begin : begin + batch])
    finally:
        await engine.dispose()
    return transactions(calls)


async def _replay(stage: Stage, store: str, script: Sequence[Transaction], count: int) -> float:
    """Return the seconds that `count` connections need for the script, whose transactions they share out.

    The relay's statements run beside them, on its own connection and with its own batches: the database
    has done its part of an event when the event has left the outbox.
    """
    dsn = stage.dsn(f"{store}_assessment")
    connections = [await asyncpg.connect(dsn) for _ in range(count)]
    woken, written = asyncio.Event(), asyncio.Event()
    try:
        todo = iter(script)

        async def work(connection: "asyncpg.Connection[Any]") -> None:
            for transaction in todo:
                for call in transaction:
                    await getattr(connection, call.method)(call.query, *call.args, **call.named)

        async def relay(relaying: Relaying) -> None:
            await relaying.listen(woken.set)
            while True:
                woken.clear()
                last = written.is_set()
                if pending := await relaying.pending(RELAY_BATCH):
                    await relaying.sent([row.position for row in pending], {0: 1}, cluster_id="limit")
                elif last:
                    return
                else:
                    await woken.wait()

        async with Relaying(dsn, ASSESSMENT.name) as relaying:
            begun = time.monotonic()
            relayed = asyncio.create_task(relay(relaying))
            await asyncio.gather(*(work(connection) for connection in connections))
            written.set()
            woken.set()
            await relayed
            return time.monotonic() - begun
    finally:
        for connection in connections:
            await connection.close()


async def _move(stage: Stage, incoming: int, outgoing: Sequence[Message]) -> float:
    """Return the seconds in which one client reads what came in and another writes what goes out."""
    consumer = AIOKafkaConsumer(
        REFERRAL.name,
        bootstrap_servers=stage.engines.kafka,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=stage.engines.kafka, acks="all", linger_ms=0, max_batch_size=256 * 1024
    )
    await consumer.start()
    await producer.start()

    async def read() -> None:
        left = incoming
        while left > 0:
            polled = await consumer.getmany(timeout_ms=500)
            left -= sum(len(records) for records in polled.values())

    async def write() -> None:
        for key, value, headers in outgoing:
            await producer.send(ASSESSMENT.name, value, key, headers=headers)
        await producer.flush()

    try:
        begun = time.monotonic()
        await asyncio.gather(read(), write())
        return time.monotonic() - begun
    finally:
        await consumer.stop()
        await producer.stop()


def show(limit: Limit, ours: Mapping[int, float | None]) -> None:
    """Print the limit's table; `ours` by workers, None when the pipeline was not measured in the same run."""

    def share(workers: int, limited: float) -> str:
        speed = ours[workers]
        return "-" if speed is None else f"{speed / limited:.0%}"

    broker = limit.broker_events_s
    rows = [
        [
            f"database, our statements only, connections: {count}",
            f"{speed:,.0f}",
            share(1, speed),
            share(2, speed),
        ]
        for count, speed in limit.database_by_connections.items()
    ]
    rows.append(
        ["broker, our bytes only, Python clients", f"{broker:,.0f}", share(1, broker), share(2, broker)]
    )
    heads = ["part", "events/s", "our one worker", "our two workers"]
    table("the limit, and our share of it", heads, rows)
