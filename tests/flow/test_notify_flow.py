"""Alerts on the real store: the right person, at once, once."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from schemas import events as e
from schemas.events import Event
from schemas.example_files import example
from services.kernel.base.settings import Settings
from services.kernel.messages.faults import Refused
from services.kernel.processing.batches import BatchProcessor
from services.kernel.web.api import install_errors
from services.notify.alerts.model import AcknowledgeAlert
from services.notify.app import build, extras
from services.notify.due_scanner import DueScanner
from services.notify.handlers import HANDLERS
from services.notify.queries.rates import RatesMeasured
from services.notify.web import router
from tests.builders import (
    CHILD,
    MONDAY,
    assessment_started,
    case_closed,
    deadline_overdue,
    deadline_scheduled,
    lead_professional_assigned,
    placement_ended,
    referral_received,
)
from tests.flow.conftest import Bench, MakeBench

pytestmark = pytest.mark.connected

TABLES = (
    "alerts",
    "deliveries",
    "referrers",
    "cases",
    "reviewing_officers",
    "journal",
    "outbox",
    "deadlines",
    "dead_letters",
    "inbox",
)


@pytest.fixture
async def notify(bench: MakeBench) -> Bench:
    return await bench("notify", build)


@pytest.fixture
async def mailing(bench: MakeBench) -> Bench:
    """The service with a mail server configured; none runs, and none is asked."""
    return await bench("notify", lambda settings: build(settings.model_copy(update={"smtp": "127.0.0.1:1"})))


async def state(bench: Bench) -> list[object]:
    """Everything the store holds."""
    return [await bench.rows(f"SELECT * FROM {table} ORDER BY 1") for table in TABLES]


async def told(bench: Bench) -> set[tuple[str, str]]:
    """The kind and recipient of every alert."""
    return {(row[0], row[1]) for row in await bench.rows("SELECT kind, recipient_id FROM alerts")}


async def test_journey_tells_each_person_of_each_step(notify: Bench) -> None:
    """Referrer, duty inbox, lead, manager: people learnt from one event are found by the next."""
    await notify.deliver(referral_received(), assessment_started(), lead_professional_assigned())
    await notify.deliver(deadline_overdue())
    await notify.deliver(placement_ended(), case_closed())
    assert await told(notify) == {
        ("referral.received", "school-1"),
        ("referral.received", "duty-lt-ely"),
        ("assessment.started", "W-0601"),
        ("lead_professional.assigned", "school-1"),
        ("lead_professional.assigned", "W-0601"),
        ("deadline.overdue:assessment", "W-0600"),
        ("deadline.overdue:assessment", "W-0601"),
        ("placement.ended", "W-0601"),
        ("placement.ended", "W-0002"),
        ("case.closed", "W-0601"),
        ("case.closed", "school-1"),
    }
    assert Counter(await notify.journal_types()) == {
        "alert.raised.v2": 11,
        "alert.reassigned.v1": 1,
        "alert.settled.v1": 2,  # a closed case asks for no first visit
    }
    assert [row[0] for row in await notify.rows("SELECT status FROM cases")] == ["closed"]


async def test_silent_event_alerts_nobody_and_stands_in_the_chronology(notify: Bench) -> None:
    """A scheduled deadline asks nobody for anything; a child's chronology has it all the same."""
    await notify.deliver(deadline_scheduled())
    assert await notify.rows("SELECT 1 FROM alerts") == []
    assert await notify.journal_types() == []
    assert [row.type for row in await notify.rows("SELECT type FROM chronology")] == ["deadline.scheduled.v1"]


async def test_known_case_is_written_only_when_it_changes(notify: Bench) -> None:
    """The second assignment says nothing new; the referrer is nobody's news after the referral."""
    await notify.deliver(referral_received(), assessment_started(), lead_professional_assigned())
    written = "SELECT xmin::text FROM cases UNION ALL SELECT xmin::text FROM referrers ORDER BY 1"
    before = await notify.rows(written)
    await notify.deliver(lead_professional_assigned(at=MONDAY + timedelta(hours=1)))
    assert await notify.rows(written) == before


async def test_journal_holds_what_the_table_says(notify: Bench) -> None:
    """The event alone would be enough to make the alert again, words included."""
    await notify.deliver(
        referral_received(), assessment_started(), lead_professional_assigned(), deadline_overdue()
    )
    journal = await notify.journal()
    published = {event.subject: event for event in journal if isinstance(event, e.AlertRaised)}
    moved = {event.subject for event in journal if isinstance(event, e.AlertReassigned)}
    rows = await notify.rows("SELECT * FROM alerts WHERE alert_id <> ALL(:moved)", moved=list(moved))
    assert len(rows) == len(published) - 1 == 6
    for row in rows:
        event = published[row.alert_id].model_dump()
        assert {name: row[name] for name in event} == event


@pytest.mark.parametrize("event_class", list(HANDLERS), ids=lambda event_class: event_class.wire_type)
async def test_redelivered_event_changes_nothing(mailing: Bench, event_class: type[Event]) -> None:
    """Twice in one poll, and again in a later one: tables, journal and emails stay as they were."""
    event = event_class.model_validate(example(event_class, "full"))
    await mailing.deliver(event)
    before = await state(mailing)
    assert await mailing.rows("SELECT 1 FROM dead_letters") == []
    await mailing.deliver(event, event)
    await mailing.deliver(event)
    assert await state(mailing) == before


async def test_two_batches_leave_what_one_leaves(notify: Bench, bench: MakeBench) -> None:
    """How a poll cuts the events is nobody's business."""
    events = (
        referral_received(),
        assessment_started(),
        lead_professional_assigned(),
        deadline_overdue(),
        deadline_overdue(number=51),
        placement_ended(),
        case_closed(),
    )
    await notify.deliver(*events)
    whole = [await notify.rows(f"SELECT * FROM {table} ORDER BY 1") for table in ("alerts", "cases")]
    again = await bench("notify", build)
    for event in events:
        await again.deliver(event)
    assert [await again.rows(f"SELECT * FROM {table} ORDER BY 1") for table in ("alerts", "cases")] == whole


async def test_news_out_of_order_reaches_somebody_and_a_closed_case_stays_closed(notify: Bench) -> None:
    """The closing overtakes; nobody is dropped, and the late assignment reopens nothing."""
    await notify.deliver(
        deadline_overdue(),
        case_closed(),
        lead_professional_assigned(),
        assessment_started(),
        referral_received(),
    )
    assert ("deadline.overdue:assessment", "W-0001") in await told(notify)
    assert ("deadline.overdue:assessment", "integrated-access-team") in await told(notify)
    (case,) = await notify.rows("SELECT status, lead_professional_id FROM cases")
    assert tuple(case) == ("closed", None)


async def test_older_referral_does_not_replace_a_newer_referrer(notify: Bench) -> None:
    """Neither in one batch nor across two."""
    old = referral_received(agency_id="gp-2", at=datetime.fromisoformat("2026-01-05T09:00:00Z"))
    await notify.deliver(referral_received())
    await notify.deliver(old)
    assert [row[0] for row in await notify.rows("SELECT agency_id FROM referrers")] == ["school-1"]


async def test_event_that_cannot_be_read_is_parked_and_later_ones_of_its_case_pass(notify: Bench) -> None:
    """An alert late is worse than one out of order; operations hear through the bus."""
    broken = notify.record(lead_professional_assigned())
    broken = type(broken)(broken.topic, 0, broken.offset, broken.key, b"{}", broken.headers)
    await notify.delivery.deliver([broken, notify.record(deadline_overdue())])
    assert [row[0] for row in await notify.rows("SELECT state FROM dead_letters")] == ["parked"]
    assert ("deadline.overdue:assessment", "W-0001") in await told(notify)
    (parked,) = [event for event in await notify.journal() if isinstance(event, e.EventParked)]
    await notify.deliver(parked)
    assert ("event.parked", "leadline-operations") in await told(notify)


async def test_crash_before_commit_leaves_nothing_and_redelivery_everything(
    mailing: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alert, email, journal and claim stand or fall together."""
    save = type(mailing.service.store).save

    async def crash(*arguments: Any) -> None:
        await save(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(type(mailing.service.store), "save", crash)
    with pytest.raises(KeyboardInterrupt):
        await mailing.deliver(referral_received())
    for table in (*TABLES, "inbox"):
        assert await mailing.rows(f"SELECT 1 FROM {table}") == [], table
    monkeypatch.setattr(type(mailing.service.store), "save", save)
    await mailing.deliver(referral_received())
    assert len(await mailing.rows("SELECT 1 FROM alerts")) == 2
    assert len(await mailing.rows("SELECT 1 FROM deliveries")) == 1


async def test_two_workers_that_get_the_same_events_tell_everybody_once(mailing: Bench) -> None:
    """A rebalance hands a partition on before its batch is committed; the second worker finds it done."""
    records = [
        mailing.record(event)
        for event in (
            referral_received(),
            assessment_started(),
            lead_professional_assigned(),
            deadline_overdue(),
        )
    ]
    other = BatchProcessor(mailing.service, mailing.engine, mailing.clock, calendar=mailing.calendar)
    await asyncio.gather(mailing.delivery.deliver(records), other.deliver(records))
    assert await mailing.rows("SELECT 1 FROM dead_letters") == []
    assert Counter(await mailing.journal_types()) == {
        "alert.raised.v2": 7,
        "alert.reassigned.v1": 1,
        "notification.queued.v1": 4,
    }
    assert len(await mailing.rows("SELECT 1 FROM deliveries")) == 4


async def test_only_alerts_that_cannot_wait_are_mailed(mailing: Bench) -> None:
    """The duty inbox must decide soon; the referrer's receipt is routine."""
    await mailing.deliver(referral_received())
    rows = await mailing.rows("SELECT recipient_id, state FROM deliveries")
    assert [tuple(row) for row in rows] == [("duty-lt-ely", "queued")]


async def test_without_mail_server_nothing_is_queued_and_no_mailer_runs(notify: Bench) -> None:
    """Nothing queues for ever, and a server added later floods nobody."""
    await notify.deliver(referral_received())
    assert await notify.rows("SELECT 1 FROM deliveries") == []
    parts = extras(Settings(smtp=None), notify.engine, notify.clock)
    assert [type(part) for part in parts] == [DueScanner, RatesMeasured]


async def an_alert(bench: Bench) -> UUID:
    await bench.deliver(
        referral_received(), assessment_started(), lead_professional_assigned(), deadline_overdue()
    )
    (row,) = await bench.rows(
        "SELECT alert_id FROM alerts WHERE recipient_id = 'W-0601' AND kind LIKE 'deadline%'"
    )
    alert_id: UUID = row[0]
    return alert_id


async def test_acknowledging_is_an_event_and_happens_once_per_key(notify: Bench) -> None:
    """The same request twice is one acknowledgement; so is another one after it."""
    alert_id = await an_alert(notify)
    command = AcknowledgeAlert(alert_id=alert_id, acknowledged_by="W-0601")
    for key in ("key-0001", "key-0001", "key-0002"):
        await notify.execute(command, key=key)
    seen = [event for event in await notify.journal() if isinstance(event, e.AlertAcknowledged)]
    assert [(event.alert_id, event.acknowledged_by) for event in seen] == [(alert_id, "W-0601")]


async def test_unknown_alert_cannot_be_acknowledged(notify: Bench) -> None:
    """A refusal leaves nothing behind."""
    with pytest.raises(Refused, match="There is no alert"):
        await notify.execute(AcknowledgeAlert(alert_id=CHILD, acknowledged_by="W-0601"))
    assert await notify.journal() == []


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("state without time", "UPDATE alerts SET status = 'acknowledged'"),
        ("unknown urgency", "UPDATE alerts SET urgency = 'whenever'"),
        ("closed case with a lead", "UPDATE cases SET status = 'closed'"),
        (
            "seen and still escalating",
            """UPDATE alerts SET next_escalation_at = now(), status = 'acknowledged', acknowledged_at = now(),
                acknowledged_by = 'W-0601'""",
        ),
        ("repeated without time", "UPDATE alerts SET repeats = 1"),
        ("held for ever", "UPDATE deliveries SET state = 'held'"),
        ("sent without time", "UPDATE deliveries SET state = 'sent'"),
        ("delivered without time", "UPDATE deliveries SET state = 'delivered', sent_at = now()"),
        ("given up without reason", "UPDATE deliveries SET state = 'failed'"),
        ("webhook without subscription", "UPDATE deliveries SET channel = 'webhook'"),
    ],
)
async def test_database_refuses_states_that_must_not_be(mailing: Bench, what: str, change: str) -> None:
    """Whatever code does wrong, these cannot be written."""
    await an_alert(mailing)
    with pytest.raises(Exception, match="violates check constraint"):
        async with mailing.engine.begin() as connection:
            await connection.execute(text(change))


def client_of(bench: Bench) -> httpx.AsyncClient:
    app = FastAPI()
    install_errors(app)
    app.include_router(router(bench.executor))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_alerts_are_listed_by_recipient_state_kind_and_urgency(notify: Bench) -> None:
    """Open ones by default, the newest first, or what is due first."""
    alert_id = str(await an_alert(notify))
    async with client_of(notify) as client:

        async def kinds(query: str) -> list[str]:
            answer = (await client.get(f"/alerts?{query}")).json()
            assert answer["total"] == len(answer["items"])
            return [item["kind"] for item in answer["items"]]

        others = ["assessment.started", "lead_professional.assigned"]
        assert sorted(await kinds("recipient=W-0601")) == [
            others[0],
            "deadline.overdue:assessment",
            others[1],
        ]
        by_due = await kinds("recipient=W-0601&sort=due")
        assert by_due[0] == "deadline.overdue:assessment"  # the only one with a date comes first
        assert await kinds("recipient=W-0601&urgency=soon") == ["lead_professional.assigned"]
        assert await kinds("kind=lead_professional.assigned&recipient=school-1") == [
            "lead_professional.assigned"
        ]
        assert await kinds("recipient=W-0601&state=acknowledged") == []
        await client.post(
            f"/alerts/{alert_id}/acknowledgement",
            json={"acknowledged_by": "W-0601"},
            headers={"Idempotency-Key": "key-0001"},
        )
        assert sorted(await kinds("recipient=W-0601")) == others
        assert await kinds("recipient=W-0601&state=acknowledged") == ["deadline.overdue:assessment"]
        assert len(await kinds("recipient=W-0601&state=all")) == 3


async def test_what_was_settled_before_anybody_saw_it_is_no_longer_to_be_done(notify: Bench) -> None:
    """It leaves the list of what is open, and stands in one of its own until it is marked as seen."""
    await notify.deliver(
        referral_received(), assessment_started(), lead_professional_assigned(), case_closed()
    )
    async with client_of(notify) as client:

        async def kinds(state: str) -> list[str]:
            answer = (await client.get(f"/alerts?recipient=W-0601&state={state}")).json()
            return sorted(item["kind"] for item in answer["items"])

        assert await kinds("open") == ["case.closed"]
        assert await kinds("settled") == ["assessment.started", "lead_professional.assigned"]
        assert len(await kinds("all")) == 3


async def test_one_alert_names_its_cause_and_its_deliveries(mailing: Bench) -> None:
    """From an alert one can find the event that raised it."""
    alert_id = await an_alert(mailing)
    (claimed,) = await mailing.rows(
        "SELECT causation_id FROM journal WHERE subject = :id AND sequence = 1", id=alert_id
    )
    async with client_of(mailing) as client:
        answer = (await client.get(f"/alerts/{alert_id}")).json()
        missing = await client.get(f"/alerts/{CHILD}")
    assert answer["cause"] == {"message_id": str(claimed[0]), "type": "deadline.overdue"}
    (delivery,) = answer["deliveries"]
    assert (delivery["channel"], delivery["state"], delivery["reason"]) == ("email", "queued", None)
    assert answer["says"] == "Overdue since 7 September 2026: Conclude the assessment."
    assert missing.status_code == 404
    assert missing.json()["detail"].startswith("There is no alert")


async def test_acknowledging_over_http_answers_the_same_again(notify: Bench) -> None:
    """A retry gets the first answer; a second person sees who was first."""
    where = f"/alerts/{await an_alert(notify)}/acknowledgement"
    async with client_of(notify) as client:
        first = await client.post(
            where, json={"acknowledged_by": "W-0601"}, headers={"Idempotency-Key": "key-0001"}
        )
        retry = await client.post(
            where, json={"acknowledged_by": "W-0601"}, headers={"Idempotency-Key": "key-0001"}
        )
        other = await client.post(
            where, json={"acknowledged_by": "W-0600"}, headers={"Idempotency-Key": "key-0002"}
        )
    assert first.status_code == retry.status_code == other.status_code == 200
    assert first.json() == retry.json() == other.json()
    assert first.json()["acknowledged_by"] == "W-0601"
    assert first.json()["status"] == "acknowledged"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "query.limit"),
        ("state=lost", "query.state"),
        ("urgency=panic", "query.urgency"),
        ("recipient=two%20words", "query.recipient"),
        ("sort=random", "query.sort"),
    ],
)
async def test_bad_query_is_answered_with_the_field_that_is_wrong(
    notify: Bench, query: str, field: str
) -> None:
    """A problem says what to correct."""
    async with client_of(notify) as client:
        answer = await client.get(f"/alerts?{query}")
    assert answer.status_code == 422
    assert [mistake["field"] for mistake in answer.json()["mistakes"]] == [field]


async def test_figures_count_by_kind_urgency_status_and_delivery(mailing: Bench) -> None:
    """Four ways of counting one set of alerts."""
    await an_alert(mailing)
    async with client_of(mailing) as client:
        figures = (await client.get("/alerts/figures")).json()
    assert figures["total"] == 7
    for way in ("by_kind", "by_urgency", "by_status"):
        assert sum(figures[way].values()) == 7
    assert figures["by_kind"]["deadline.overdue:assessment"] == 2
    assert figures["by_urgency"] == {"urgent": 2, "soon": 2, "routine": 3}
    assert figures["deliveries"] == {"email": {"queued": 4}}
