"""The relay alone: from the commit of an outbox row to a consumer that has the event."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer

from schemas.events import AssessmentStarted
from schemas.topics import ASSESSMENT
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.postgres.connection import Engine
from services.kernel.postgres.database import create_engine
from services.kernel.processing.publication import entry
from services.kernel.processing.service import Context
from services.kernel.store import journal
from tests.bench.backlog import START
from tests.bench.percentiles import summary
from tests.bench.say import table
from tests.bench.stage import BenchFailed, Stage
from tests.bench.variants import LEADLINE

WARM_UP = 50
"""The first events are not counted: connections are made, code is run for the first time."""
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Relayed:
    """How long events took from commit to consumer."""

    per_second: int
    seconds: list[float]

    @property
    def figures(self) -> dict[str, float]:
        """Return percentiles in milliseconds."""
        return summary(self.seconds)


async def measure_relay(stage: Stage, *, per_second: int, seconds: float) -> Relayed:
    """Write single events into the journal of an idle worker's store, evenly, and see them arrive."""
    await stage.topics(ASSESSMENT.partitions)
    count = WARM_UP + int(per_second * seconds)
    async with (
        stage.store() as store,
        stage.processes(LEADLINE.name, LEADLINE.argv, stage.env(store)),
    ):
        await stage.joined(LEADLINE.group, 1, ASSESSMENT.partitions, "referral-events")
        engine = create_engine(stage.settings(store), "assessment")
        consumer = AIOKafkaConsumer(
            ASSESSMENT.name, bootstrap_servers=stage.engines.kafka, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            committed: dict[str, float] = {}
            receiving = asyncio.create_task(_receive(consumer, count))
            await _write(engine, count, per_second, committed)
            async with asyncio.timeout(PATIENCE_SECONDS):
                received = await receiving
        except TimeoutError:
            raise BenchFailed(f"the relay did not publish {count} events") from None
        finally:
            receiving.cancel()
            with suppress(asyncio.CancelledError):
                await receiving
            await consumer.stop()
            await engine.dispose()
    return Relayed(per_second, _spans(committed, received))


def _spans(committed: Mapping[str, float], received: Mapping[str, float]) -> list[float]:
    counted = list(committed)[WARM_UP:]
    return [received[event_id] - committed[event_id] for event_id in counted]


async def _write(engine: Engine, count: int, per_second: int, committed: dict[str, float]) -> None:
    begun = time.monotonic()
    for number in range(count):
        await asyncio.sleep(max(0.0, begun + number / per_second - time.monotonic()))
        row = entry(_event(START), 1, Context(START, uuid4(), uuid4(), WorkingCalendar()))
        async with engine.begin() as connection:
            await journal.append(connection, [row], now=START)
        committed[str(row.event_id)] = time.monotonic()


async def _receive(consumer: AIOKafkaConsumer, count: int) -> dict[str, float]:
    received: dict[str, float] = {}
    while len(received) < count:
        polled = await consumer.getmany(timeout_ms=500)
        now = time.monotonic()
        for records in polled.values():
            for record in records:
                received.setdefault(dict(record.headers)["ce_id"].decode(), now)
    return received


def _event(now: datetime) -> AssessmentStarted:
    child: UUID = uuid4()
    return AssessmentStarted(
        child_id=child,
        case_id=uuid4(),
        referral_id=uuid4(),
        locality="ely",
        team="lt-ely",
        indicated_level=2,
        started_at=now,
    )


def show(relayed: Relayed) -> None:
    """Print the relay's percentiles."""
    found = relayed.figures
    table(
        f"relay alone, {relayed.per_second} events a second: outbox row committed to consumer",
        ["", "p50 ms", "p99 ms", "p99.9 ms"],
        [["relay", *(f"{found[name]:.1f}" for name in ("p50", "p99", "p999"))]],
    )
