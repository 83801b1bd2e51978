"""The rules of cases, without a database."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

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
from services.kernel.deadlines.rules import DeadlineDates as Dates
from services.kernel.pack.model import load_pack
from services.kernel.processing.service import Produced
from tests.builders import (
    CASE,
    MONDAY,
    assessment_completed,
    assessment_started,
    case_closed,
    lead_professional_assigned,
    plan_reviewed,
    referral_accepted,
    threshold_met,
)
from tests.deciding import Rules, like

CALENDAR = WorkingCalendar()
PACK = load_pack(Path(__file__).parents[2] / "deploy/policies/cambridgeshire.yaml", AssessmentPack)
WEIGHTS = PACK.caseload.weights
ELY = Candidates(
    "lt-ely", (Leader("W-1", "lt-ely", 20), Leader("W-2", "lt-ely", 10)), "least_weighted_caseload"
)


def decide(
    case: Case | None,
    asked: e.ReferralAccepted | CompleteAssessment | ReviewPlan,
    *,
    candidates: Candidates = ELY,
    points: Mapping[str, int] | None = None,
    now: datetime = MONDAY,
) -> Sequence[Produced]:
    """Decide under Cambridgeshire's pack; unless told otherwise everybody's caseload is empty."""
    match asked:
        case e.ReferralAccepted():
            return decide_referral_accepted(
                [] if case is None else [case],
                asked,
                case_id=CASE,
                candidates=candidates,
                points=points or {},
                pack=PACK,
                calendar=CALENDAR,
                now=now,
            )
        case CompleteAssessment():
            assert case is not None
            return decide_completion(case, asked, pack=PACK, calendar=CALENDAR, now=now)
        case ReviewPlan():
            assert case is not None
            return decide_review(case, asked, pack=PACK, calendar=CALENDAR, now=now)


NO_CASE: Case | None = None
given = Rules(NO_CASE, partial(evolve, weights=WEIGHTS), decide).given

OPENED: tuple[CaseEvent, ...] = (assessment_started(), lead_professional_assigned())
ENDED: tuple[CaseEvent, ...] = (
    *OPENED,
    assessment_completed(),
    threshold_met(),
    plan_reviewed(outcome="close"),
    case_closed(),
)
ANOTHER = UUID(int=77)
"""Another referral of the child."""


def planned(level: int = 2) -> tuple[CaseEvent, ...]:
    """Return the history of a case whose plan runs."""
    return (*OPENED, assessment_completed(), threshold_met(level=level))


def complete(**levels: int) -> CompleteAssessment:
    """Return the completion of an assessment that found these needs, `domain=level`."""
    needs = tuple(e.DomainNeed(domain=NeedDomain(domain), level=level) for domain, level in levels.items())
    return CompleteAssessment(case_id=CASE, needs=needs, completed_by="W-1")


def review(outcome: Outcome) -> ReviewPlan:
    """Return a review of the plan."""
    return ReviewPlan(case_id=CASE, outcome=outcome, reviewed_by="W-1")


def test_accepted_referral_opens_a_case_with_a_lead_and_a_deadline() -> None:
    """No case is ever open without somebody responsible and something due."""
    given().when(referral_accepted(level=3)).then(
        assessment_started(level=3),
        like(e.LeadProfessionalAssigned, case_id=CASE, reason="least_weighted_caseload"),
        like(Schedule, about=CASE, case_id=CASE, kind="assessment"),
    )


@pytest.mark.parametrize("history", [OPENED, planned()], ids=["assessing", "planned"])
def test_second_referral_for_an_open_case_changes_nothing(history: tuple[CaseEvent, ...]) -> None:
    """A child has one assessment at a time, whoever refers again."""
    given(*history).when(referral_accepted(referral_id=ANOTHER)).then_nothing_happened()


def test_new_referral_after_a_closed_case_opens_another_case() -> None:
    """Help that has ended can begin again."""
    given(*ENDED).when(referral_accepted(referral_id=ANOTHER)).then(
        assessment_started(referral_id=ANOTHER), like(e.LeadProfessionalAssigned), like(Schedule)
    )


def test_same_referral_never_opens_a_second_case() -> None:
    """A repeated acceptance of a referral whose case has ended is not a new need."""
    given(*ENDED).when(referral_accepted()).then_nothing_happened()


def test_assessment_is_due_45_working_days_after_the_referral_was_received() -> None:
    """The clock starts with the referral, not with our decision; that day is day 1."""
    received_at = datetime(2026, 9, 3, 16, 0, tzinfo=UTC)
    # 3 September is day 1 and no bank holiday lies between: day 45 is 4 November.
    dates = like(Dates, due_at=CALENDAR.start_of_day(date(2026, 11, 5)))
    given().when(referral_accepted(received_at=received_at)).then(
        like(e.AssessmentStarted),
        like(e.LeadProfessionalAssigned),
        like(Schedule, trigger_at=received_at, dates=dates),
    )


def test_lead_is_whoever_has_the_most_room_for_their_capacity() -> None:
    """Four points of twenty are less than three of ten."""
    given().when(referral_accepted(), points={"W-1": 4, "W-2": 3}).then(
        like(e.AssessmentStarted),
        like(e.LeadProfessionalAssigned, lead_professional_id="W-1"),
        like(Schedule),
    )


def test_cover_from_another_locality_keeps_the_case_with_its_own_team() -> None:
    """The lead's team and the case's team differ, and the reason says why."""
    cover = Candidates("lt-march", (Leader("W-9", "lt-ely", 10),), "covering_from_another_locality")
    given().when(referral_accepted(), candidates=cover).then(
        like(e.AssessmentStarted, team="lt-march"),
        like(e.LeadProfessionalAssigned, team="lt-ely", reason="covering_from_another_locality"),
        like(Schedule),
    )


def test_unknown_locality_goes_to_the_team_of_whoever_covers() -> None:
    """A child is not lost for a misspelt code."""
    cover = Candidates(None, (Leader("W-9", "lt-ely", 10),), "covering_from_another_locality")
    given().when(referral_accepted(), candidates=cover).then(
        like(e.AssessmentStarted, team="lt-ely"), like(e.LeadProfessionalAssigned), like(Schedule)
    )


def test_pack_without_anybody_to_lead_parks_the_referral() -> None:
    """The event waits for a better pack and is not lost; no case opens without a lead."""
    nobody = Candidates("lt-ely", (), "covering_from_another_locality")
    given().when(referral_accepted(), candidates=nobody).then_parked("nobody who can lead")


def test_needs_that_meet_a_threshold_lead_to_a_plan_and_its_first_review() -> None:
    """The highest level of the rules that fired counts; the event names all of them, in words."""
    decided = given(*OPENED).when(complete(safety=3, health=3))
    decided.then(
        like(e.AssessmentCompleted),
        Meet(CASE, "assessment", MONDAY),
        like(e.ThresholdMet, level=4, policy_version=PACK.pack.version),
        like(Schedule, kind="plan_review", number=1, trigger_at=MONDAY),
    )
    threshold = decided.produced[2]
    assert isinstance(threshold, e.ThresholdMet)
    assert [rule.code for rule in threshold.rules] == [
        "unsafe-and-uncared-for",
        "complex-in-two-domains",
        "complex-safety",
        "complex-in-one-domain",
        "additional-in-two-domains",
    ]
    assert threshold.rules[0].words.startswith("Complex needs in safety")


def test_needs_below_every_threshold_close_the_case() -> None:
    """The decision says why, and the lead is released."""
    given(assessment_started(), lead_professional_assigned("W-1")).when(complete(health=1, education=2)).then(
        like(e.AssessmentCompleted),
        like(Meet),
        like(e.ThresholdNotMet, rules=(PACK.threshold.otherwise.fired,)),
        case_closed(lead="W-1", reason="threshold_not_met"),
    )


@pytest.mark.parametrize(
    ("history", "status"),
    [
        (planned(), "planned"),
        ((*OPENED, assessment_completed(), case_closed(reason="threshold_not_met")), "closed"),
    ],
    ids=["planned", "closed"],
)
def test_assessment_is_completed_once(history: tuple[CaseEvent, ...], status: str) -> None:
    """A second completion is refused with the state of the case."""
    given(*history).when(complete(health=3)).then_refused(f"already completed and the case is {status}")


@pytest.mark.parametrize(("outcome", "level"), [("continue", 2), ("step_up", 3), ("step_down", 1)])
def test_review_goes_on_at_the_level_it_decides_and_sets_the_next_one(outcome: Outcome, level: int) -> None:
    """Each review meets its own deadline and schedules the next."""
    given(*planned(level=2)).when(review(outcome)).then(
        like(e.PlanReviewed, level=level, outcome=outcome),
        Meet(CASE, "plan_review", MONDAY, 1),
        like(Schedule, kind="plan_review", number=2, trigger_at=MONDAY),
    )


def test_third_review_meets_the_third_deadline() -> None:
    """Reviews are numbered by those that were held."""
    given(*planned(), plan_reviewed(), plan_reviewed()).when(review("continue")).then(
        like(e.PlanReviewed), like(Meet, number=3), like(Schedule, number=4)
    )


def test_closing_review_ends_the_case_and_sets_no_other() -> None:
    """Nothing stays due for a closed case."""
    given(*planned()).when(review("close")).then(
        like(e.PlanReviewed), like(Meet), case_closed(reason="outcomes_met")
    )


@pytest.mark.parametrize(
    ("level", "outcome", "instead"),
    [(4, "step_up", "continue, step_down or close"), (1, "step_down", "continue, step_up or close")],
)
def test_step_beyond_the_levels_is_refused(level: int, outcome: Outcome, instead: str) -> None:
    """The sentence says what can be chosen instead."""
    given(*planned(level=level)).when(review(outcome)).then_refused(f"choose {instead}")


def test_no_review_before_the_assessment_is_completed() -> None:
    """There is no plan to review yet."""
    given(*OPENED).when(review("continue")).then_refused("complete the assessment first")


def test_no_review_of_a_closed_case() -> None:
    """New needs are a new referral."""
    given(*ENDED).when(review("continue")).then_refused("new referral")


def points(*history: CaseEvent) -> int:
    """Return what a case takes of its lead's capacity."""
    case = given(*history).state
    assert case is not None
    return case.points


def test_points_follow_the_level() -> None:
    """Indicated at first, the threshold's next, then the review's."""
    history: tuple[CaseEvent, ...] = (
        assessment_started(level=1),
        lead_professional_assigned(),
        assessment_completed(),
        threshold_met(level=4),
        plan_reviewed(level=3, outcome="step_down"),
    )
    seen = [points(*history[: count + 1]) for count in range(len(history))]
    assert seen == [WEIGHTS[level] for level in (1, 1, 1, 4, 3)]
    assert len(set(WEIGHTS.values())) == 4, "levels of equal weight would prove nothing"


def test_version_counts_the_events_of_a_case() -> None:
    """The sequence on the bus has no gap."""
    cases = [given(*ENDED[: count + 1]).state for count in range(len(ENDED))]
    assert [case and case.version for case in cases] == [1, 2, 3, 4, 5, 6]


def test_later_event_without_a_case_is_an_error() -> None:
    """A case begins with its first event; anything else is a fault of ours, never silently a case."""
    with pytest.raises(ValueError, match="not begun"):
        given(lead_professional_assigned())


def test_domain_named_twice_is_a_mistake() -> None:
    """Two levels for one domain contradict each other."""
    need = e.DomainNeed(domain=NeedDomain.HEALTH, level=2)
    with pytest.raises(ValueError, match="each domain once"):
        CompleteAssessment(case_id=CASE, needs=(need, need), completed_by="W-1")


def test_review_is_allowed_before_it_is_due() -> None:
    """Somebody who reviews early does well: the next review counts from then."""
    early = MONDAY + timedelta(days=1)
    given(*planned()).when(review("continue"), now=early).then(
        like(e.PlanReviewed), like(Meet, at=early), like(Schedule, trigger_at=early)
    )
