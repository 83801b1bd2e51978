"""Deliveries on the real store: queued, held, gathered, sent, received, taken back; each once, with proof."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from schemas import events as e
from schemas.events.codes import Channel
from services.kernel.deadlines.calendar import LONDON
from services.kernel.messages.faults import Refused
from services.kernel.postgres.connection import Connection
from services.kernel.web.api import install_errors
from services.notify.alerts.model import AcknowledgeAlert, AssignKeyWorker, SnoozeAlert
from services.notify.app import build
from services.notify.delivery.store import claims, queue
from services.notify.delivery.store.claims import SenderKey
from services.notify.delivery.store.queue import Message
from services.notify.due_scanner import release_held
from services.notify.preferences.model import ChoosePreference, ChooseQuietHours, DeclareAbsence, EndAbsence
from services.notify.web import router
from tests.builders import (
    CASE,
    CHILD,
    DUTY,
    LEAD,
    MONDAY,
    OTHER,
    assessment_started,
    deadline_due_soon,
    deadline_overdue,
    lead_professional_assigned,
)
from tests.flow.conftest import Bench, MakeBench
from tests.flow.notify_alerts import alert_of, history

pytestmark = pytest.mark.connected

REAL = datetime(2026, 1, 1, tzinfo=UTC)
NIGHT = datetime(2026, 9, 7, 22, tzinfo=LONDON).astimezone(UTC)
MORNING = datetime(2026, 9, 8, 7, 30, tzinfo=LONDON).astimezone(UTC)
DIGEST = datetime(2026, 9, 8, 8, 30, tzinfo=LONDON).astimezone(UTC)
TABLES = (
    "alerts",
    "deliveries",
    "preferences",
    "quiet_hours",
    "delegations",
    "key_workers",
    "journal",
    "outbox",
)


@pytest.fixture
async def notify(bench: MakeBench) -> Bench:
    """The service with a mail server configured, and a case that W-0601 leads; none of that is queued."""
    made = await bench("notify", lambda settings: build(settings.model_copy(update={"smtp": "127.0.0.1:1"})))
    await made.deliver(assessment_started(), lead_professional_assigned())
    async with made.engine.begin() as connection:
        await connection.execute(text("DELETE FROM deliveries"))
    return made


async def state(bench: Bench) -> list[object]:
    return [await bench.rows(f"SELECT * FROM {table} ORDER BY 1") for table in TABLES]


async def queued(bench: Bench) -> list[Any]:
    return await bench.rows("SELECT * FROM deliveries ORDER BY position")


async def take(connection: Connection, *, now: datetime = REAL) -> Message | None:
    """Claim the next email as a sender does."""
    found = await claims.claim(
        connection,
        SenderKey(Channel.EMAIL),
        limit=1,
        claim_id=uuid4(),
        now=now,
        until=now + timedelta(minutes=1),
    )
    return found[0] if found else None


class PutBack(Exception):  # noqa: N818 - it is none
    """Ends a transaction as if it had never been."""


async def claimed(bench: Bench) -> Message | None:
    """What a sender would get now, put back at once."""
    message = None
    with suppress(PutBack):
        async with bench.engine.begin() as connection:
            message = await take(connection)
            raise PutBack
    return message


async def send(bench: Bench, *, reference: str | None = None) -> Message:
    """Send the next message as a channel does."""
    async with bench.engine.begin() as connection:
        message = await take(connection)
        assert message is not None
        await queue.sent(connection, message, provider="test", reference=reference, now=bench.clock.now())
        return message


async def test_delivery_is_queued_with_its_alert_and_says_so(notify: Bench) -> None:
    """One transaction: alert, delivery and both events."""
    await notify.deliver(deadline_due_soon())
    alert = await alert_of(notify, LEAD, "deadline.due_soon:plan_review")
    (row,) = await queued(notify)
    assert (row.alert_id, row.recipient_id, row.channel, row.state) == (
        alert.alert_id,
        LEAD,
        "email",
        "queued",
    )
    assert (row.message_id, row.version, row.held_until) == (row.delivery_id, 1, None)
    assert await history(notify, row.delivery_id) == ["notification.queued.v1"]
    message = await claimed(notify)
    assert message is not None
    (part,) = message.parts
    assert (message.message_id, message.recipient_id, message.digest) == (row.delivery_id, LEAD, False)
    assert (part.says, part.case_id, part.seen) == (alert.says, CASE, False)


async def test_two_deliveries_of_one_event_are_one(notify: Bench) -> None:
    """Twice in one poll and again in a later one."""
    await notify.deliver(deadline_due_soon(), deadline_due_soon())
    before = await state(notify)
    await notify.deliver(deadline_due_soon())
    assert await state(notify) == before
    assert len(await queued(notify)) == 1


async def test_sent_and_received_are_proven_once(notify: Bench) -> None:
    """Receipts come twice, and late ones change nothing."""
    await notify.deliver(deadline_due_soon())
    message = await send(notify, reference="ref-1")
    assert await claimed(notify) is None
    for expected in (1, 0):
        async with notify.engine.begin() as connection:
            arrived = await queue.arrived(connection, message.message_id, now=notify.clock.now())
            assert arrived == expected
    async with notify.engine.begin() as connection:
        late = await queue.bounced(
            connection, message.message_id, reason="permanent_failure", detail="550", now=notify.clock.now()
        )
    assert late == 0
    (row,) = await queued(notify)
    assert (row.state, row.provider, row.reference, row.attempts) == ("delivered", "test", "ref-1", 1)
    assert await history(notify, row.delivery_id) == [
        "notification.queued.v1",
        "notification.sent.v1",
        "notification.delivered.v1",
    ]


async def test_message_that_failed_tells_operations_in_the_inbox_alone(notify: Bench) -> None:
    """The event comes back over the bus; what could not be sent is not told by sending."""
    await notify.deliver(deadline_due_soon())
    async with notify.engine.begin() as connection:
        message = await take(connection)
        assert message is not None
        await queue.fail(
            connection,
            message,
            reason="refused",
            detail="550 5.1.1",
            provider="test",
            refusals=3,
            now=MONDAY,
        )
    (failed,) = [each for each in await notify.journal() if isinstance(each, e.NotificationFailed)]
    assert (failed.reason, failed.detail, failed.attempts) == ("refused", "550:5.1.1", 1)
    await notify.deliver(failed)
    alert = await alert_of(notify, "leadline-operations", "notification.failed")
    assert (alert.case_id, alert.urgency) == (CASE, "soon")
    assert [row.state for row in await queued(notify)] == ["failed"]


async def test_crash_between_sent_and_recorded_leaves_the_message_with_the_same_id(notify: Bench) -> None:
    """Whoever claims it next hands the provider the same key of idempotence."""
    await notify.deliver(deadline_due_soon())
    before = await state(notify)

    async def crashes() -> None:
        async with notify.engine.begin() as connection:
            message = await take(connection)
            assert message is not None
            await queue.sent(connection, message, provider="test", now=MONDAY)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await crashes()
    assert await state(notify) == before
    (row,) = await queued(notify)
    message = await send(notify)
    assert message.message_id == row.delivery_id


async def test_two_senders_never_claim_the_same(notify: Bench) -> None:
    """What one holds the other passes over; when all is held there is nothing."""
    await notify.deliver(deadline_due_soon(number=60), deadline_due_soon(number=61, kind="assessment"))
    async with notify.engine.begin() as first, notify.engine.begin() as second:
        one = await take(first)
        two = await take(second)
        assert one is not None
        assert two is not None
        assert one.message_id != two.message_id
        assert await claimed(notify) is None


async def test_message_waits_for_its_next_attempt_in_real_time(notify: Bench) -> None:
    """Also where the county's time is simulated."""
    await notify.deliver(deadline_due_soon())
    async with notify.engine.begin() as connection:
        message = await take(connection)
        assert message is not None
        await queue.try_later(
            connection,
            message,
            refusals=1,
            reason="451",
            next_attempt_at=REAL + timedelta(minutes=1),
        )
    assert await claimed(notify) is None
    async with notify.engine.begin() as connection:
        again = await take(connection, now=REAL + timedelta(minutes=1))
    assert again is not None
    assert (again.attempts, again.refusals) == (1, 1)


async def test_quiet_hours_hold_and_what_was_held_goes_out_as_one_message(notify: Bench) -> None:
    """At night nothing that can wait; in the morning one message for all of it. What is urgent goes."""
    notify.clock.move(NIGHT)
    await notify.deliver(
        deadline_due_soon(number=60), deadline_due_soon(number=61, kind="duty_allocation"), deadline_overdue()
    )
    urgent = await send(notify)
    assert urgent.recipient_id in {LEAD, "W-0600"}
    assert await release_held(notify.engine, notify.clock) == 0
    notify.clock.move(MORNING)
    await send(notify)
    assert await claimed(notify) is None, "the urgent ones have gone, the others are held"
    assert await release_held(notify.engine, notify.clock) == 2
    assert await release_held(notify.engine, notify.clock) == 0
    message = await send(notify)
    assert await claimed(notify) is None
    assert message.digest
    assert len(message.parts) == 2
    assert message.message_id == message.parts[0].delivery_id
    sent = [each for each in await notify.journal() if isinstance(each, e.NotificationSent)]
    assert [each.message_id for each in sent[-2:]] == [message.message_id] * 2


async def test_digest_gathers_what_came_since_the_last_one(notify: Bench) -> None:
    """Chosen by the recipient; what is urgent does not wait for it."""
    await notify.execute(ChoosePreference(worker_id=LEAD, kind="*", channel=Channel.EMAIL, choice="digest"))
    await notify.deliver(deadline_due_soon(number=60), deadline_due_soon(number=61, kind="duty_allocation"))
    await notify.deliver(deadline_overdue())
    assert [row.state for row in await queued(notify)] == ["held", "held", "queued", "queued"]
    assert {row.held_until for row in await queued(notify)} == {DIGEST, None}
    notify.clock.move(DIGEST)
    assert await release_held(notify.engine, notify.clock) == 2
    messages = [await send(notify) for _ in range(3)]
    assert sorted(len(message.parts) for message in messages) == [1, 1, 2]


async def test_what_is_overdue_takes_the_place_of_what_was_due(notify: Bench) -> None:
    """One deadline is one alert to do: the earlier ones are settled, and what of them waited is not sent."""
    notify.clock.move(NIGHT)
    await notify.deliver(deadline_due_soon(number=50, kind="assessment"))
    await notify.deliver(deadline_overdue())
    rows = await notify.rows(
        "SELECT kind FROM alerts WHERE recipient_id = :who AND settled_at IS NULL AND due_at IS NOT NULL",
        who=LEAD,
    )
    assert [row.kind for row in rows] == ["deadline.overdue:assessment"]
    assert [row.state for row in await queued(notify)] == ["not_needed", "queued", "queued"]


async def test_two_scanners_gather_one_digest(notify: Bench) -> None:
    """The second waits and finds nothing."""
    await notify.execute(ChoosePreference(worker_id=LEAD, kind="*", channel=Channel.EMAIL, choice="digest"))
    await notify.deliver(
        deadline_due_soon(number=60),
        deadline_due_soon(number=61, kind="assessment"),
        deadline_due_soon(number=62, kind="plan_review"),
    )
    notify.clock.move(DIGEST)
    released = await asyncio.gather(*(release_held(notify.engine, notify.clock) for _ in range(3)))
    held = len(await queued(notify))
    assert sorted(released) == [0, 0, held]
    assert len((await send(notify)).parts) == held


async def test_alert_that_was_seen_is_taken_out_of_the_queue_and_what_was_sent_is_proof(
    notify: Bench,
) -> None:
    """Acknowledged once, whatever number of times somebody presses the button."""
    await notify.deliver(deadline_due_soon(number=60))
    sent = await send(notify)
    await notify.deliver(deadline_due_soon(number=61, kind="assessment"))
    rows = {row.delivery_id: row for row in await queued(notify)}
    for row in rows.values():
        command = AcknowledgeAlert(alert_id=row.alert_id, acknowledged_by=LEAD)
        for key in ("first-press", "second-press"):
            await notify.execute(command, key=f"{key}-{row.alert_id}")
    after = {row.delivery_id: row for row in await queued(notify)}
    needless = next(each for each in after if each != sent.message_id)
    assert (after[sent.message_id].state, after[needless].state) == ("sent", "not_needed")
    assert await history(notify, sent.message_id) == [
        "notification.queued.v1",
        "notification.sent.v1",
        "notification.acknowledged.v1",
    ]
    assert await history(notify, needless) == ["notification.queued.v1", "notification.acknowledged.v1"]
    assert await claimed(notify) is None


async def test_new_lead_gets_the_open_alerts_and_the_one_before_no_mail_about_them(notify: Bench) -> None:
    """What waited is withdrawn; the new lead's urgent ones go at once, the others in a digest."""
    await notify.deliver(deadline_overdue(), deadline_due_soon())
    await notify.deliver(lead_professional_assigned(OTHER, at=MONDAY + timedelta(hours=1)))
    moved = await notify.rows("SELECT kind FROM alerts WHERE recipient_id = :who ORDER BY kind", who=OTHER)
    assert [row[0] for row in moved] == [
        "assessment.started",
        "deadline.due_soon:plan_review",
        "deadline.overdue:assessment",
        "lead_professional.assigned",
    ]
    before = await alert_of(notify, LEAD, "lead_professional.assigned")
    assert before.settled_at is not None, "the new lead is told anew, and the one before leads no longer"
    alert = await alert_of(notify, OTHER, "deadline.overdue:assessment")
    assert await history(notify, alert.alert_id) == ["alert.raised.v2", "alert.reassigned.v1"]
    by_recipient: dict[str, list[str]] = {}
    for row in await queued(notify):
        if row.alert_id == alert.alert_id or row.template == "alert":
            by_recipient.setdefault(row.recipient_id, []).append(row.state)
    assert set(by_recipient[LEAD]) == {"not_needed"}
    assert {"queued", "held"} == set(by_recipient[OTHER])


async def test_assignment_again_changes_nothing(notify: Bench) -> None:
    """A replay moves nothing twice."""
    await notify.deliver(deadline_overdue())
    event = lead_professional_assigned(OTHER, at=MONDAY + timedelta(hours=1))
    await notify.deliver(event)
    before = await state(notify)
    await notify.deliver(event, event)
    assert await state(notify) == before


async def test_repetition_is_counted_on_the_open_alert_and_sent_to_nobody(notify: Bench) -> None:
    """Also across batches and within one; a replay does not count again."""
    later = deadline_overdue(number=70, at=MONDAY + timedelta(minutes=1))
    third = deadline_overdue(number=71, at=MONDAY + timedelta(minutes=2))
    await notify.deliver(deadline_overdue(), later)
    await notify.deliver(third)
    await notify.deliver(later, third)
    alert = await alert_of(notify, LEAD, "deadline.overdue:assessment")
    assert (alert.repeats, alert.status, alert.version) == (2, "open", 3)
    assert await history(notify, alert.alert_id) == ["alert.raised.v2", *["alert.repeated.v1"] * 2]
    assert len(await queued(notify)) == 2


async def test_preferences_hours_and_absences_are_kept_once_and_hold_at_once(notify: Bench) -> None:
    """The same request twice is one change; the next batch knows it."""
    await notify.deliver(deadline_due_soon(number=60))
    off = ChoosePreference(worker_id=LEAD, kind="deadline.due_soon:*", channel=Channel.EMAIL, choice="off")
    for _ in range(2):
        await notify.execute(off, key="preference-1")
    await notify.deliver(deadline_due_soon(number=61, kind="assessment"))
    assert len(await queued(notify)) == 1
    await notify.execute(off.model_copy(update={"choice": None}))
    await notify.deliver(deadline_due_soon(number=62, kind="placement_review_first"))
    assert len(await queued(notify)) == 2
    never = ChooseQuietHours(
        worker_id=LEAD, quiet_from=time(9), quiet_until=time(9), digest="daily", digest_at=time(9)
    )
    await notify.execute(never)
    notify.clock.move(NIGHT)
    await notify.deliver(deadline_due_soon(number=63, kind="placement_review_second"))
    assert [row.held_until for row in await queued(notify)] == [None, None, None]
    assert await notify.rows("SELECT 1 FROM preferences") == []


async def test_arrangements_made_by_another_process_are_seen(notify: Bench) -> None:
    """The web process writes, the worker decides: it looks again when anything has changed."""
    await notify.deliver(deadline_due_soon(number=60))
    async with notify.engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO preferences (worker_id, kind, channel, choice, changed_at)"
                " VALUES (:worker, '*', 'email', 'off', now())"
            ),
            {"worker": LEAD},
        )
    await notify.deliver(deadline_due_soon(number=61, kind="assessment"))
    assert len(await queued(notify)) == 1


async def test_absence_that_has_not_begun_changes_nothing_and_can_be_taken_back(notify: Bench) -> None:
    """From its first moment on the stand-in is told; ending it ends that."""
    await notify.execute(
        DeclareAbsence(
            worker_id=LEAD,
            to_id=OTHER,
            starts_at=MONDAY + timedelta(hours=1),
            ends_at=MONDAY + timedelta(days=7),
            declared_by=LEAD,
        )
    )
    await notify.deliver(deadline_due_soon(number=60))
    notify.clock.move(timedelta(hours=1))
    await notify.deliver(deadline_due_soon(number=61, kind="assessment"))
    ((delegation_id,),) = await notify.rows("SELECT delegation_id FROM delegations")
    await notify.execute(EndAbsence(delegation_id=delegation_id, worker_id=LEAD))
    await notify.deliver(deadline_due_soon(number=62, kind="placement_review_first"))
    assert [row.recipient_id for row in await queued(notify)] == [LEAD, OTHER, LEAD]
    with pytest.raises(Refused, match="no such absence"):
        await notify.execute(EndAbsence(delegation_id=delegation_id, worker_id=LEAD), key="once-more")


async def test_key_worker_is_assigned_by_command_and_told_by_the_event(notify: Bench) -> None:
    """The event joins the child's history; a second request changes nothing."""
    command = AssignKeyWorker(child_id=CHILD, key_worker_id=OTHER, assigned_by=LEAD)
    await notify.execute(command)
    before = await state(notify)
    await notify.execute(command, key="another-request")
    assert await state(notify) == before
    assert await history(notify, CHILD) == ["key_worker.assigned.v1"]
    (event,) = [each for each in await notify.journal() if isinstance(each, e.KeyWorkerAssigned)]
    await notify.deliver(event, event)
    assert (await alert_of(notify, OTHER, "key_worker.assigned")).role == "key_worker"


async def test_snoozed_alert_says_until_when(notify: Bench) -> None:
    """And its escalation waits at least as long."""
    await notify.deliver(deadline_due_soon())
    alert = await alert_of(notify, LEAD, "deadline.due_soon:plan_review")
    until = alert.next_escalation_at + timedelta(hours=1)
    command = SnoozeAlert(alert_id=alert.alert_id, snoozed_by=LEAD, until=until)
    await notify.execute(command)
    after = await alert_of(notify, LEAD, "deadline.due_soon:plan_review")
    assert (after.snoozed_until, after.next_escalation_at) == (until, until)
    assert await history(notify, alert.alert_id) == ["alert.raised.v2", "alert.snoozed.v1"]


def client_of(bench: Bench) -> httpx.AsyncClient:
    app = FastAPI()
    install_errors(app)
    app.include_router(router(bench.executor))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_arrangements_over_http_say_what_holds_and_why_not(notify: Bench) -> None:
    """Everything somebody may arrange; refusals name the reason."""

    async with client_of(notify) as client:

        async def post(where: str, body: dict[str, Any], key: str) -> httpx.Response:
            return await client.post(where, json=body, headers={"Idempotency-Key": f"key-{key}-0001"})

        mine = f"/workers/{LEAD}"
        chosen = {"kind": "plan.reviewed", "channel": "email", "choice": "digest"}
        assert (await post(f"{mine}/preferences", chosen, "preference")).status_code == 200
        hours = {"quiet_from": "20:00", "quiet_until": "08:00", "digest": "daily", "digest_at": "08:15"}
        assert (await post(f"{mine}/quiet-hours", hours, "hours")).status_code == 200
        absence = {"to_id": OTHER, "starts_at": "2026-10-01T08:00:00Z", "declared_by": LEAD}
        assert (await post(f"{mine}/absences", absence, "absence")).status_code == 200
        shown = (await client.get(f"{mine}/arrangements")).json()
        assert shown["preferences"] == [chosen]
        assert shown["quiet_hours"]["digest_at"] == "08:15:00"
        (away,) = shown["absences"]
        assert (away["to_id"], away["ends_at"]) == (OTHER, None)
        ended = await post(f"{mine}/absences/{away['delegation_id']}/end", {}, "end")
        assert ended.status_code == 200
        named = {"key_worker_id": OTHER, "assigned_by": LEAD}
        assert (await post(f"/children/{CHILD}/key-worker", named, "worker")).json() == {
            "events": ["key_worker.assigned.v1"]
        }

        urgent = chosen | {"kind": "deadline.overdue:assessment", "choice": "off"}
        refused = await post(f"{mine}/preferences", urgent, "urgent")
        assert refused.status_code == 409
        assert "urgent alerts always come at once" in refused.json()["detail"]
        backwards = absence | {"ends_at": "2026-09-30T08:00:00Z"}
        assert (await post(f"{mine}/absences", backwards, "backwards")).status_code == 409
        assert (await post(f"{mine}/absences", absence | {"to_id": LEAD}, "self")).status_code == 409
        assert (await post(f"{mine}/preferences", chosen | {"kind": "a b"}, "kind")).status_code == 422


async def test_alert_over_http_shows_its_deliveries_and_its_escalation(notify: Bench) -> None:
    """What the page of an alert tells."""
    await notify.deliver(deadline_overdue())
    alert = await alert_of(notify, LEAD, "deadline.overdue:assessment")
    async with client_of(notify) as client:
        shown = (await client.get(f"/alerts/{alert.alert_id}")).json()
        until = (notify.clock.now() + timedelta(hours=2)).isoformat()
        snoozed = await client.post(
            f"/alerts/{alert.alert_id}/snooze",
            json={"snoozed_by": LEAD, "until": until},
            headers={"Idempotency-Key": "snooze-0001"},
        )
    assert [each["state"] for each in shown["deliveries"]] == ["queued"]
    assert datetime.fromisoformat(shown["next_escalation_at"]) == MONDAY + timedelta(hours=4)
    assert datetime.fromisoformat(snoozed.json()["snoozed_until"]) == MONDAY + timedelta(hours=2)


async def test_rates_count_by_worker_week_and_kind(notify: Bench) -> None:
    """Weeks begin on Monday in London; what was spared is told beside what came."""
    await notify.deliver(deadline_overdue(), deadline_overdue(number=70, at=MONDAY + timedelta(minutes=1)))
    notify.clock.move(timedelta(days=7))
    await notify.deliver(deadline_overdue(number=71))
    async with client_of(notify) as client:
        answer = (await client.get(f"/alerts/rates?worker={LEAD}&weeks=2")).json()
        latest = (await client.get("/alerts/rates?weeks=1")).json()
    found = [
        (each["week"], each["kind"], each["alerts"], each["collapsed"])
        for each in answer["items"]
        if each["kind"].startswith("deadline")
    ]
    assert found == [
        ("2026-09-14", "deadline.overdue:assessment", 1, 0),
        ("2026-09-07", "deadline.overdue:assessment", 1, 1),
    ]
    assert {each["worker_id"] for each in latest["items"]} == {LEAD, "W-0600"}
    assert {each["week"] for each in latest["items"]} == {"2026-09-14"}


async def test_failed_delivery_of_a_stranger_raises_no_endless_chain(notify: Bench) -> None:
    """An alert about a failure is in no queue, so it cannot fail."""
    failed = e.NotificationFailed(
        child_id=CHILD,
        delivery_id=UUID(int=800),
        alert_id=UUID(int=801),
        channel=Channel.SMS,
        reason="gave_up",
        attempts=9,
        failed_at=MONDAY,
    )
    await notify.deliver(failed)
    assert await queued(notify) == []


async def test_duty_inbox_is_mailed_at_night(notify: Bench) -> None:
    """Shared inboxes have no quiet hours."""
    notify.clock.move(NIGHT)
    await notify.deliver(deadline_due_soon(child_id=UUID(int=9), case_id=None, about=UUID(int=10)))
    rows = await queued(notify)
    assert {row.recipient_id: row.state for row in rows}["integrated-access-team"] == "queued"
    assert DUTY not in {row.recipient_id for row in rows}


async def test_a_message_is_under_way_until_it_is_sent(notify: Bench) -> None:
    """A simulated county waits for what is being sent; for what waits for another attempt it does not."""

    async def under_way(channel: Channel = Channel.EMAIL, *, now: datetime = REAL) -> int:
        async with notify.engine.connect() as connection:
            return await claims.count_under_way(connection, channels=[channel], now=now)

    await notify.deliver(deadline_overdue())
    waiting = await under_way()
    assert waiting > 0
    assert await under_way(Channel.SMS) == 0
    async with notify.engine.begin() as connection:
        message = await take(connection)
    assert message is not None
    assert await under_way() == waiting
    assert await under_way(now=REAL + timedelta(seconds=10)) == waiting, "its sender may have died"
    async with notify.engine.begin() as connection:
        await queue.try_later(
            connection, message, refusals=1, reason="450", next_attempt_at=REAL + timedelta(minutes=5)
        )
    assert await under_way() == waiting - 1
    assert await under_way(now=REAL + timedelta(minutes=5)) == waiting
    async with notify.engine.begin() as connection:
        again = await take(connection, now=REAL + timedelta(minutes=5))
        assert again is not None
        await queue.sent(connection, again, provider="smtp", now=notify.clock.now())
    assert await under_way(now=REAL + timedelta(minutes=5)) == waiting - 1
