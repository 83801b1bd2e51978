"""What time brings, on the real store: each step once, however many look and whatever fails."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from schemas import events as e
from services.kernel.deadlines.calendar import LONDON
from services.notify import metrics
from services.notify.alerts.model import AcknowledgeAlert, SnoozeAlert
from services.notify.app import build
from services.notify.due_scanner import DueScanner, begin_absence, count_due, escalate_once
from services.notify.preferences.model import DeclareAbsence
from services.notify.queries.rates import RatesMeasured
from services.notify.store.batch import NotifyStore
from tests.builders import (
    DUTY,
    LEAD,
    MANAGER,
    MONDAY,
    OTHER,
    assessment_started,
    deadline_due_soon,
    deadline_met,
    deadline_overdue,
    exit_interview_overdue,
    lead_professional_assigned,
)
from tests.flow.conftest import Bench, MakeBench
from tests.flow.notify_alerts import alert_of, history

pytestmark = pytest.mark.connected

KIND = "deadline.overdue:assessment"
REMINDED = datetime(2026, 9, 7, 14, tzinfo=LONDON).astimezone(UTC)
"""Four working hours after MONDAY, ten o'clock in London."""
TO_MANAGER = datetime(2026, 9, 8, 10, tzinfo=LONDON).astimezone(UTC)
TO_DUTY = datetime(2026, 9, 9, 10, tzinfo=LONDON).astimezone(UTC)
TABLES = ("alerts", "deliveries", "delegations", "journal", "outbox")


@pytest.fixture
async def notify(bench: MakeBench) -> Bench:
    """The service with a mail server configured, and a case that W-0601 leads."""
    made = await bench("notify", lambda settings: build(settings.model_copy(update={"smtp": "127.0.0.1:1"})))
    await made.deliver(assessment_started(), lead_professional_assigned())
    return made


async def state(bench: Bench) -> list[object]:
    return [await bench.rows(f"SELECT * FROM {table} ORDER BY 1") for table in TABLES]


async def look(bench: Bench) -> None:
    """Do all that is due by the clock."""
    while await begin_absence(bench.service, bench.engine, bench.clock):
        pass
    while await escalate_once(bench.service, bench.engine, bench.clock):
        pass


async def due(bench: Bench) -> int:
    async with bench.engine.connect() as connection:
        return await count_due(connection, bench.clock.now())


async def steps(bench: Bench) -> list[tuple[str, str]]:
    """Every step of an escalation, in order."""
    events = [each for each in await bench.journal() if isinstance(each, e.NotificationEscalated)]
    return [(each.to, each.recipient_id) for each in events]


async def only_the_lead_is_told(bench: Bench) -> UUID:
    """Raise an urgent alert that the lead alone has, and return its id."""
    event = exit_interview_overdue()
    await bench.deliver(event)
    manager = await alert_of(bench, MANAGER, "exit_interview.overdue")
    # As if the manager had never been told: then the second step reaches somebody new.
    async with bench.engine.begin() as connection:
        for table in ("journal", "deliveries", "alerts"):
            column = "data ->> 'alert_id'" if table == "journal" else "CAST(alert_id AS text)"
            await connection.execute(
                text(f"DELETE FROM {table} WHERE {column} = :id"), {"id": str(manager.alert_id)}
            )
    alert = await alert_of(bench, LEAD, "exit_interview.overdue")
    found: UUID = alert.alert_id
    return found


async def test_nothing_happens_a_moment_early(notify: Bench) -> None:
    """Working hours, to the microsecond."""
    await notify.deliver(deadline_overdue())
    notify.clock.move(REMINDED - timedelta(microseconds=1))
    before = await state(notify)
    await look(notify)
    assert await state(notify) == before
    assert await due(notify) == 0
    notify.clock.move(REMINDED)
    assert await due(notify) == 2


async def test_alert_that_nobody_acknowledges_goes_from_reminder_to_manager_to_duty_inbox(
    notify: Bench,
) -> None:
    """Each step an event and a message; who is told has an alert that names the first one."""
    alert_id = await only_the_lead_is_told(notify)
    for moment in (REMINDED, TO_MANAGER, TO_DUTY, TO_DUTY + timedelta(days=30)):
        notify.clock.move(moment)
        await look(notify)
        assert await due(notify) <= 1, "the case's other alert may be due, too"
    mine = [
        (each.to, each.recipient_id)
        for each in await notify.journal()
        if isinstance(each, e.NotificationEscalated) and each.alert_id == alert_id
    ]
    assert mine == [("reminder", LEAD), ("team_manager", MANAGER), ("duty_inbox", DUTY)]
    assert await history(notify, alert_id) == ["alert.raised.v2", *["notification.escalated.v1"] * 3]
    for recipient in (MANAGER, DUTY):
        escalated = await alert_of(notify, recipient, "exit_interview.overdue")
        assert (escalated.escalates, escalated.status, escalated.template) == (alert_id, "open", "escalation")
        assert escalated.next_escalation_at is None
    templates = await notify.rows(
        "SELECT recipient_id, template FROM deliveries WHERE template <> 'alert' ORDER BY position"
    )
    assert Counter(map(tuple, templates))[LEAD, "reminder"] >= 1
    assert (MANAGER, "escalation") in set(map(tuple, templates))


async def test_manager_who_was_told_already_is_passed_over(notify: Bench) -> None:
    """Both hear of what is overdue: a reminder to each, then the duty inbox, once for both."""
    await notify.deliver(deadline_overdue())
    for moment in (REMINDED, TO_MANAGER, TO_DUTY):
        notify.clock.move(moment)
        await look(notify)
    both = {(await alert_of(notify, who, KIND)).alert_id for who in (LEAD, MANAGER)}
    mine = Counter(
        (each.to, each.recipient_id)
        for each in await notify.journal()
        if isinstance(each, e.NotificationEscalated) and each.alert_id in both
    )
    assert mine == {("reminder", LEAD): 1, ("reminder", MANAGER): 1, ("duty_inbox", DUTY): 1}
    assert len(await notify.rows("SELECT 1 FROM alerts WHERE kind = :kind", kind=KIND)) == 3


async def test_looking_again_changes_nothing(notify: Bench) -> None:
    """A second scanner, a second run, a restart."""
    await notify.deliver(deadline_overdue())
    notify.clock.move(REMINDED)
    await look(notify)
    before = await state(notify)
    await look(notify)
    assert await state(notify) == before
    assert await due(notify) == 0


async def test_scanners_share_the_work_and_take_each_step_once(notify: Bench) -> None:
    """Whatever several claim at the same time."""
    for number in range(20):
        child, case = UUID(int=100 + number), UUID(int=200 + number)
        await notify.deliver(
            assessment_started(child, case_id=case), lead_professional_assigned(child_id=child, case_id=case)
        )
        await notify.deliver(deadline_overdue(number=300 + number, child_id=child, case_id=case, about=case))
    notify.clock.move(REMINDED)

    async def scanner() -> None:
        while await escalate_once(notify.service, notify.engine, notify.clock, limit=3):
            pass

    await asyncio.gather(*(scanner() for _ in range(4)))
    assert await due(notify) == 0
    assert Counter(await steps(notify)) == {("reminder", LEAD): 20, ("reminder", MANAGER): 20}


async def test_crash_before_commit_leaves_everything_as_it_was(
    notify: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alert, event and reminder stand or fall together; the next look takes the step."""
    await notify.deliver(deadline_overdue())
    notify.clock.move(REMINDED)
    before = await state(notify)
    save = NotifyStore.save

    async def crash(*arguments: Any) -> None:
        await save(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(NotifyStore, "save", crash)
    with pytest.raises(KeyboardInterrupt):
        await look(notify)
    assert await state(notify) == before
    monkeypatch.setattr(NotifyStore, "save", save)
    await look(notify)
    assert Counter(await steps(notify)) == {("reminder", LEAD): 1, ("reminder", MANAGER): 1}


async def test_scanner_that_was_away_takes_one_step_and_not_all_at_once(notify: Bench) -> None:
    """After an outage people are reminded; the next step comes working hours later."""
    await only_the_lead_is_told(notify)
    notify.clock.move(MONDAY + timedelta(days=14))
    await look(notify)
    assert {to for to, _ in await steps(notify)} == {"reminder"}


async def test_acknowledging_ends_the_escalation_and_what_it_led_to(notify: Bench) -> None:
    """The lead answers: the manager's alert about it is done, too, and nobody else is told."""
    alert_id = await only_the_lead_is_told(notify)
    for moment in (REMINDED, TO_MANAGER):
        notify.clock.move(moment)
        await look(notify)
    await notify.execute(AcknowledgeAlert(alert_id=alert_id, acknowledged_by=LEAD))
    rows = await notify.rows("SELECT status FROM alerts WHERE kind = 'exit_interview.overdue'")
    assert [row[0] for row in rows] == ["acknowledged"] * 2
    escalated = await alert_of(notify, MANAGER, "exit_interview.overdue")
    assert escalated.acknowledged_by == LEAD
    notify.clock.move(TO_DUTY)
    await look(notify)
    assert ("duty_inbox", DUTY) not in await steps(notify)


async def test_manager_who_acknowledges_ends_the_chain_and_the_lead_still_has_to_look(notify: Bench) -> None:
    """Somebody who can act knows: the duty inbox is spared."""
    alert_id = await only_the_lead_is_told(notify)
    for moment in (REMINDED, TO_MANAGER):
        notify.clock.move(moment)
        await look(notify)
    escalated = await alert_of(notify, MANAGER, "exit_interview.overdue")
    await notify.execute(AcknowledgeAlert(alert_id=escalated.alert_id, acknowledged_by=MANAGER))
    alert = await alert_of(notify, LEAD, "exit_interview.overdue")
    assert (alert.alert_id, alert.status, alert.next_escalation_at) == (alert_id, "open", None)
    notify.clock.move(TO_DUTY)
    await look(notify)
    assert ("duty_inbox", DUTY) not in await steps(notify)


async def test_acknowledging_and_escalating_at_once_end_in_one_of_two_ways(notify: Bench) -> None:
    """Either it was seen first and nobody is told, or the step was taken and is then seen as well."""
    alert_id = await only_the_lead_is_told(notify)
    notify.clock.move(REMINDED)
    await look(notify)
    notify.clock.move(TO_MANAGER)
    await asyncio.gather(
        look(notify), notify.execute(AcknowledgeAlert(alert_id=alert_id, acknowledged_by=LEAD))
    )
    rows = await notify.rows(
        "SELECT status, next_escalation_at FROM alerts WHERE kind = 'exit_interview.overdue'"
    )
    assert {tuple(row) for row in rows} == {("acknowledged", None)}


async def test_alert_that_was_put_off_waits_as_long(notify: Bench) -> None:
    """The reminder comes when the recipient wanted to look again, not before."""
    await notify.deliver(deadline_due_soon())
    alert = await alert_of(notify, LEAD, "deadline.due_soon:plan_review")
    until = alert.next_escalation_at + timedelta(hours=5)
    await notify.execute(SnoozeAlert(alert_id=alert.alert_id, snoozed_by=LEAD, until=until))
    notify.clock.move(until - timedelta(seconds=1))
    await look(notify)
    assert await history(notify, alert.alert_id) == ["alert.raised.v2", "alert.snoozed.v1"]
    notify.clock.move(until)
    await look(notify)
    assert (await history(notify, alert.alert_id))[-1] == "notification.escalated.v1"


async def test_what_has_happened_escalates_no_further_and_is_sent_no_more(notify: Bench) -> None:
    """The alert stays to be seen; a replay changes nothing, and what becomes overdue later is told anew."""
    await notify.deliver(deadline_overdue())
    await notify.deliver(deadline_met())
    alert = await alert_of(notify, LEAD, KIND)
    assert (alert.status, alert.settled_at, alert.next_escalation_at) == ("open", MONDAY, None)
    assert await history(notify, alert.alert_id) == ["alert.raised.v2", "alert.settled.v1"]
    rows = await notify.rows("SELECT state, reason FROM deliveries WHERE alert_id = :id", id=alert.alert_id)
    assert [tuple(row) for row in rows] == [("not_needed", "settled")]
    before = await state(notify)
    await notify.deliver(deadline_met())
    assert await state(notify) == before
    notify.clock.move(REMINDED)
    await look(notify)
    assert KIND not in {
        row[0] for row in await notify.rows("SELECT kind FROM alerts WHERE escalation_step > 0")
    }
    await notify.deliver(deadline_overdue(number=51))
    assert len(await notify.rows("SELECT 1 FROM alerts WHERE kind = :kind", kind=KIND)) == 4


async def test_alert_that_is_settled_in_the_same_batch_is_written_once(notify: Bench) -> None:
    """Raised, settled and withdrawn in one poll."""
    await notify.deliver(deadline_overdue(), deadline_met())
    alert = await alert_of(notify, LEAD, KIND)
    assert (alert.version, alert.settled_at) == (2, MONDAY)
    rows = await notify.rows("SELECT state FROM deliveries WHERE alert_id = :id", id=alert.alert_id)
    assert [row[0] for row in rows] == ["not_needed"]


def absence(to: str | None, *, hours: float, days: float | None) -> DeclareAbsence:
    return DeclareAbsence(
        worker_id=LEAD,
        to_id=to,
        starts_at=MONDAY + timedelta(hours=hours),
        ends_at=None if days is None else MONDAY + timedelta(days=days),
        declared_by=MANAGER,
    )


@pytest.mark.parametrize(
    ("to", "days", "recipient", "role", "reason"),
    [
        (OTHER, 7, OTHER, "lead_professional", "out_of_office"),
        (None, 7, DUTY, "duty_inbox", "out_of_office"),
        (None, None, DUTY, "duty_inbox", "left"),
    ],
)
async def test_open_alerts_go_to_who_stands_in_when_the_absence_begins(
    notify: Bench, to: str | None, days: float | None, recipient: str, role: str, reason: str
) -> None:
    """Once, each with an event; what was seen stays where it was seen."""
    await notify.deliver(deadline_overdue(), deadline_due_soon())
    seen = await alert_of(notify, LEAD, "deadline.due_soon:plan_review")
    await notify.execute(AcknowledgeAlert(alert_id=seen.alert_id, acknowledged_by=LEAD))
    await notify.execute(absence(to, hours=1, days=days))
    await look(notify)
    assert (await alert_of(notify, LEAD, KIND)).status == "open"
    notify.clock.move(timedelta(hours=1))
    assert await due(notify) == 1
    await look(notify)
    moved = await alert_of(notify, recipient, KIND)
    assert moved.role == role
    reasons = {each.reason for each in await notify.journal() if isinstance(each, e.AlertReassigned)}
    assert reason in reasons
    assert (
        await notify.rows("SELECT 1 FROM alerts WHERE recipient_id = :who AND status = 'open'", who=LEAD)
        == []
    )
    before = await state(notify)
    await look(notify)
    assert await state(notify) == before


async def test_stand_in_who_was_told_of_the_same_cause_is_not_told_twice(notify: Bench) -> None:
    """The manager stands in for the lead: both heard of what is overdue, the lead alone of what comes."""
    await notify.deliver(deadline_overdue(), deadline_due_soon())
    await notify.execute(absence(MANAGER, hours=1, days=7))
    notify.clock.move(timedelta(hours=1))
    await look(notify)
    assert (await alert_of(notify, MANAGER, KIND)).role == "team_manager"
    assert (await alert_of(notify, LEAD, KIND)).status == "open"
    assert (await alert_of(notify, MANAGER, "deadline.due_soon:plan_review")).role == "lead_professional"


async def test_absence_that_was_over_before_anybody_looked_moves_nothing(notify: Bench) -> None:
    """Whoever was away is back."""
    await notify.deliver(deadline_overdue())
    await notify.execute(absence(OTHER, hours=1, days=0.1))
    notify.clock.move(timedelta(hours=3))
    await begin_absence(notify.service, notify.engine, notify.clock)
    assert (await alert_of(notify, LEAD, KIND)).status == "open"
    assert await due(notify) == 0


async def test_two_scanners_begin_an_absence_once(notify: Bench) -> None:
    """One moves the alerts, the other finds nothing."""
    await notify.deliver(deadline_overdue())
    await notify.execute(absence(OTHER, hours=1, days=7))
    notify.clock.move(timedelta(hours=1))
    begun = await asyncio.gather(
        *(begin_absence(notify.service, notify.engine, notify.clock) for _ in range(3))
    )
    assert sorted(begun) == [False, False, True]
    alert = await alert_of(notify, OTHER, KIND)
    assert await history(notify, alert.alert_id) == ["alert.raised.v2", "alert.reassigned.v1"]


async def test_alert_that_comes_back_to_whom_it_was_for_is_sent_again(notify: Bench) -> None:
    """The stand-in goes away in turn: the lead has the alert again, with an email of its own about it."""
    await notify.deliver(deadline_overdue())
    await notify.execute(absence(OTHER, hours=1, days=0.1))
    notify.clock.move(timedelta(hours=1))
    await look(notify)
    notify.clock.move(timedelta(hours=3))
    back = DeclareAbsence(
        worker_id=OTHER,
        to_id=LEAD,
        starts_at=notify.clock.now(),
        ends_at=notify.clock.now() + timedelta(days=1),
        declared_by=MANAGER,
    )
    await notify.execute(back)
    await look(notify)
    alert = await alert_of(notify, LEAD, KIND)
    assert await history(notify, alert.alert_id) == ["alert.raised.v2", *["alert.reassigned.v1"] * 2]
    rows = await notify.rows(
        "SELECT recipient_id, state FROM deliveries WHERE alert_id = :id ORDER BY position", id=alert.alert_id
    )
    assert [tuple(row) for row in rows] == [(LEAD, "not_needed"), (OTHER, "not_needed"), (LEAD, "queued")]


async def test_running_part_does_what_is_due_and_ends_cleanly(notify: Bench) -> None:
    """Beside the worker, without anybody asking; the metrics of rates with it."""
    await notify.deliver(deadline_overdue())
    notify.clock.move(REMINDED)
    part = DueScanner(notify.service, notify.engine, notify.clock, interval=0.02)
    async with part, asyncio.timeout(20):
        while await due(notify):
            await asyncio.sleep(0.01)
    assert Counter(await steps(notify)) == {("reminder", LEAD): 1, ("reminder", MANAGER): 1}


async def test_metrics_tell_alerts_per_worker_and_week_by_kind_and_name_nobody(notify: Bench) -> None:
    """Averages and the most, of the last seven days; a kind of which there was none is gone."""
    await notify.deliver(deadline_overdue(), deadline_overdue(number=70, about=UUID(int=71)))
    measured = RatesMeasured(notify.engine, notify.clock)
    await measured.measure()
    found = {
        sample.labels["kind"]: sample.value
        for family in metrics.MOST_ALERTS_OF_A_WORKER.collect()
        for sample in family.samples
    }
    assert found[KIND] == 2.0
    assert not {LEAD, MANAGER} & set(found)
    notify.clock.move(timedelta(days=8))
    await measured.measure()
    assert not [sample for family in metrics.ALERTS_PER_WORKER.collect() for sample in family.samples]
