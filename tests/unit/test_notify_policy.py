"""Who is told of what: routing rules, without a database."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID, uuid5

import pytest

from schemas import events as e
from schemas.events import AlertRaised, Event
from schemas.events.codes import Role, Urgency
from schemas.example_files import example
from schemas.topics import ALERTS, NOTIFICATIONS, read_by
from services.kernel.base.settings import Settings
from services.kernel.pack.model import PackError
from services.kernel.processing.service import Produced
from services.notify.alerts.council import Council
from services.notify.alerts.lifecycle import decide_acknowledgement, evolve
from services.notify.alerts.model import AcknowledgeAlert, Alert, Case, People, Referrer
from services.notify.alerts.people import learn
from services.notify.alerts.policy import decide_alerts
from services.notify.app import build
from services.notify.handlers import HANDLERS
from services.notify.pack.model import NotifyPack
from tests.builders import (
    AGENCY,
    ALERT,
    CASE,
    CHILD,
    LEAD,
    LOCALITY,
    MANAGER,
    MIDNIGHT,
    MONDAY,
    REFERRAL,
    alert_acknowledged,
    alert_raised,
    assessment_started,
    case_closed,
    deadline_overdue,
    lead_professional_assigned,
    placement_ended,
    placement_requested,
    placement_started,
    referral_received,
)
from tests.deciding import Rules
from tests.unit.notify_cases import NOW, PACK, at, people, with_rules

POLICIES = Path(__file__).parents[2] / "deploy" / "policies"

OCCASION = at()


NOBODY = People(CHILD)


def told(around: People, event: Event, pack: NotifyPack = PACK) -> list[tuple[str, str]]:
    """Return the role and recipient of each alert."""
    return [(alert.role.value, alert.recipient_id) for alert in raised(around, event, pack)]


def raised(around: People, event: Event, pack: NotifyPack = PACK) -> list[AlertRaised]:
    alerts = decide_alerts(around, event, council=Council(pack), context=OCCASION)
    return [alert for alert in alerts if isinstance(alert, AlertRaised)]


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
    assert sorted(told(NOBODY, referral_received())) == [
        ("duty_inbox", "duty-lt-ely"),
        ("referrer", "school-1"),
    ]


def test_referral_from_an_unknown_locality_reaches_the_county_duty_inbox() -> None:
    """A misspelt locality loses nobody."""
    assert ("duty_inbox", "integrated-access-team") in told(NOBODY, referral_received(locality="atlantis"))


def test_new_lead_professional_and_the_referrer_hear_of_the_assignment() -> None:
    """The lead comes from the event itself, the referrer from what was learnt before."""
    around = learn(people(cases=()), lead_professional_assigned())
    assert sorted(told(around, lead_professional_assigned())) == [
        ("lead_professional", "W-0601"),
        ("referrer", "school-1"),
    ]


def test_assignment_of_a_child_without_known_referrer_tells_the_duty_inbox_instead() -> None:
    """An alert is never dropped."""
    assert ("duty_inbox", "duty-lt-ely") in told(
        learn(NOBODY, lead_professional_assigned()), lead_professional_assigned()
    )


def test_case_without_lead_tells_the_duty_inbox_of_its_team() -> None:
    """The pack's `without_lead` speaks for a missing lead professional."""
    assert told(learn(NOBODY, assessment_started()), assessment_started()) == [("duty_inbox", "duty-lt-ely")]


def test_released_lead_professional_hears_of_the_closing() -> None:
    """The event names the lead, who is no longer the lead by the time it arrives."""
    around = learn(people(), case_closed())
    assert ("lead_professional", "W-0601") in told(around, case_closed())


def test_placement_after_the_case_has_closed_tells_the_team_it_had() -> None:
    """A closed case has no lead; its team's duty inbox is nearer than the county's."""
    around = learn(people(), case_closed())
    assert ("duty_inbox", "duty-lt-ely") in told(around, placement_ended())


def test_placement_without_case_tells_the_lead_of_the_childs_open_case() -> None:
    """The child is what matters, not which service knew the case."""
    alerts = raised(people(), placement_ended(case_id=None))
    assert [(alert.role.value, alert.recipient_id) for alert in alerts] == [
        ("lead_professional", "W-0601"),
        ("placements_officer", "W-0002"),
    ]
    assert {alert.case_id for alert in alerts} == {CASE}


def test_placement_read_from_the_statutory_return_tells_nobody() -> None:
    """History is no news."""
    imported = placement_ended(case_id=None, origin="ssda903")
    start = placement_started(case_id=None, on=date(2019, 1, 1), origin="ssda903")
    assert told(people(), imported) == []
    assert told(people(), start) == []


def test_overdue_assessment_tells_manager_and_lead_urgently_in_the_packs_words() -> None:
    """What, since when and what now; the day is London's last day in time, not UTC's midnight."""
    alerts = raised(people(), deadline_overdue(due_at=MIDNIGHT))
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
    decision = deadline_overdue("triage_decision", about=REFERRAL, case_id=None)
    around = people(cases=())
    assert told(around, decision) == [("team_manager", "W-0600"), ("duty_inbox", "duty-lt-ely")]


def test_overdue_without_any_team_tells_the_countys_manager_and_duty_inbox() -> None:
    """Somebody always hears, also of a child nobody has heard of."""
    assert told(NOBODY, deadline_overdue(case_id=None)) == [
        ("team_manager", "W-0001"),
        ("duty_inbox", "integrated-access-team"),
    ]


def test_deadline_of_a_kind_that_the_pack_does_not_know_still_alerts() -> None:
    """A service may be newer than the pack."""
    alerts = raised(people(), deadline_overdue("unheard_of", due_at=MIDNIGHT))
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
    assert told(people(cases=(case,)), deadline_overdue()) == [("team_manager", "W-0600")]


def test_of_two_rules_for_one_person_the_more_urgent_speaks() -> None:
    """A county whose duty inbox refers a child by itself is told of the work, not of the arrival."""
    alerts = raised(NOBODY, referral_received(agency_id="duty-lt-ely"))
    assert [(alert.role, alert.urgency) for alert in alerts] == [(Role.DUTY_INBOX, Urgency.SOON)]


def test_missing_lead_tells_nobody_where_the_pack_says_so() -> None:
    """`without_lead: null` is the one way to tell nobody, and it is the pack's."""
    event = e.PlanReviewed.model_validate(example(e.PlanReviewed, "full"))
    rule = next(rule for rule in PACK.alerts if rule.on == "plan.reviewed")
    assert told(NOBODY, event, with_rules(rule)) == [("duty_inbox", "integrated-access-team")]
    assert told(NOBODY, event, with_rules(rule.model_copy(update={"without_lead": None}))) == []


@pytest.mark.parametrize("role", list(Role))
def test_every_role_finds_somebody_for_a_child_nobody_has_heard_of(role: Role) -> None:
    """Whatever role a pack names, an event of an unknown child reaches one recipient."""
    rule = next(rule for rule in PACK.alerts if rule.on == "placement.requested")
    pack = with_rules(rule.model_copy(update={"to": (role,)}))
    assert len(raised(NOBODY, placement_requested(), pack)) == 1


def test_deciding_twice_makes_the_same_alerts() -> None:
    """Ids follow from cause, role and recipient: a second run repeats, it does not add."""
    first, second = raised(people(), deadline_overdue()), raised(people(), deadline_overdue())
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
    around = learn(
        learn(learn(NOBODY, referral_received()), assessment_started()), lead_professional_assigned("W-0603")
    )
    assert around.referrer == Referrer(AGENCY, LOCALITY, MONDAY)
    assert around.find_open_case() == Case(CASE, MONDAY, "open", "W-0603", "lt-ely", "ely")
    assert learn(around, case_closed()).find_open_case() is None


def test_older_referral_that_arrives_late_does_not_replace_the_referrer() -> None:
    """Topics let later events pass a parked one, so old news may come after new."""
    around = learn(NOBODY, referral_received(agency_id="gp-2"))
    late = referral_received(agency_id="school-1", at=MONDAY - timedelta(days=1))
    assert learn(around, late) == around


def test_assignment_that_arrives_after_the_closing_reopens_nothing() -> None:
    """A closed case stays closed and has no lead."""
    late = learn(learn(NOBODY, case_closed()), lead_professional_assigned())
    assert late.find_open_case() is None
    assert late.cases[0].lead_professional_id is None


def test_start_that_arrives_after_the_assignment_keeps_the_lead_and_the_leads_team() -> None:
    """A lead who covers from another locality stays reachable through the right team."""
    around = learn(
        learn(NOBODY, lead_professional_assigned(team="lt-march", locality="march")), assessment_started()
    )
    assert around.find_open_case() == Case(CASE, MONDAY, "open", "W-0601", "lt-march", "march")


def test_learning_twice_is_learning_once() -> None:
    """Projections do not count."""
    for event in (referral_received(), assessment_started(), lead_professional_assigned(), case_closed()):
        once = learn(people(), event)
        assert learn(once, event) == once


def decide(alert: Alert, command: AcknowledgeAlert) -> Sequence[Produced]:
    return decide_acknowledgement(alert, command, context=OCCASION)


given = Rules(Alert(ALERT), evolve, decide).given


def acknowledge(by: str = MANAGER) -> AcknowledgeAlert:
    return AcknowledgeAlert(alert_id=ALERT, acknowledged_by=by)


def test_open_alert_can_be_acknowledged() -> None:
    """Who and when are part of the fact."""
    seen = alert_acknowledged(by=MANAGER, at=NOW)
    given(alert_raised()).when(acknowledge()).then(seen)
    after = given(alert_raised(), seen).state
    assert (after.status, after.acknowledged_by, after.acknowledged_at) == ("acknowledged", MANAGER, NOW)
    assert after.version == 2


def test_acknowledging_twice_is_no_error_and_changes_nothing() -> None:
    """The second person is not refused, and the first stays on record."""
    given(alert_raised(), alert_acknowledged(by=MANAGER)).when(acknowledge(LEAD)).then_nothing_happened()


def test_unknown_alert_cannot_be_acknowledged() -> None:
    """The sentence says where to look."""
    given().when(acknowledge()).then_refused("look the id up in GET /alerts", missing=True)
