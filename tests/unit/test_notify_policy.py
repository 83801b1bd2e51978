"""Who is told of what: routing rules, without a database."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest

from schemas import events as e
from schemas.events import AlertRaised, Event
from schemas.events.codes import AgencyKind, Location, NeedDomain, PlacementKind, Role, Urgency
from schemas.example_files import example
from schemas.topics import ALERTS, NOTIFICATIONS, read_by
from services.kernel.base.settings import Settings
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.messages.faults import Refused
from services.kernel.pack.model import PackError, load_pack
from services.kernel.processing.service import Context
from services.notify.alerts.council import Council
from services.notify.alerts.lifecycle import decide_acknowledgement, evolve
from services.notify.alerts.model import AcknowledgeAlert, Alert, Case, People, Referrer
from services.notify.alerts.people import learn
from services.notify.alerts.policy import decide_alerts
from services.notify.app import build
from services.notify.handlers import HANDLERS
from services.notify.pack.model import AlertRule, NotifyPack

POLICIES = Path(__file__).parents[2] / "deploy" / "policies"
PACK = load_pack(POLICIES / "cambridgeshire.yaml", NotifyPack)

NOW = datetime(2026, 9, 7, 13, 5, tzinfo=UTC)
CHILD, CASE, REFERRAL, PLACEMENT = (UUID(int=number) for number in range(1, 5))
OCCASION = Context(NOW, UUID(int=99), UUID(int=99), WorkingCalendar())


def people(**changes: Any) -> People:
    """The people of a child in Ely whose case W-0601 leads."""
    case = Case(CASE, NOW, "open", "W-0601", "lt-ely", "ely")
    around = People(CHILD, Referrer("school-1", "ely", NOW), (case,))
    return replace(around, **changes)


NOBODY = People(CHILD)


def told(around: People, event: Event, pack: NotifyPack = PACK) -> list[tuple[str, str]]:
    """Return the role and recipient of each alert."""
    return [(alert.role.value, alert.recipient_id) for alert in raised(around, event, pack)]


def raised(around: People, event: Event, pack: NotifyPack = PACK) -> list[AlertRaised]:
    alerts = decide_alerts(around, event, council=Council(pack), context=OCCASION)
    return [alert for alert in alerts if isinstance(alert, AlertRaised)]


def pack_with(*rules: AlertRule) -> NotifyPack:
    """The pack with these rules for alerts and no others."""
    return NotifyPack.model_validate(PACK.model_dump() | {"alerts": [rule.model_dump() for rule in rules]})


def received(**changes: Any) -> e.ReferralReceived:
    values: dict[str, Any] = {
        "child_id": CHILD,
        "referral_id": REFERRAL,
        "agency": AgencyKind.SCHOOL,
        "agency_id": "school-1",
        "locality": "ely",
        "concerns": ("N5",),
        "received_at": NOW,
        "channel": "http",
    }
    return e.ReferralReceived(**values | changes)


def started(**changes: Any) -> e.AssessmentStarted:
    values: dict[str, Any] = {
        "child_id": CHILD,
        "case_id": CASE,
        "referral_id": REFERRAL,
        "locality": "ely",
        "team": "lt-ely",
        "indicated_level": 2,
        "started_at": NOW,
    }
    return e.AssessmentStarted(**values | changes)


def assigned(lead: str = "W-0601", **changes: Any) -> e.LeadProfessionalAssigned:
    values: dict[str, Any] = {
        "child_id": CHILD,
        "case_id": CASE,
        "lead_professional_id": lead,
        "team": "lt-ely",
        "locality": "ely",
        "reason": "least_weighted_caseload",
        "assigned_at": NOW,
    }
    return e.LeadProfessionalAssigned(**values | changes)


def closed(**changes: Any) -> e.CaseClosed:
    values: dict[str, Any] = {
        "child_id": CHILD,
        "case_id": CASE,
        "lead_professional_id": "W-0601",
        "reason": "outcomes_met",
        "closed_at": NOW,
    }
    return e.CaseClosed(**values | changes)


def overdue(kind: str = "assessment", **changes: Any) -> e.DeadlineOverdue:
    values: dict[str, Any] = {
        "child_id": CHILD,
        "deadline_id": UUID(int=50),
        "about": CASE,
        "case_id": CASE,
        "kind": kind,
        "due_at": datetime(2026, 9, 6, 23, 0, tzinfo=UTC),
        "raised_at": NOW,
    }
    return e.DeadlineOverdue(**values | changes)


def ended(**changes: Any) -> e.PlacementEnded:
    values: dict[str, Any] = {
        "child_id": CHILD,
        "placement_id": PLACEMENT,
        "location": Location.IN_COUNTY,
        "ended_on": date(2026, 9, 4),
        "reason": "planned",
    }
    return e.PlacementEnded(**values | changes)


def test_every_event_of_the_topics_read_has_a_handler() -> None:
    """What services publish reaches somebody who decides whom it concerns; alerts about alerts do not."""
    carried = {event for topic in read_by("notify") for event in topic.events}
    about_alerts = {e.AlertRaisedV1, *ALERTS, *NOTIFICATIONS} - {e.NotificationFailed}
    assert set(HANDLERS) == carried - about_alerts


@pytest.mark.parametrize("council", sorted(path.stem for path in POLICIES.glob("*.yaml")))
def test_service_builds_under_every_council_that_ships(council: str) -> None:
    """Each pack says of every event whom it alerts or that it is silent; later events never wait."""
    service = build(Settings(policy=POLICIES / f"{council}.yaml"))
    assert service.lets_pass == {topic.name for topic in read_by("notify")}
    assert service.handlers == HANDLERS, "silent ones, too: they belong to the chronology"


def test_pack_that_forgets_an_event_is_refused(tmp_path: Path) -> None:
    """Silence must be on purpose."""
    forgetful = tmp_path / "forgetful.yaml"
    silent = ["deadline.scheduled:*", "deadline.met:*", "deadline.paused:*", "missing_episode.recorded"]
    lines = "".join(f'  - "{name}"\n' for name in silent)
    base = (POLICIES / "cambridgeshire.yaml").as_posix()
    forgetful.write_text(f"extends: {base}\nsilent:\n{lines}")
    with pytest.raises(PackError, match=r"looked_after_review\.recorded alerts nobody: name it"):
        build(Settings(policy=forgetful))


def test_referral_tells_its_referrer_and_the_duty_inbox_of_its_locality() -> None:
    """The closed loop begins at once, and somebody who decides knows."""
    assert sorted(told(NOBODY, received())) == [("duty_inbox", "duty-lt-ely"), ("referrer", "school-1")]


def test_referral_from_an_unknown_locality_reaches_the_county_duty_inbox() -> None:
    """A misspelt locality loses nobody."""
    assert ("duty_inbox", "integrated-access-team") in told(NOBODY, received(locality="atlantis"))


def test_new_lead_professional_and_the_referrer_hear_of_the_assignment() -> None:
    """The lead comes from the event itself, the referrer from what was learnt before."""
    around = learn(people(cases=()), assigned())
    assert sorted(told(around, assigned())) == [("lead_professional", "W-0601"), ("referrer", "school-1")]


def test_assignment_of_a_child_without_known_referrer_tells_the_duty_inbox_instead() -> None:
    """An alert is never dropped."""
    assert ("duty_inbox", "duty-lt-ely") in told(learn(NOBODY, assigned()), assigned())


def test_case_without_lead_tells_the_duty_inbox_of_its_team() -> None:
    """The pack's `without_lead` speaks for a missing lead professional."""
    assert told(learn(NOBODY, started()), started()) == [("duty_inbox", "duty-lt-ely")]


def test_released_lead_professional_hears_of_the_closing() -> None:
    """The event names the lead, who is no longer the lead by the time it arrives."""
    around = learn(people(), closed())
    assert ("lead_professional", "W-0601") in told(around, closed())


def test_placement_after_the_case_has_closed_tells_the_team_it_had() -> None:
    """A closed case has no lead; its team's duty inbox is nearer than the county's."""
    around = learn(people(), closed())
    assert ("duty_inbox", "duty-lt-ely") in told(around, ended(case_id=CASE))


def test_placement_without_case_tells_the_lead_of_the_childs_open_case() -> None:
    """The child is what matters, not which service knew the case."""
    alerts = raised(people(), ended())
    assert [(alert.role.value, alert.recipient_id) for alert in alerts] == [
        ("lead_professional", "W-0601"),
        ("placements_officer", "W-0002"),
    ]
    assert {alert.case_id for alert in alerts} == {CASE}


def test_placement_read_from_the_statutory_return_tells_nobody() -> None:
    """History is no news."""
    imported = ended(origin="ssda903")
    start = e.PlacementStarted(
        child_id=CHILD,
        placement_id=PLACEMENT,
        provider_id="pr-1",
        kind=PlacementKind.IN_HOUSE_FOSTER,
        location=Location.IN_COUNTY,
        started_on=date(2019, 1, 1),
        origin="ssda903",
    )
    assert told(people(), imported) == []
    assert told(people(), start) == []


def test_overdue_assessment_tells_manager_and_lead_urgently_in_the_packs_words() -> None:
    """What, since when and what now; the day is London's last day in time, not UTC's midnight."""
    alerts = raised(people(), overdue())
    assert [(alert.role.value, alert.recipient_id) for alert in alerts] == [
        ("team_manager", "W-0600"),
        ("lead_professional", "W-0601"),
    ]
    for alert in alerts:
        assert alert.kind == "deadline.overdue:assessment"
        assert alert.urgency is Urgency.URGENT
        assert alert.says == "Overdue since 6 September 2026: Conclude the assessment."
        assert alert.next_step == "Act now, or record a reason and a new date."
        assert (alert.about, alert.case_id, alert.raised_at) == (CASE, CASE, NOW)


def test_rule_for_one_kind_of_deadline_wins_over_the_one_for_all() -> None:
    """An overdue decision concerns the duty inbox, for there is no lead professional yet."""
    decision = overdue("triage_decision", about=REFERRAL, case_id=None)
    around = people(cases=())
    assert told(around, decision) == [("team_manager", "W-0600"), ("duty_inbox", "duty-lt-ely")]


def test_overdue_without_any_team_tells_the_countys_manager_and_duty_inbox() -> None:
    """Somebody always hears, also of a child nobody has heard of."""
    assert told(NOBODY, overdue(case_id=None)) == [
        ("team_manager", "W-0001"),
        ("duty_inbox", "integrated-access-team"),
    ]


def test_deadline_of_a_kind_that_the_pack_does_not_know_still_alerts() -> None:
    """A service may be newer than the pack."""
    alerts = raised(people(), overdue("unheard_of"))
    assert alerts[0].says == "Overdue since 6 September 2026: unheard of."


def test_silent_event_tells_nobody() -> None:
    """Scheduling is seen on the case; nothing is to be done yet."""
    scheduled = e.DeadlineScheduled.model_validate(example(e.DeadlineScheduled, "full"))
    assert told(people(), scheduled) == []


def test_parked_event_tells_operations_even_when_it_names_no_child() -> None:
    """The system's own troubles go to those who keep it running."""
    parked = e.EventParked.model_validate(example(e.EventParked, "full") | {"child_id": str(UUID(int=0))})
    assert told(People(UUID(int=0)), parked) == [("operations", "leadline-operations")]


def test_person_named_in_two_roles_is_told_once() -> None:
    """A manager who leads the case herself gets one alert, in the first role that the pack names."""
    case = Case(CASE, NOW, "open", "W-0600", "lt-ely", "ely")
    assert told(people(cases=(case,)), overdue()) == [("team_manager", "W-0600")]


def test_of_two_rules_for_one_person_the_more_urgent_speaks() -> None:
    """A county whose duty inbox refers a child by itself is told of the work, not of the arrival."""
    alerts = raised(NOBODY, received(agency_id="duty-lt-ely"))
    assert [(alert.role, alert.urgency) for alert in alerts] == [(Role.DUTY_INBOX, Urgency.SOON)]


def test_missing_lead_tells_nobody_where_the_pack_says_so() -> None:
    """`without_lead: null` is the one way to tell nobody, and it is the pack's."""
    event = e.PlanReviewed.model_validate(example(e.PlanReviewed, "full"))
    rule = next(rule for rule in PACK.alerts if rule.on == "plan.reviewed")
    assert told(NOBODY, event, pack_with(rule)) == [("duty_inbox", "integrated-access-team")]
    assert told(NOBODY, event, pack_with(rule.model_copy(update={"without_lead": None}))) == []


@pytest.mark.parametrize("role", list(Role))
def test_every_role_finds_somebody_for_a_child_nobody_has_heard_of(role: Role) -> None:
    """Whatever role a pack names, an event of an unknown child reaches one recipient."""
    rule = next(rule for rule in PACK.alerts if rule.on == "placement.requested")
    pack = pack_with(rule.model_copy(update={"to": (role,)}))
    requested = e.PlacementRequested(
        child_id=CHILD,
        placement_id=PLACEMENT,
        case_id=CASE,
        kind=PlacementKind.KINSHIP,
        need_group=NeedDomain.AUTISM,
        requested_by="W-0601",
        requested_at=NOW,
    )
    assert len(raised(NOBODY, requested, pack)) == 1


def test_deciding_twice_makes_the_same_alerts() -> None:
    """Ids follow from cause, role and recipient: a second run repeats, it does not add."""
    first, second = raised(people(), overdue()), raised(people(), overdue())
    assert first == second
    assert first[0].alert_id == uuid5(OCCASION.cause, "alert/team_manager/W-0600")
    assert len({alert.alert_id for alert in first}) == len(first)


@pytest.mark.parametrize("event_class", list(HANDLERS), ids=lambda event_class: event_class.wire_type)
def test_every_alert_says_something_and_carries_codes_and_pack_words_only(event_class: type[Event]) -> None:
    """No value of the event but ids, codes and dates comes through, and no placeholder stays open."""
    event = event_class.model_validate(example(event_class, "full"))
    for alert in raised(learn(people(), event), event):
        assert alert.says
        assert alert.next_step
        assert "{" not in alert.says
        assert "  " not in alert.says


def test_learning_follows_a_case_from_referral_to_closing() -> None:
    """Referrer, team, lead and state, each from the event that knows it."""
    around = learn(learn(learn(NOBODY, received()), started()), assigned("W-0603"))
    assert around.referrer == Referrer("school-1", "ely", NOW)
    assert around.find_open_case() == Case(CASE, NOW, "open", "W-0603", "lt-ely", "ely")
    assert learn(around, closed()).find_open_case() is None


def test_older_referral_that_arrives_late_does_not_replace_the_referrer() -> None:
    """Topics let later events pass a parked one, so old news may come after new."""
    around = learn(NOBODY, received(agency_id="gp-2"))
    late = received(agency_id="school-1", received_at=NOW - timedelta(days=1))
    assert learn(around, late) == around


def test_assignment_that_arrives_after_the_closing_reopens_nothing() -> None:
    """A closed case stays closed and has no lead."""
    late = learn(learn(NOBODY, closed()), assigned())
    assert late.find_open_case() is None
    assert late.cases[0].lead_professional_id is None


def test_start_that_arrives_after_the_assignment_keeps_the_lead_and_the_leads_team() -> None:
    """A lead who covers from another locality stays reachable through the right team."""
    around = learn(learn(NOBODY, assigned(team="lt-march", locality="march")), started())
    assert around.find_open_case() == Case(CASE, NOW, "open", "W-0601", "lt-march", "march")


def test_learning_twice_is_learning_once() -> None:
    """Projections do not count."""
    for event in (received(), started(), assigned(), closed()):
        once = learn(people(), event)
        assert learn(once, event) == once


def alert() -> Alert:
    raised_event = raised(people(), overdue())[0]
    return evolve(Alert(raised_event.alert_id), raised_event)


def acknowledge(of: Alert, by: str = "W-0600") -> list[e.AlertAcknowledged]:
    command = AcknowledgeAlert(alert_id=of.alert_id, acknowledged_by=by)
    return decide_acknowledgement(of, command, context=OCCASION)


def test_open_alert_can_be_acknowledged() -> None:
    """Who and when are part of the fact."""
    (seen,) = acknowledge(alert())
    after = evolve(alert(), seen)
    assert (after.status, after.acknowledged_by, after.acknowledged_at) == ("acknowledged", "W-0600", NOW)
    assert after.version == 2


def test_acknowledging_twice_is_no_error_and_changes_nothing() -> None:
    """The second person is not refused, and the first stays on record."""
    seen = evolve(alert(), acknowledge(alert())[0])
    assert acknowledge(seen, by="W-0601") == []


def test_unknown_alert_cannot_be_acknowledged() -> None:
    """The sentence says where to look."""
    with pytest.raises(Refused, match="look the id up in GET /alerts") as refused:
        acknowledge(Alert(UUID(int=404)))
    assert refused.value.missing
