"""A child's chronology on the real store: whatever is read stands in it once, in its place."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from schemas import events as e
from schemas.events import Event
from schemas.example_files import example
from services.kernel.messages.envelope import message_id
from services.kernel.messages.record import Record
from services.kernel.processing.batches import BatchProcessor
from services.kernel.processing.service import Produced
from services.notify.alerts.model import AcknowledgeAlert
from services.notify.app import build
from services.notify.chronology import store as chronology
from services.notify.chronology.store import OCCURRED, occurred_at
from services.notify.handlers import HANDLERS
from tests.builders import (
    CASE,
    CHILD,
    LEAD,
    MONDAY,
    assessment_started,
    deadline_overdue,
    lead_professional_assigned,
    placement_ended,
    placement_started,
)
from tests.flow.conftest import TABLES, Bench, MakeBench

pytestmark = pytest.mark.connected

EVERY = sorted(HANDLERS, key=lambda event: event.wire_type)


@pytest.fixture
async def notify(bench: MakeBench) -> Bench:
    return await bench("notify", build)


async def chronology_of(bench: Bench, child: UUID | None = None) -> list[Any]:
    """The rows of a child, or of all, in the order of a chronology."""
    return await bench.rows(
        "SELECT * FROM chronology WHERE CAST(:child AS uuid) IS NULL OR child_id = :child"
        " ORDER BY occurred_at, sequence, type, event_id",
        child=child,
    )


async def heard(bench: Bench) -> list[Any]:
    return await bench.rows("SELECT * FROM heard_events ORDER BY message_id")


def examples(bench: Bench) -> list[Record]:
    """Every event that the service reads, once, as its example has it."""
    records = []
    for number, event_class in enumerate(EVERY, 1):
        event = event_class.model_validate(example(event_class, "full"))
        records.append(bench.record(event, source="/leadline/elsewhere", sequence=number))
    return records


async def test_every_event_that_is_read_stands_there_as_it_travelled(notify: Bench) -> None:
    """Id, source, type, subject, number, case and data of the event; nothing is parked."""
    await notify.delivery.deliver(examples(notify))
    assert await notify.rows("SELECT 1 FROM dead_letters") == []
    rows = {row.type: row for row in await heard(notify)}
    assert set(rows) == {event.wire_type for event in EVERY}
    for number, event_class in enumerate(EVERY, 1):
        event = event_class.model_validate(example(event_class, "full"))
        row = rows[event.wire_type]
        assert row.message_id == message_id(row.source, row.event_id)
        assert (row.source, row.sequence) == ("/leadline/elsewhere", number)
        assert (row.child_id, row.subject) == (event.child_id, event.subject)
        assert row.case_id == getattr(event, "case_id", None)
        assert json.loads(row.data) == event.model_dump(mode="json")


async def test_reading_everything_again_changes_nothing(notify: Bench) -> None:
    """A wiped broker is filled from the journals again: every event has been heard already."""
    records = examples(notify)
    await notify.delivery.deliver(records)
    before = await heard(notify)
    notify.clock.move(timedelta(days=3))
    for _ in range(2):
        await notify.delivery.deliver(records)
    assert await heard(notify) == before


async def test_chronology_follows_from_the_events_alone(notify: Bench) -> None:
    """Another store that reads the same events, later and in another order, has the same chronology."""
    records = examples(notify)
    await notify.delivery.deliver(records)
    before = await heard(notify)
    async with notify.engine.begin() as connection:
        tables = (await connection.execute(text(TABLES))).scalar_one()
        await connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
    notify.clock.move(timedelta(days=30))
    random.Random(7).shuffle(records)
    for record in records:
        await notify.delivery.deliver([record])
    assert await heard(notify) == before
    assert len(before) == len(EVERY)


async def test_a_batch_costs_one_statement(notify: Bench) -> None:
    """However many events come together, the chronology asks the database once."""
    asked: list[int] = []

    class Counting:
        async def execute(self, _statement: object, parameters: dict[str, list[Any]]) -> list[Any]:
            asked.append(len(parameters["message_id"]))
            return []

    arrivals = notify.delivery.prepare(examples(notify)).arrivals
    await chronology.hear(Counting(), arrivals)  # type: ignore[arg-type]  # it executes, and nothing more
    await chronology.hear(Counting(), [])  # type: ignore[arg-type]
    assert asked == [len(EVERY)]


async def test_crash_before_commit_leaves_nothing_in_the_chronology(
    notify: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an event leads to and its place in the chronology stand or fall together."""
    hear = chronology.hear

    async def crash(*arguments: Any) -> None:
        await hear(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(chronology, "hear", crash)
        with pytest.raises(KeyboardInterrupt):
            await notify.deliver(assessment_started(), lead_professional_assigned())
    assert await chronology_of(notify) == []
    await notify.deliver(assessment_started(), lead_professional_assigned())
    assert [row.type for row in await heard(notify)] != []
    assert len(await heard(notify)) == 2


async def test_two_workers_that_read_the_same_events_write_each_once(notify: Bench) -> None:
    """A rebalance hands a partition on before its batch is committed."""
    records = [
        notify.record(event)
        for event in (assessment_started(), lead_professional_assigned(), deadline_overdue())
    ]
    other = BatchProcessor(notify.service, notify.engine, notify.clock, calendar=notify.calendar)
    await asyncio.gather(notify.delivery.deliver(records), other.deliver(records))
    assert sorted(row.type for row in await heard(notify)) == [
        "assessment.started.v1",
        "deadline.overdue.v1",
        "lead_professional.assigned.v1",
    ]


async def test_an_event_set_aside_comes_into_the_chronology_when_it_is_replayed(notify: Bench) -> None:
    """Nothing is told of what was not handled; afterwards it stands where it belongs in time."""

    def fail(*_: object) -> Sequence[Produced]:
        message = "a mistake of ours"
        raise LookupError(message)

    handlers = dict(notify.service.handlers)
    broken = replace(notify.service, handlers={**handlers, e.AssessmentStarted: fail})
    failing = BatchProcessor(broken, notify.engine, notify.clock, calendar=notify.calendar)
    await failing.deliver([notify.record(event) for event in (assessment_started(), deadline_overdue())])
    assert [row.type for row in await heard(notify)] == ["deadline.overdue.v1"]
    (letter,) = await notify.rows("SELECT dead_letter_id FROM dead_letters")
    (settled,) = await notify.replay.replay(letter.dead_letter_id, by="W-0001")
    assert settled.outcome == "replayed"
    assert {row.type for row in await heard(notify)} == {"assessment.started.v1", "deadline.overdue.v1"}


async def test_field_that_was_not_agreed_is_not_kept(notify: Bench) -> None:
    """A newer producer may send more; what our model does not name could be anything."""
    record = notify.record(assessment_started())
    assert record.value is not None
    named = record._replace(value=record.value[:-1] + b',"child_name":"Marked Name"}')
    await notify.delivery.deliver([named])
    (row,) = await heard(notify)
    assert json.loads(row.data) == assessment_started().model_dump(mode="json")


async def test_our_own_events_stand_beside_the_others_at_once(notify: Bench) -> None:
    """An alert and its acknowledgement are evidence: they need not travel over the bus to be seen."""
    await notify.deliver(assessment_started(), lead_professional_assigned(), deadline_overdue())
    (alert,) = await notify.rows(
        "SELECT alert_id FROM alerts WHERE recipient_id = :lead AND kind LIKE 'deadline%'", lead=LEAD
    )
    notify.clock.move(timedelta(hours=1))
    await notify.execute(AcknowledgeAlert(alert_id=alert.alert_id, acknowledged_by=LEAD))
    rows = await chronology_of(notify, CHILD)
    assert rows[-1].type == "alert.acknowledged.v1"
    assert (rows[-1].source, rows[-1].subject) == ("/leadline/notify", alert.alert_id)
    assert rows[-1].occurred_at == MONDAY + timedelta(hours=1)
    types = [row.type for row in rows]
    assert types.count("alert.raised.v2") == len(await notify.rows("SELECT 1 FROM alerts"))
    assert {row.case_id for row in rows if row.type == "alert.raised.v2"} == {CASE}
    assert len({row.message_id for row in rows}) == len(rows)


async def test_own_event_that_is_read_back_stands_there_once(notify: Bench) -> None:
    """The bus brings our own events back to us; the journal has had them before."""
    event = e.KeyWorkerAssigned(
        child_id=CHILD, key_worker_id="W-0602", assigned_by="W-0600", assigned_at=MONDAY
    )
    async with notify.engine.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO journal (event_id, type, subject, sequence, key, time, correlation_id,
                                     causation_id, data)
                VALUES (:event_id, :type, :child, 1, :child, :now, :child, :child, CAST(:data AS json))
            """),
            {
                "event_id": UUID(int=77),
                "type": event.wire_type,
                "child": CHILD,
                "now": MONDAY,
                "data": event.encode().decode(),
            },
        )
    (alone,) = await chronology_of(notify, CHILD)
    assert alone.event_id == str(UUID(int=77))
    record = notify.record(event, event_id=str(UUID(int=77)), source="/leadline/notify", sequence=1)
    await notify.delivery.deliver([record])
    rows = [row for row in await chronology_of(notify, CHILD) if row.type == event.wire_type]
    assert [row.message_id for row in rows] == [message_id("/leadline/notify", str(UUID(int=77)))]


async def test_imported_history_stands_where_it_belongs(notify: Bench) -> None:
    """A stay of five years ago comes before this morning's assessment, though it was read after it."""
    placed = placement_started(on=date(2021, 7, 5), case_id=None, origin="ssda903")
    await notify.deliver(assessment_started())
    await notify.deliver(placed)
    rows = await heard(notify)
    assert [row.type for row in sorted(rows, key=lambda row: row.occurred_at)] == [
        "placement.started.v1",
        "assessment.started.v1",
    ]
    assert {row.occurred_at for row in rows} == {datetime(2021, 7, 4, 23, 0, tzinfo=UTC), MONDAY}


@pytest.mark.parametrize(
    ("stated", "moment"),
    [
        (date(2026, 9, 7), MONDAY),
        (date(2026, 9, 6), datetime(2026, 9, 5, 23, 0, tzinfo=UTC)),
        (date(2026, 9, 10), datetime(2026, 9, 9, 23, 0, tzinfo=UTC)),
        (date(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC)),
    ],
)
def test_day_without_a_time_counts_from_its_beginning_and_today_from_now(
    stated: date, moment: datetime
) -> None:
    """London's day, in summer and winter; what was published on the day itself keeps its place in it."""
    ended = placement_ended(on=stated)
    assert occurred_at(ended, MONDAY) == moment


@pytest.mark.parametrize("event", EVERY, ids=lambda event: event.name)
def test_every_event_that_names_its_moment_is_ordered_by_it(event: type[Event]) -> None:
    """An event without an entry must have none of the usual fields, or its place would be its publication."""
    moments = [
        name
        for name in event.model_fields
        if name.endswith(("_at", "_on")) and not name.startswith(("due", "trigger"))
    ]
    if event in OCCURRED:
        assert OCCURRED[event] in moments
    else:
        assert moments == []
