"""Where a worker's CPU time goes: each of its stages alone, in this process, on the same events."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from schemas.events import ReferralAccepted
from schemas.topics import REFERRAL
from services.assessment.app import build
from services.assessment.model import Caseload
from services.kernel.base import garbage
from services.kernel.base.clock import clock_of
from services.kernel.base.settings import Settings
from services.kernel.kafka.consumer import BatchConsumer
from services.kernel.messages.arrivals import Arrival, Subscriber
from services.kernel.messages.record import Record
from services.kernel.postgres.database import create_engine
from services.kernel.processing.batches import BatchProcessor
from services.kernel.processing.relay import Relay
from tests.bench.peers.deciding import Decider, Incoming
from tests.bench.run import Work
from tests.bench.say import table
from tests.bench.stage import Stage, until

GROUP = "bench-split"


@dataclass(frozen=True)
class Split:
    """CPU microseconds per event of the worker's own thread, by stage. The database's own is not in it."""

    read: float
    decode: float
    decide: float
    store: float
    relay: float


async def measure_split(stage: Stage, work: Work, *, batch: int) -> Split:
    """Run each stage alone. `decide` holds all that is pure: rules, ids, deadlines, JSON of what goes out.

    Python looks for cycles as often as it does in a worker, from here on in this whole process.
    """
    garbage.look_less_often()
    await stage.topics(4)
    await stage.fill(REFERRAL.name, work.messages)
    records: list[Record] = []
    async with stage.store() as store:
        settings = stage.settings(store)
        read = await _read(settings, records, len(work.messages), batch)
        begun = time.process_time()
        arrivals = _decoded(settings, records)
        decode = time.process_time() - begun
        decide = _decide(settings, arrivals, batch)
        delivered = await _deliver(settings, records, batch)
        relay = await _relay(stage, settings, store)
    scale = 1e6 / len(work.messages)
    return Split(
        read=read * scale,
        decode=decode * scale,
        decide=decide * scale,
        store=max(0.0, delivered - decode - decide) * scale,
        relay=relay * scale,
    )


async def _read(settings: Settings, records: list[Record], count: int, batch: int) -> float:
    async def keep(polled: Sequence[Record]) -> None:
        records.extend(polled)

    intake = BatchConsumer(
        topics=[REFERRAL.name],
        group=GROUP,
        bootstrap=settings.kafka,
        prepare=list,
        deliver=keep,
        max_batch=batch,
    )

    async def all_read() -> bool:
        return len(records) >= count

    begun = time.process_time()
    await intake.start()
    await until(all_read, "the intake reads the backlog")
    used = time.process_time() - begun
    await intake.stop()
    return used


def _decoded(settings: Settings, records: Sequence[Record]) -> list[Arrival]:
    types = {event_class.wire_type: event_class for event_class in build(settings).handlers}
    reception = Subscriber("assessment", types, settings.max_value_bytes)
    return [arrival for record in records if (arrival := reception.receive(record)) is not None]


def _decide(settings: Settings, arrivals: Sequence[Arrival], batch: int) -> float:
    decider = Decider(settings)
    incoming = [
        Incoming(arrival.event, arrival.message_id, arrival.correlation)
        for arrival in arrivals
        if isinstance(arrival.event, ReferralAccepted)
    ]
    caseloads = {person: Caseload(person) for person in decider.people(incoming)}
    begun = time.process_time()
    for first in range(0, len(incoming), batch):
        outcome = decider.decide(incoming[first : first + batch], (), caseloads)
        caseloads |= {one.practitioner_id: one for one in outcome.caseloads}
    return time.process_time() - begun


async def _deliver(settings: Settings, records: Sequence[Record], batch: int) -> float:
    service, engine = build(settings), create_engine(settings, "assessment")
    delivery = BatchProcessor(service, engine, clock_of(settings), calendar=service.calendar)
    begun = time.process_time()
    for first in range(0, len(records), batch):
        await delivery.deliver(records[first : first + batch])
    used = time.process_time() - begun
    await engine.dispose()
    return used


async def _relay(stage: Stage, settings: Settings, store: str) -> float:
    relay = Relay(settings, service="assessment")
    begun = time.process_time()
    await relay.start()
    async with stage.connection(f"{store}_assessment") as connection:
        while await connection.fetchval("SELECT count(*) FROM outbox"):
            await asyncio.sleep(0.2)
    used = time.process_time() - begun
    await relay.stop()
    return used


def figures(split: Split) -> dict[str, float]:
    """Return the split's part of the report."""
    return {stage: round(spent, 1) for stage, spent in asdict(split).items()}


def show(split: Split) -> None:
    """Print where the time goes."""
    stages = {
        "read (intake)": split.read,
        "decode (envelope, pydantic)": split.decode,
        "decide (rules, ids, deadlines, JSON)": split.decide,
        "store (the driver's side of the statements)": split.store,
        "relay (three events out)": split.relay,
    }
    total = sum(stages.values())
    rows = [[name, f"{spent:,.0f}", f"{spent / total:.0%}"] for name, spent in stages.items()]
    table(
        "the worker's own CPU time, each stage run alone",
        ["stage", "us per event", "share"],
        [*rows, ["all", f"{total:,.0f}", ""]],
    )
