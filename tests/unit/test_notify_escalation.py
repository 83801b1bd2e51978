"""What follows when nobody acknowledges: reminder, manager, duty inbox; and whom open alerts move to."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest

from schemas.events import (
    AlertRaised,
    AlertSnoozed,
    Event,
    NotificationEscalated,
)
from schemas.events.codes import Role, Urgency
from services.kernel.deadlines.calendar import LONDON
from services.kernel.messages.faults import Refused
from services.notify.alerts.council import Council
from services.notify.alerts.escalation import (
    alert_ids,
    candidates,
    decide_absence,
    decide_escalation,
    decide_following,
    next_at,
)
from services.notify.alerts.lifecycle import decide_acknowledgement, evolve
from services.notify.alerts.model import AcknowledgeAlert, Alert, Case, People, SnoozeAlert
from services.notify.alerts.people import learn
from services.notify.alerts.putting_off import decide_snooze
from services.notify.book import NotifyBook
from tests.builders import (
    CASE,
    CHILD,
    DUTY,
    LEAD,
    MANAGER,
    OTHER,
    alert_acknowledged,
    alert_reassigned,
    lead_professional_assigned,
)
from tests.unit.notify_cases import NOW, PACK, arranged, at, away, council, fact, opened, people

URGENT: dict[str, Any] = {"urgency": Urgency.URGENT, "kind": "deadline.overdue:assessment"}
HOUR = timedelta(hours=1)


def london(day: int, hour: int, minute: int = 5) -> datetime:
    return datetime(2026, 9, day, hour, minute, tzinfo=LONDON).astimezone(UTC)


def escalated(
    alert: Alert, *told: Alert, around: People | None = None, under: Council | None = None
) -> list[Event]:
    return decide_escalation(
        alert,
        around or people(),
        told={each.alert_id: each for each in told},
        council=under or council(),
        context=at(NOW + HOUR),
    )


def steps(events: Sequence[Event]) -> list[tuple[int, str, str]]:
    return [(e.step, e.to, e.recipient_id) for e in events if isinstance(e, NotificationEscalated)]


def to(recipient_id: str, role: Role, status: str = "open") -> Alert:
    """The alert of the same cause that somebody has."""
    alert_id = uuid5(fact().cause_id, f"alert/{role}/{recipient_id}")
    known = opened(fact(alert_id=alert_id, recipient_id=recipient_id, role=role, **URGENT))
    return replace(known, status=status)  # type: ignore[arg-type]


def test_working_hours_count_from_raising_and_then_from_step_to_step() -> None:
    """Raised on Monday at 14:05: a reminder on Tuesday at 10:05, the manager, a day later the duty inbox."""
    alert = fact(**URGENT)
    moments = [NOW]
    for step in range(3):
        following = next_at(alert, step, moments[-1], pack=PACK, calendar=PACK.working_calendar)
        assert following is not None
        moments.append(following)
    assert moments == [NOW, london(8, 10), london(8, 14), london(9, 14)]
    assert next_at(alert, 3, moments[-1], pack=PACK, calendar=PACK.working_calendar) is None


def test_step_that_came_late_does_not_hurry_the_next_one() -> None:
    """After an outage nobody is told three things at once."""
    late = london(10, 9)
    after = next_at(fact(**URGENT), 1, late, pack=PACK, calendar=PACK.working_calendar)
    assert after == london(10, 13)


@pytest.mark.parametrize(
    "changes",
    [
        {"urgency": Urgency.ROUTINE},
        {"role": Role.REFERRER, "recipient_id": "school-1", "urgency": Urgency.URGENT},
        {"escalates": UUID(int=301), "urgency": Urgency.URGENT},
    ],
)
def test_routine_news_agencies_and_escalations_themselves_do_not_escalate(changes: dict[str, object]) -> None:
    """Who does not work here cannot be reminded to; a chain has one beginning."""
    assert next_at(fact(**changes), 0, NOW, pack=PACK, calendar=PACK.working_calendar) is None


def test_first_the_same_person_is_reminded() -> None:
    """No new alert: the one they have, once more."""
    events = escalated(opened(**URGENT))
    assert steps(events) == [(1, "reminder", LEAD)]
    (step,) = events
    assert isinstance(step, NotificationEscalated)
    assert (step.told_by, step.case_id) == (fact().alert_id, CASE)


def test_then_the_manager_gets_an_alert_of_the_same_cause() -> None:
    """In the same words, with what a manager should do, and the id that the manager's own would have."""
    raised, step = escalated(replace(opened(**URGENT), step=1))
    assert isinstance(raised, AlertRaised)
    assert steps([step]) == [(2, "team_manager", MANAGER)]
    assert raised.alert_id == uuid5(fact().cause_id, f"alert/team_manager/{MANAGER}")
    assert (raised.recipient_id, raised.role, raised.escalates) == (
        MANAGER,
        Role.TEAM_MANAGER,
        fact().alert_id,
    )
    assert (raised.says, raised.kind, raised.cause_id) == (fact().says, URGENT["kind"], fact().cause_id)
    assert raised.next_step.startswith("A working day has passed")
    assert raised.template == "escalation"


def test_last_the_duty_inbox_takes_over() -> None:
    """And then there is nobody left."""
    raised, step = escalated(replace(opened(**URGENT), step=2))
    assert isinstance(raised, AlertRaised)
    assert steps([step]) == [(3, "duty_inbox", DUTY)]
    assert escalated(replace(opened(**URGENT), step=3)) == []


def test_manager_who_was_told_of_the_cause_is_passed_over() -> None:
    """One cause, one recipient, one alert: the duty inbox is next."""
    events = escalated(replace(opened(**URGENT), step=1), to(MANAGER, Role.TEAM_MANAGER))
    assert steps(events) == [(3, "duty_inbox", DUTY)]


def test_manager_who_has_acknowledged_the_cause_ends_it() -> None:
    """Somebody who can act knows."""
    known = to(MANAGER, Role.TEAM_MANAGER, "acknowledged")
    assert escalated(replace(opened(**URGENT), step=1), known) == []


def test_managers_own_alert_goes_on_to_the_duty_inbox() -> None:
    """Nobody escalates to themselves; also not a manager who leads the case."""
    own = opened(recipient_id=MANAGER, role=Role.TEAM_MANAGER, **URGENT)
    assert steps(escalated(replace(own, step=1))) == [(3, "duty_inbox", DUTY)]
    duty = opened(recipient_id=DUTY, role=Role.DUTY_INBOX, **URGENT)
    assert steps(escalated(replace(duty, step=1))) == [(2, "team_manager", MANAGER)]
    assert escalated(replace(duty, step=2)) == []


def test_manager_who_is_away_is_told_through_the_stand_in() -> None:
    """An escalation does not end in an empty office."""
    under = council(arranged(away(MANAGER, OTHER)))
    raised, step = escalated(replace(opened(**URGENT), step=1), under=under)
    assert isinstance(raised, AlertRaised)
    assert (raised.recipient_id, raised.stands_in_for) == (OTHER, MANAGER)
    assert steps([step]) == [(2, "team_manager", OTHER)]


def test_alert_that_was_seen_escalates_no_further() -> None:
    """Whatever the scanner has claimed."""
    assert escalated(replace(opened(**URGENT), status="acknowledged")) == []


def test_everybody_ahead_is_looked_up_by_the_ids_their_alerts_would_have() -> None:
    """In whatever role they were told."""
    ahead = candidates(opened(**URGENT), people(), council=council(), now=NOW)
    assert [address.recipient_id for address in ahead] == [LEAD, MANAGER, DUTY]
    assert alert_ids(fact(), MANAGER)[Role.TEAM_MANAGER] == to(MANAGER, Role.TEAM_MANAGER).alert_id


def test_deciding_a_step_twice_makes_the_same() -> None:
    """Ids follow from the alert."""
    alert = replace(opened(**URGENT), step=1)
    assert escalated(alert) == escalated(alert)


def book_with(*alerts: Alert) -> NotifyBook:
    book = NotifyBook(council())
    book.know(alerts=alerts)
    return book


def test_life_of_an_alert_sets_its_next_escalation() -> None:
    """Raised, reminded, put off, passed on, seen: each by its own event."""
    book = NotifyBook(council())
    raised = fact(**URGENT)
    book.apply(raised)

    def following() -> datetime | None:
        return book.alert(raised.alert_id).next_escalation_at

    assert following() == london(8, 10)
    (reminder,) = escalated(book.alert(raised.alert_id))
    book.apply(reminder)  # at 15:05 on Monday: four working hours on
    assert following() == london(8, 11)
    until = london(8, 16)
    book.apply(
        AlertSnoozed(
            child_id=CHILD,
            alert_id=raised.alert_id,
            snoozed_by=LEAD,
            snoozed_until=until,
            snoozed_at=NOW,
        )
    )
    assert following() == until
    book.apply(alert_reassigned(OTHER, at=NOW))
    assert (following(), book.alert(raised.alert_id).step) == (london(8, 10), 0)
    book.apply(alert_acknowledged(at=NOW))
    assert following() is None


def test_snooze_is_bounded_by_urgency() -> None:
    """An urgent alert can be put off for hours, not for days; and nobody puts off the past."""

    def snooze(urgency: Urgency, hours: float) -> list[object]:
        alert = opened(urgency=urgency)
        command = SnoozeAlert(alert_id=alert.alert_id, snoozed_by=LEAD, until=NOW + timedelta(hours=hours))
        return [*decide_snooze(alert, command, council=council(), context=at())]

    assert len(snooze(Urgency.URGENT, 4)) == len(snooze(Urgency.SOON, 72)) == 1
    assert snooze(Urgency.SOON, 0) == []
    with pytest.raises(Refused, match="within 4 hours: this alert is urgent"):
        snooze(Urgency.URGENT, 4.01)


def test_unknown_alert_cannot_be_put_off_and_a_seen_one_stays_as_it_is() -> None:
    """As with acknowledging."""
    command = SnoozeAlert(alert_id=UUID(int=404), snoozed_by=LEAD, until=NOW + HOUR)
    with pytest.raises(Refused, match="There is no alert"):
        decide_snooze(Alert(UUID(int=404)), command, council=council(), context=at())
    seen = evolve(opened(), alert_acknowledged(fact().alert_id))
    assert decide_snooze(seen, command, council=council(), context=at()) == []


def test_acknowledging_an_alert_ends_what_it_led_to() -> None:
    """The manager need not look any more: whoever was asked has answered."""
    root = replace(opened(**URGENT), step=2)
    others = [
        opened(alert_id=UUID(int=310), recipient_id=MANAGER, escalates=root.alert_id),
        replace(opened(alert_id=UUID(int=311), escalates=root.alert_id), status="acknowledged"),
    ]
    command = AcknowledgeAlert(alert_id=root.alert_id, acknowledged_by=LEAD)
    seen = decide_acknowledgement(root, command, escalated=others, context=at())
    assert [each.alert_id for each in seen] == [root.alert_id, UUID(int=310)]


def test_manager_who_acknowledges_ends_the_chain_and_leaves_the_alert_to_bealert_acknowledged() -> None:
    """Nobody else is told; the lead still has to look."""
    root = replace(opened(**URGENT), step=2, next_escalation_at=NOW + HOUR)
    other = opened(alert_id=UUID(int=310), recipient_id=MANAGER, escalates=root.alert_id)
    book = book_with(root, other)
    book.apply(alert_acknowledged(other.alert_id))
    after = book.alert(root.alert_id)
    assert (after.status, after.next_escalation_at, after.version) == ("open", None, root.version)
    assert root.alert_id in book.changed_alerts


def follows(*alerts: Alert, lead: str = OTHER, around: People | None = None) -> list[tuple[UUID, str]]:
    event = lead_professional_assigned(lead)
    after = learn(around or people(), event)
    moved = decide_following(alerts, event, after, council=council(), now=NOW)
    return [(each.alert_id, each.to_id) for each in moved]


def test_open_alerts_follow_the_case_to_its_new_lead() -> None:
    """The lead's own; not the manager's, not those of another case, not what was seen."""
    mine = opened()
    others = (
        opened(alert_id=UUID(int=320), role=Role.TEAM_MANAGER, recipient_id=MANAGER),
        opened(alert_id=UUID(int=321), case_id=UUID(int=88)),
        replace(opened(alert_id=UUID(int=322)), status="acknowledged"),
    )
    assert follows(mine, *others) == [(mine.alert_id, OTHER)]


def test_what_the_duty_inbox_has_for_want_of_a_lead_goes_to_the_lead() -> None:
    """But not what is the duty inbox's own, nor what escalated to it."""
    nobody = people(cases=(Case(CASE, NOW, "open", None, "lt-ely", "ely"),))
    stood_in = opened(recipient_id=DUTY, role=Role.DUTY_INBOX)
    own = opened(alert_id=UUID(int=330), recipient_id=DUTY, role=Role.DUTY_INBOX, kind="referral.received")
    escalation = opened(
        alert_id=UUID(int=331), recipient_id=DUTY, role=Role.DUTY_INBOX, escalates=UUID(int=1)
    )
    assert follows(stood_in, own, escalation, around=nobody) == [(stood_in.alert_id, OTHER)]


def test_same_lead_again_moves_nothing_and_neither_does_a_closed_case() -> None:
    """An assignment that arrives after the closing reopens nothing."""
    assert follows(opened(), lead=LEAD) == []
    closed = people(cases=(Case(CASE, NOW, "closed", None, "lt-ely", "ely"),))
    assert follows(opened(), around=closed) == []


def test_new_lead_who_is_away_hands_on_at_once() -> None:
    """To the stand-in, in the lead's role."""
    event = lead_professional_assigned(OTHER)
    under = council(arranged(away(OTHER, "W-0603")))
    (moved,) = decide_following([opened()], event, learn(people(), event), council=under, now=NOW)
    assert (moved.to_id, moved.role, moved.reason) == (
        "W-0603",
        Role.LEAD_PROFESSIONAL,
        "new_lead_professional",
    )


@pytest.mark.parametrize(
    ("stand_in", "for_good", "expected"),
    [
        (OTHER, False, (OTHER, Role.LEAD_PROFESSIONAL, "out_of_office")),
        (None, True, (DUTY, Role.DUTY_INBOX, "left")),
    ],
)
def test_open_alerts_of_who_is_away_or_has_left_go_to_who_answers(
    stand_in: str | None, for_good: bool, expected: tuple[str, Role, str]
) -> None:
    """Everything that is open and theirs; nothing else."""
    alerts = (opened(), opened(alert_id=UUID(int=340), recipient_id=OTHER))
    under = council(arranged(away(LEAD, stand_in)))
    (moved,) = decide_absence(alerts, LEAD, {CHILD: people()}, for_good=for_good, council=under, now=NOW)
    assert (moved.to_id, moved.role, moved.reason) == expected
    after = evolve(alerts[0], moved)
    assert (after.facts.recipient_id, after.facts.role, after.step) == (expected[0], expected[1], 0)
