"""Who answers: roles beside the lead, absences, leavers, vacancies, and the same told again."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID

import pytest

from schemas import events as e
from schemas.events import AlertRepeated, Event
from schemas.events.codes import Role, Urgency
from services.kernel.messages.faults import Refused
from services.notify.alerts.council import Council
from services.notify.alerts.lifecycle import evolve
from services.notify.alerts.model import AssignKeyWorker, Case, KeyWorker, People, ReviewingOfficer
from services.notify.alerts.people import decide_key_worker, learn
from services.notify.alerts.policy import decide_alerts, decide_settlement
from services.notify.pack.model import RECIPIENT_MISSING
from tests.builders import (
    CASE,
    CHILD,
    DUTY,
    LEAD,
    MANAGER,
    OTHER,
    assessment_started,
    deadline_due_soon,
    deadline_met,
    deadline_overdue,
    exit_interview_completed,
    placement_reviewed,
    plan_reviewed,
    referral_closed,
    referral_received,
)
from tests.unit.notify_cases import (
    NOW,
    PACK,
    alerts_of,
    arranged,
    at,
    away,
    council,
    opened,
    people,
    rule_for,
    with_rules,
)

DAY = timedelta(days=1)


def told(event: Event, around: People | None = None, under: Council | None = None) -> list[tuple[str, str]]:
    """The role and recipient of each alert, those about a vacancy marked."""
    return [
        ("missing" if alert.kind == RECIPIENT_MISSING else alert.role.value, alert.recipient_id)
        for alert in alerts_of(event, around, under)
    ]


def test_key_worker_hears_beside_the_lead_professional() -> None:
    """Two roles, two people, one event."""
    around = people(key_worker=KeyWorker(OTHER, NOW, 1))
    assert told(plan_reviewed(), around) == [("lead_professional", LEAD), ("key_worker", OTHER)]


def test_child_without_key_worker_tells_the_lead_once() -> None:
    """Most children have none: nobody is missed, and nobody is told twice."""
    assert told(plan_reviewed()) == [("lead_professional", LEAD)]
    assert told(plan_reviewed(), people(key_worker=KeyWorker(None, NOW, 2))) == [("lead_professional", LEAD)]


def test_review_that_is_overdue_reaches_who_held_the_last_one() -> None:
    """Before the first review the county's reviewing officer answers, and for one whom nobody knows."""
    event = deadline_overdue("placement_review_second")
    by_last = people(reviewing_officer=ReviewingOfficer(OTHER, date(2026, 6, 1)))
    unknown = people(reviewing_officer=ReviewingOfficer("IRO-9", date(2026, 6, 1)))
    others = [("team_manager", MANAGER), ("lead_professional", LEAD)]
    assert told(event, by_last) == [("independent_reviewing_officer", OTHER), *others]
    assert told(event) == told(event, unknown) == [("independent_reviewing_officer", "W-0003"), *others]


def test_reviewing_officer_is_learnt_from_reviews_in_any_order() -> None:
    """The latest review counts, whichever arrives last."""

    first = placement_reviewed(1, by="W-0602", on=date(2026, 3, 1))
    second = placement_reviewed(2, by="W-0603", on=date(2026, 6, 1))
    for order in ((first, second), (second, first)):
        around = people()
        for event in order:
            around = learn(around, event)
        assert around.reviewing_officer == ReviewingOfficer("W-0603", date(2026, 6, 1))


def test_commissioner_hears_what_a_placement_achieved() -> None:
    """The county's post; a county without one loses no alert."""
    rule = rule_for("exit_interview.completed").model_copy(update={"to": (Role.COMMISSIONER,)})
    event = exit_interview_completed()
    pack = with_rules(rule)
    assert told(event, under=council(pack=pack)) == [("commissioner", "W-0004")]
    duty = pack.county_duty.model_copy(update={"commissioner": None})
    without = council(pack=pack.model_copy(update={"county_duty": duty}))
    assert told(event, under=without) == [("duty_inbox", DUTY)]


def test_who_is_away_is_told_through_whom_they_named() -> None:
    """In the same role, and the alert says in whose stead."""
    (alert,) = alerts_of(deadline_due_soon(), under=council(arranged(away(to=OTHER, end=NOW + DAY))))
    assert (alert.role, alert.recipient_id, alert.stands_in_for) == (Role.LEAD_PROFESSIONAL, OTHER, LEAD)


@pytest.mark.parametrize(
    ("start", "end", "recipient"),
    [
        (NOW - DAY, NOW, LEAD),  # back at this very moment
        (NOW, NOW + DAY, OTHER),
        (NOW + timedelta(microseconds=1), NOW + DAY, LEAD),  # not yet gone
    ],
)
def test_absence_holds_from_its_start_to_its_end(start: datetime, end: datetime, recipient: str) -> None:
    """The first moment is away, the last is back."""
    absence = replace(away(to=OTHER), starts_at=start, ends_at=end)
    assert told(deadline_due_soon(), under=council(arranged(absence))) == [("lead_professional", recipient)]


def test_absence_that_was_declared_last_counts() -> None:
    """Who corrects a stand-in need not take the first one back."""
    both = arranged(away(to=OTHER, end=NOW + DAY), away(to="W-0603", end=NOW + DAY, number=2))
    assert told(deadline_due_soon(), under=council(both)) == [("lead_professional", "W-0603")]


def test_stand_in_who_is_away_hands_on() -> None:
    """To whom they named in turn."""
    both = arranged(away(to=OTHER), away(OTHER, "W-0603"))
    assert told(deadline_due_soon(), under=council(both)) == [("lead_professional", "W-0603")]


def test_two_who_stand_in_for_each_other_lead_to_the_duty_inbox() -> None:
    """A circle ends, and the manager hears that nobody is there."""
    circle = arranged(away(to=OTHER), away(OTHER, LEAD))
    assert told(deadline_due_soon(), under=council(circle)) == [("duty_inbox", DUTY), ("missing", MANAGER)]


def test_who_is_away_without_a_stand_in_leaves_it_to_the_duty_inbox_and_the_manager_hears() -> None:
    """Nothing is dropped, and somebody who can mend it knows."""
    alone = council(arranged(away(end=NOW + DAY)))
    assert told(deadline_due_soon(), under=alone) == [("duty_inbox", DUTY), ("missing", MANAGER)]
    to_duty, missing = alerts_of(deadline_due_soon(), under=alone)
    assert to_duty.stands_in_for == LEAD
    assert missing.says == "An alert found nobody in the role it is for: the duty inbox has it."
    assert missing.urgency is Urgency.SOON
    assert (missing.case_id, missing.about, missing.cause_id) == (CASE, CASE, at().cause)


def test_lead_whom_the_pack_does_not_know_has_left() -> None:
    """A practitioner who was taken out of the pack gets no alert that nobody reads."""
    gone = people(cases=(Case(CASE, NOW, "open", "W-9999", "lt-ely", "ely"),))
    assert told(deadline_due_soon(), gone) == [("duty_inbox", DUTY), ("missing", MANAGER)]


def test_case_without_lead_is_a_vacancy_of_its_own() -> None:
    """The duty inbox acts, the manager names somebody."""
    nobody = people(cases=(Case(CASE, NOW, "open", None, "lt-ely", "ely"),))
    assert told(deadline_due_soon(), nobody) == [("duty_inbox", DUTY), ("missing", MANAGER)]


def test_manager_who_is_told_anyway_is_not_told_twice_of_a_vacancy() -> None:
    """One cause, one recipient, one alert."""
    nobody = people(cases=(Case(CASE, NOW, "open", None, "lt-ely", "ely"),))
    assert told(deadline_overdue(), nobody) == [("team_manager", MANAGER), ("duty_inbox", DUTY)]


def test_assessment_that_begins_without_lead_is_no_vacancy() -> None:
    """The lead is assigned a moment later: the pack says that this is the ordinary state."""
    nobody = people(cases=(Case(CASE, NOW, "open", None, "lt-ely", "ely"),))
    assert told(assessment_started(), nobody) == [("duty_inbox", DUTY)]


def test_manager_who_is_away_leaves_the_vacancy_to_the_duty_inbox() -> None:
    """A vacancy about a vacancy is one alert, not a chain."""
    both = council(arranged(away(), away(MANAGER)))
    assert told(deadline_due_soon(), under=both) == [("duty_inbox", DUTY)]


def test_unknown_referrer_is_no_vacancy() -> None:
    """Agencies are not ours to name: the duty inbox is told, and nobody is asked to mend it."""
    around = replace(people(), referrer=None)
    closed = rule_for("referral.accepted").model_copy(update={"on": "plan.reviewed"})
    assert told(plan_reviewed(), around, council(pack=with_rules(closed))) == [("duty_inbox", DUTY)]


def again(event: Event, *known: Event, minutes: float = 60) -> list[object]:
    """What an event raises while the alerts of earlier ones are open."""
    still_open = [opened(alert) for each in known for alert in alerts_of(each)]
    context = at(NOW + timedelta(minutes=minutes), cause=100)
    return [*decide_alerts(people(), event, council=council(), context=context, still_open=still_open)]


def test_same_again_within_the_window_is_no_new_alert() -> None:
    """The open one speaks for both, counts, and knows the second cause."""
    (alert,) = alerts_of(plan_reviewed())
    (repeated,) = again(plan_reviewed(), plan_reviewed())
    assert isinstance(repeated, AlertRepeated)
    assert (repeated.alert_id, repeated.repeats, repeated.cause_id) == (alert.alert_id, 1, UUID(int=100))
    after = evolve(opened(alert), repeated)
    assert (after.status, after.repeats, after.repeated_at) == ("open", 1, NOW + timedelta(hours=1))
    assert after.version == 2


@pytest.mark.parametrize(
    ("what", "event", "minutes"),
    [
        ("after the window", plan_reviewed(), 241),
        ("another kind", deadline_due_soon(), 60),
        ("another case", plan_reviewed(case_id=UUID(int=77)), 60),
    ],
)
def test_what_is_not_the_same_is_an_alert_of_its_own(what: str, event: Event, minutes: float) -> None:
    """Four hours, one case, one kind."""
    first, *_ = again(event, plan_reviewed(), minutes=minutes)
    assert not isinstance(first, AlertRepeated), what


def test_urgent_alert_about_another_thing_of_the_same_case_is_not_swallowed() -> None:
    """Two visits that are overdue are two things to do; the same one told again is one."""
    other = again(deadline_overdue(about=UUID(int=60)), deadline_overdue())
    same = again(deadline_overdue(number=61), deadline_overdue())
    assert not any(isinstance(each, AlertRepeated) for each in other)
    assert all(isinstance(each, AlertRepeated) for each in same)
    assert len(other) == len(same) == 2


def test_key_worker_is_assigned_once_and_taken_back() -> None:
    """The same again changes nothing; nobody is a choice, too."""

    def decide(around: People, worker: str | None) -> list[e.KeyWorkerAssigned]:
        command = AssignKeyWorker(child_id=CHILD, key_worker_id=worker, assigned_by=LEAD)
        return decide_key_worker(around, command, council=Council(PACK), context=at())

    (first,) = decide(people(), OTHER)
    around = learn(people(), first)
    assert around.key_worker == KeyWorker(OTHER, NOW, 1)
    assert decide(around, OTHER) == []
    (second,) = decide(around, None)
    assert learn(around, second).key_worker == KeyWorker(None, NOW, 2)
    assert decide(people(), None) == []
    with pytest.raises(Refused, match="has no practitioner W-9999"):
        decide(people(), "W-9999")


def settled_by(event: Event, *known: Event) -> list[str]:
    """The recipients whose open alerts an event settles."""
    still_open = [opened(alert) for each in known for alert in alerts_of(each)]
    settled = decide_settlement(event, council=council(), context=at(), still_open=still_open)
    recipients = {alert.alert_id: alert.facts.recipient_id for alert in still_open}
    return [recipients[each.alert_id] for each in settled]


def test_what_was_due_and_has_happened_is_settled_for_everybody_who_was_told() -> None:
    """A deadline that is met escalates no further; each alert says so once."""
    assert settled_by(deadline_met(), deadline_overdue()) == [MANAGER, LEAD]
    (settled, _) = decide_settlement(
        deadline_met(),
        council=council(),
        context=at(),
        still_open=[opened(each) for each in alerts_of(deadline_overdue())],
    )
    assert settled.by == "deadline.met"
    after = evolve(opened(alerts_of(deadline_overdue())[0]), settled)
    assert (after.status, after.settled_at) == ("open", NOW)
    assert decide_settlement(deadline_met(), council=council(), context=at(), still_open=[after]) == []


@pytest.mark.parametrize(
    ("what", "event"),
    [
        ("another kind of deadline", deadline_met("plan_review")),
        ("the same deadline of another thing", deadline_met(about=UUID(int=60))),
        ("an event that settles nothing", plan_reviewed()),
    ],
)
def test_only_what_is_about_the_same_is_settled(what: str, event: Event) -> None:
    """An assessment that is concluded leaves the review overdue."""
    assert settled_by(event, deadline_overdue()) == [], what


def test_settled_alert_does_not_speak_for_what_happens_after_it() -> None:
    """A new alert is needed when the same becomes overdue again."""
    known = [replace(opened(alert), settled_at=NOW) for alert in alerts_of(deadline_overdue())]
    again = decide_alerts(
        people(), deadline_overdue(), council=council(), context=at(cause=100), still_open=known
    )
    assert not any(isinstance(each, AlertRepeated) for each in again)


def test_referral_that_is_decided_settles_the_duty_inbox_and_not_the_referrers_receipt() -> None:
    """The receipt asked for nothing; also an escalation to the manager is settled."""
    received = referral_received()
    duty = next(alert for alert in alerts_of(received) if alert.role is Role.DUTY_INBOX)
    escalated = duty.model_copy(
        update={
            "alert_id": UUID(int=360),
            "role": Role.TEAM_MANAGER,
            "recipient_id": MANAGER,
            "escalates": duty.alert_id,
        }
    )
    still_open = [opened(alert) for alert in (*alerts_of(received), escalated)]
    settled = decide_settlement(referral_closed(), council=council(), context=at(), still_open=still_open)
    assert [each.alert_id for each in settled] == [duty.alert_id, escalated.alert_id]
