"""The rules of cases, without a database."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid5

import pytest

from schemas import events as e
from schemas.events.codes import NeedDomain
from services.assessment.allocation import Candidates, Leader
from services.assessment.model import Case, CompleteAssessment, Outcome, ReviewPlan
from services.assessment.pack import AssessmentPack
from services.assessment.policy import (
    CaseEvent,
    decide_completion,
    decide_referral_accepted,
    decide_review,
    evolve,
)
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.deadlines.policy import Meet, Schedule
from services.kernel.messages.faults import InvalidMessage, Refused
from services.kernel.pack.model import load_pack
from services.kernel.processing.service import Produced
from tests.builders import referral_accepted

NOW = datetime(2026, 9, 7, 9, 0, tzinfo=UTC)
ROOT = UUID("5a1f3c5e-0000-4000-8000-000000000001")
CASE, CHILD, REFERRAL = uuid5(ROOT, "case"), uuid5(ROOT, "child"), uuid5(ROOT, "referral")
CALENDAR = WorkingCalendar()
PACK = load_pack(Path(__file__).parents[2] / "deploy/policies/cambridgeshire.yaml", AssessmentPack)
ELY = Candidates(
    "lt-ely", (Leader("W-1", "lt-ely", 20), Leader("W-2", "lt-ely", 10)), "least_weighted_caseload"
)


def accepted(*, referral_id: UUID = REFERRAL, received_at: datetime = NOW) -> e.ReferralAccepted:
    """An accepted referral of the child."""
    return referral_accepted(CHILD, at=NOW, referral_id=referral_id, received_at=received_at, level=3)


def started(level: int = 2) -> e.AssessmentStarted:
    """The first event of the child's case."""
    return e.AssessmentStarted(
        case_id=CASE,
        child_id=CHILD,
        referral_id=REFERRAL,
        locality="ely",
        team="lt-ely",
        indicated_level=level,
        started_at=NOW,
    )


ASSIGNED = e.LeadProfessionalAssigned(
    case_id=CASE,
    child_id=CHILD,
    lead_professional_id="W-1",
    team="lt-ely",
    locality="ely",
    reason="least_weighted_caseload",
    assigned_at=NOW,
)
COMPLETED = e.AssessmentCompleted(
    case_id=CASE, child_id=CHILD, needs=(), completed_at=NOW, completed_by="W-1"
)


def threshold_met(level: int = 2) -> e.ThresholdMet:
    """The threshold of a level is met."""
    return e.ThresholdMet(
        case_id=CASE,
        child_id=CHILD,
        locality="ely",
        level=level,
        policy_version="test",
        rules=(),
        decided_at=NOW,
    )


def reviewed(level: int, outcome: Outcome = "continue") -> e.PlanReviewed:
    """A review has been held."""
    return e.PlanReviewed(
        case_id=CASE, child_id=CHILD, outcome=outcome, level=level, reviewed_at=NOW, reviewed_by="W-1"
    )


def closed(reason: Literal["threshold_not_met", "outcomes_met"] = "outcomes_met") -> e.CaseClosed:
    """The case has ended."""
    return e.CaseClosed(
        case_id=CASE, child_id=CHILD, lead_professional_id="W-1", reason=reason, closed_at=NOW
    )


def given(*events: CaseEvent) -> Case:
    """Return the case after these events."""
    case: Case | None = None
    for event in events:
        case = evolve(case, event, weights=PACK.caseload.weights)
    assert case is not None
    return case


def with_plan(level: int = 2) -> Case:
    """Return a case whose plan runs."""
    return given(started(), ASSIGNED, COMPLETED, threshold_met(level))


def on_accepted(
    *history: Case,
    referral: e.ReferralAccepted | None = None,
    candidates: Candidates = ELY,
    points: dict[str, int] | None = None,
) -> list[Produced]:
    """Decide on an accepted referral."""
    return decide_referral_accepted(
        history,
        referral or accepted(),
        case_id=CASE,
        candidates=candidates,
        points=points or {},
        pack=PACK,
        calendar=CALENDAR,
        now=NOW,
    )


def complete(case: Case, **levels: int) -> list[Produced]:
    """Complete the assessment with these needs, `domain=level`."""
    needs = tuple(e.DomainNeed(domain=NeedDomain(domain), level=level) for domain, level in levels.items())
    command = CompleteAssessment(case_id=CASE, needs=needs, completed_by="W-1")
    return decide_completion(case, command, pack=PACK, calendar=CALENDAR, now=NOW)


def review(case: Case, outcome: Outcome) -> list[Produced]:
    """Review the plan."""
    command = ReviewPlan(case_id=CASE, outcome=outcome, reviewed_by="W-1")
    return decide_review(case, command, pack=PACK, calendar=CALENDAR, now=NOW)


def kinds(produced: list[Produced]) -> list[str]:
    """Return the names of what happened."""
    return [type(item).__name__ for item in produced]


def test_accepted_referral_opens_a_case_with_a_lead_and_a_deadline() -> None:
    """No case is ever open without somebody responsible and something due."""
    case_started, lead, deadline = on_accepted()
    assert isinstance(case_started, e.AssessmentStarted)
    assert (case_started.case_id, case_started.team, case_started.indicated_level) == (CASE, "lt-ely", 3)
    assert isinstance(lead, e.LeadProfessionalAssigned)
    assert (lead.case_id, lead.reason) == (CASE, "least_weighted_caseload")
    assert isinstance(deadline, Schedule)
    assert (deadline.about, deadline.case_id, deadline.kind) == (CASE, CASE, "assessment")


def test_second_referral_for_an_open_case_changes_nothing() -> None:
    """A child has one assessment at a time, whoever refers again."""
    again = accepted(referral_id=uuid5(ROOT, "another referral"))
    assert on_accepted(given(started(), ASSIGNED), referral=again) == []
    assert on_accepted(with_plan(), referral=again) == []


def test_new_referral_after_a_closed_case_opens_another_case() -> None:
    """Help that has ended can begin again."""
    past = given(started(), ASSIGNED, COMPLETED, threshold_met(), reviewed(2, "close"), closed())
    again = accepted(referral_id=uuid5(ROOT, "another referral"))
    assert kinds(on_accepted(past, referral=again))[0] == "AssessmentStarted"


def test_same_referral_never_opens_a_second_case() -> None:
    """A repeated acceptance of a referral whose case has ended is not a new need."""
    past = given(started(), ASSIGNED, COMPLETED, threshold_met(), reviewed(2, "close"), closed())
    assert on_accepted(past, referral=accepted()) == []


def test_assessment_is_due_45_working_days_after_the_referral_was_received() -> None:
    """The clock starts with the referral, not with our decision; that day is day 1."""
    received_at = datetime(2026, 9, 3, 16, 0, tzinfo=UTC)
    deadline = on_accepted(referral=accepted(received_at=received_at))[2]
    assert isinstance(deadline, Schedule)
    assert deadline.trigger_at == received_at
    # 3 September is day 1 and no bank holiday lies between: day 45 is 4 November.
    assert deadline.dates.due_at == CALENDAR.start_of_day(date(2026, 11, 5))


def test_lead_is_whoever_has_the_most_room_for_their_capacity() -> None:
    """Four points of twenty are less than three of ten."""
    lead = on_accepted(points={"W-1": 4, "W-2": 3})[1]
    assert isinstance(lead, e.LeadProfessionalAssigned)
    assert lead.lead_professional_id == "W-1"


def test_cover_from_another_locality_keeps_the_case_with_its_own_team() -> None:
    """The lead's team and the case's team differ, and the reason says why."""
    cover = Candidates("lt-march", (Leader("W-9", "lt-ely", 10),), "covering_from_another_locality")
    case_started, lead, _ = on_accepted(candidates=cover)
    assert isinstance(case_started, e.AssessmentStarted)
    assert isinstance(lead, e.LeadProfessionalAssigned)
    assert (case_started.team, lead.team, lead.reason) == (
        "lt-march",
        "lt-ely",
        "covering_from_another_locality",
    )


def test_unknown_locality_goes_to_the_team_of_whoever_covers() -> None:
    """A child is not lost for a misspelt code."""
    cover = Candidates(None, (Leader("W-9", "lt-ely", 10),), "covering_from_another_locality")
    case_started = on_accepted(candidates=cover)[0]
    assert isinstance(case_started, e.AssessmentStarted)
    assert case_started.team == "lt-ely"


def test_pack_without_anybody_to_lead_parks_the_referral() -> None:
    """The event waits for a better pack and is not lost; no case opens without a lead."""
    with pytest.raises(InvalidMessage, match="nobody who can lead"):
        on_accepted(candidates=Candidates("lt-ely", (), "covering_from_another_locality"))


def test_needs_that_meet_a_threshold_lead_to_a_plan_and_its_first_review() -> None:
    """The highest level of the rules that fired counts; the event names all of them, in words."""
    produced = complete(given(started(), ASSIGNED), safety=3, health=3)
    assert kinds(produced) == ["AssessmentCompleted", "Meet", "ThresholdMet", "Schedule"]
    _, met, threshold, deadline = produced
    assert met == Meet(CASE, "assessment", NOW)
    assert isinstance(threshold, e.ThresholdMet)
    assert threshold.level == 4
    assert [rule.code for rule in threshold.rules] == [
        "unsafe-and-uncared-for",
        "complex-in-two-domains",
        "complex-safety",
        "complex-in-one-domain",
        "additional-in-two-domains",
    ]
    assert threshold.rules[0].words.startswith("Complex needs in safety")
    assert threshold.policy_version == PACK.pack.version
    assert isinstance(deadline, Schedule)
    assert (deadline.kind, deadline.number, deadline.trigger_at) == ("plan_review", 1, NOW)


def test_needs_below_every_threshold_close_the_case() -> None:
    """The decision says why, and the lead is released."""
    produced = complete(given(started(), ASSIGNED), health=1, education=2)
    assert kinds(produced) == ["AssessmentCompleted", "Meet", "ThresholdNotMet", "CaseClosed"]
    not_met, ended = produced[2:]
    assert isinstance(not_met, e.ThresholdNotMet)
    assert [rule.code for rule in not_met.rules] == [PACK.threshold.otherwise.code]
    assert isinstance(ended, e.CaseClosed)
    assert (ended.reason, ended.lead_professional_id) == ("threshold_not_met", "W-1")


@pytest.mark.parametrize(
    "case",
    [
        with_plan(),
        given(started(), ASSIGNED, COMPLETED, closed("threshold_not_met")),
    ],
    ids=["planned", "closed"],
)
def test_assessment_is_completed_once(case: Case) -> None:
    """A second completion is refused with the state of the case."""
    with pytest.raises(Refused, match=f"already completed and the case is {case.status}"):
        complete(case, health=3)


@pytest.mark.parametrize(("outcome", "level"), [("continue", 2), ("step_up", 3), ("step_down", 1)])
def test_review_goes_on_at_the_level_it_decides_and_sets_the_next_one(outcome: Outcome, level: int) -> None:
    """Each review meets its own deadline and schedules the next."""
    after, met, following = review(with_plan(level=2), outcome)
    assert isinstance(after, e.PlanReviewed)
    assert (after.level, after.outcome) == (level, outcome)
    assert met == Meet(CASE, "plan_review", NOW, 1)
    assert isinstance(following, Schedule)
    assert (following.kind, following.number, following.trigger_at) == ("plan_review", 2, NOW)


def test_third_review_meets_the_third_deadline() -> None:
    """Reviews are numbered by those that were held."""
    case = given(started(), ASSIGNED, COMPLETED, threshold_met(), reviewed(2), reviewed(2))
    _, met, following = review(case, "continue")
    assert isinstance(met, Meet)
    assert isinstance(following, Schedule)
    assert (met.number, following.number) == (3, 4)


def test_closing_review_ends_the_case_and_sets_no_other() -> None:
    """Nothing stays due for a closed case."""
    produced = review(with_plan(), "close")
    assert kinds(produced) == ["PlanReviewed", "Meet", "CaseClosed"]
    ended = produced[2]
    assert isinstance(ended, e.CaseClosed)
    assert ended.reason == "outcomes_met"


@pytest.mark.parametrize(("level", "outcome"), [(4, "step_up"), (1, "step_down")])
def test_step_beyond_the_levels_is_refused(level: int, outcome: Outcome) -> None:
    """The sentence says what can be chosen instead."""
    with pytest.raises(Refused, match=r"choose continue, step_\w+ or close"):
        review(with_plan(level=level), outcome)


def test_no_review_before_the_assessment_is_completed() -> None:
    """There is no plan to review yet."""
    with pytest.raises(Refused, match="complete the assessment first"):
        review(given(started(), ASSIGNED), "continue")


def test_no_review_of_a_closed_case() -> None:
    """New needs are a new referral."""
    case = given(started(), ASSIGNED, COMPLETED, threshold_met(), reviewed(2, "close"), closed())
    with pytest.raises(Refused, match="new referral"):
        review(case, "continue")


def test_points_follow_the_level() -> None:
    """Indicated at first, the threshold's next, then the review's."""
    weights = PACK.caseload.weights
    events: list[CaseEvent] = [started(1), ASSIGNED, COMPLETED, threshold_met(4), reviewed(3, "step_down")]
    seen = [given(*events[: count + 1]).points for count in range(len(events))]
    assert seen == [weights[level] for level in (1, 1, 1, 4, 3)]
    assert len(set(weights.values())) == 4, "levels of equal weight would prove nothing"


def test_version_counts_the_events_of_a_case() -> None:
    """The sequence on the bus has no gap."""
    events: list[CaseEvent] = [
        started(),
        ASSIGNED,
        COMPLETED,
        threshold_met(),
        reviewed(2, "close"),
        closed(),
    ]
    assert [given(*events[: count + 1]).version for count in range(len(events))] == [1, 2, 3, 4, 5, 6]


def test_later_event_without_a_case_is_an_error() -> None:
    """A case begins with its first event; anything else is a fault of ours, never silently a case."""
    with pytest.raises(ValueError, match="not begun"):
        evolve(None, ASSIGNED, weights=PACK.caseload.weights)


def test_domain_named_twice_is_a_mistake() -> None:
    """Two levels for one domain contradict each other."""
    need = e.DomainNeed(domain=NeedDomain.HEALTH, level=2)
    with pytest.raises(ValueError, match="each domain once"):
        CompleteAssessment(case_id=CASE, needs=(need, need), completed_by="W-1")


def test_review_is_allowed_before_it_is_due() -> None:
    """Somebody who reviews early does well: the next review counts from then."""
    case = with_plan()
    early = NOW + timedelta(days=1)
    command = ReviewPlan(case_id=CASE, outcome="continue", reviewed_by="W-1")
    _, met, following = decide_review(case, command, pack=PACK, calendar=CALENDAR, now=early)
    assert isinstance(met, Meet)
    assert isinstance(following, Schedule)
    assert met.at == following.trigger_at == early
