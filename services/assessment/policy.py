"""The rules of cases: pure functions from state and command to events."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from schemas import events as e
from services.assessment.allocation import Candidates, least_loaded
from services.assessment.model import Case, CaseStatus, CloseReason, CompleteAssessment, ReviewPlan
from services.assessment.pack import AssessmentPack
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.deadlines.policy import Meet, Schedule
from services.kernel.deadlines.rules import schedule
from services.kernel.messages.faults import InvalidMessage, Refused
from services.kernel.processing.service import Produced

ASSESSMENT = "assessment"
"""Conclude the assessment within 45 working days of the referral (docs/domain.md, deadline 2)."""
PLAN_REVIEW = "plan_review"

LOWEST_LEVEL, HIGHEST_LEVEL = 1, 4

CaseEvent = (
    e.AssessmentStarted
    | e.LeadProfessionalAssigned
    | e.AssessmentCompleted
    | e.ThresholdMet
    | e.ThresholdNotMet
    | e.PlanReviewed
    | e.CaseClosed
)


def decide_referral_accepted(
    history: Sequence[Case],
    referral: e.ReferralAccepted,
    *,
    case_id: UUID,
    candidates: Candidates,
    points: Mapping[str, int],
    pack: AssessmentPack,
    calendar: WorkingCalendar,
    now: datetime,
) -> list[Produced]:
    """Open a case, name its lead professional and start the assessment's clock.

    Nothing happens while the child has an open case, or if this referral has already led to a case.
    `history` holds the child's cases, `points` the caseloads of the candidates. InvalidMessage when the
    pack has no possible lead: the event stays parked until a pack has one.
    """
    if any(case.is_open or case.referral_id == referral.referral_id for case in history):
        return []
    if not candidates.leaders:
        raise InvalidMessage("rejected", "the policy pack names nobody who can lead a case")
    leader = least_loaded(candidates.leaders, points)
    rule = pack.deadlines.assessment
    return [
        e.AssessmentStarted(
            case_id=case_id,
            child_id=referral.child_id,
            family_id=referral.family_id,
            referral_id=referral.referral_id,
            locality=referral.locality,
            team=candidates.team or leader.team,
            indicated_level=referral.indicated_level,
            started_at=now,
        ),
        e.LeadProfessionalAssigned(
            case_id=case_id,
            child_id=referral.child_id,
            lead_professional_id=leader.practitioner_id,
            team=leader.team,
            locality=referral.locality,
            reason=candidates.reason,
            assigned_at=now,
        ),
        Schedule(
            about=case_id,
            child_id=referral.child_id,
            case_id=case_id,
            kind=ASSESSMENT,
            rule=rule.code,
            trigger_at=referral.received_at,
            dates=schedule(rule, referral.received_at, calendar),
        ),
    ]


def decide_completion(
    case: Case,
    command: CompleteAssessment,
    *,
    pack: AssessmentPack,
    calendar: WorkingCalendar,
    now: datetime,
) -> list[Produced]:
    """Conclude an assessment: a plan with its first review follows, or the case closes.

    Raises Refused for an assessment that is already concluded.
    """
    if case.status != CaseStatus.ASSESSING:
        raise Refused(f"The assessment is already completed and the case is {case.status}: see the case.")
    completed = e.AssessmentCompleted(
        case_id=case.case_id,
        child_id=case.child_id,
        needs=command.needs,
        completed_at=now,
        completed_by=command.completed_by,
    )
    concluded: list[Produced] = [completed, Meet(case.case_id, ASSESSMENT, now)]
    met = pack.threshold.met_by({need.domain: need.level for need in command.needs})
    if not met:
        not_met = e.ThresholdNotMet(
            case_id=case.case_id,
            child_id=case.child_id,
            locality=case.locality,
            policy_version=pack.pack.version,
            rules=(pack.threshold.otherwise.fired,),
            decided_at=now,
        )
        return [*concluded, not_met, _closed(case, "threshold_not_met", now)]
    threshold = e.ThresholdMet(
        case_id=case.case_id,
        child_id=case.child_id,
        locality=case.locality,
        level=met[0].level,
        policy_version=pack.pack.version,
        rules=tuple(rule.fired for rule in met),
        decided_at=now,
    )
    return [*concluded, threshold, _review(case, 1, pack, calendar, now)]


def decide_review(
    case: Case, command: ReviewPlan, *, pack: AssessmentPack, calendar: WorkingCalendar, now: datetime
) -> list[Produced]:
    """Review a plan, early or late: the next review is set, or the case closes.

    Raises Refused before the plan exists, after the case is closed, and for a step beyond the levels.
    """
    if case.status == CaseStatus.ASSESSING:
        raise Refused("There is no plan yet: complete the assessment first.")
    if case.status == CaseStatus.CLOSED:
        raise Refused("This case is closed: send new needs as a new referral.")
    if command.outcome == "step_up" and case.level == HIGHEST_LEVEL:
        raise Refused(f"Level {HIGHEST_LEVEL} is the highest: choose continue, step_down or close.")
    if command.outcome == "step_down" and case.level == LOWEST_LEVEL:
        raise Refused(f"Level {LOWEST_LEVEL} is the lowest: choose continue, step_up or close.")
    number = case.reviews + 1
    reviewed = e.PlanReviewed(
        case_id=case.case_id,
        child_id=case.child_id,
        outcome=command.outcome,
        level=case.level + {"step_up": 1, "step_down": -1}.get(command.outcome, 0),
        reviewed_at=now,
        reviewed_by=command.reviewed_by,
    )
    met = Meet(case.case_id, PLAN_REVIEW, now, number)
    if command.outcome == "close":
        return [reviewed, met, _closed(case, "outcomes_met", now)]
    return [reviewed, met, _review(case, number + 1, pack, calendar, now)]


def evolve(case: Case | None, event: CaseEvent, *, weights: Mapping[int, int]) -> Case:
    """Return the case after one of its events; `case` is None before its first. `weights`: points by level.

    ValueError when the first event does not open a case.
    """
    if isinstance(event, e.AssessmentStarted):
        return Case(
            case_id=event.case_id,
            child_id=event.child_id,
            family_id=event.family_id,
            referral_id=event.referral_id,
            locality=event.locality,
            team=event.team,
            level=event.indicated_level,
            points=weights[event.indicated_level],
            started_at=event.started_at,
        )
    if case is None:
        message = f"{event.wire_type} for a case that has not begun"
        raise ValueError(message)
    case = replace(case, version=case.version + 1)
    match event:
        case e.LeadProfessionalAssigned():
            return replace(case, lead_professional_id=event.lead_professional_id)
        case e.AssessmentCompleted():
            # The next event says what follows, a plan or the end; both come in one transaction.
            return replace(case, needs=event.needs, completed_at=event.completed_at)
        case e.ThresholdMet():
            return replace(
                case,
                status=CaseStatus.PLANNED,
                level=event.level,
                points=weights[event.level],
                rules=event.rules,
                policy_version=event.policy_version,
            )
        case e.ThresholdNotMet():
            return replace(case, rules=event.rules, policy_version=event.policy_version)
        case e.PlanReviewed():
            return replace(
                case,
                level=event.level,
                points=weights[event.level],
                reviews=case.reviews + 1,
                reviewed_at=event.reviewed_at,
            )
        case e.CaseClosed():
            return replace(
                case, status=CaseStatus.CLOSED, closed_at=event.closed_at, close_reason=event.reason
            )


def _closed(case: Case, reason: CloseReason, now: datetime) -> e.CaseClosed:
    assert case.lead_professional_id is not None  # noqa: S101 - the database requires one
    return e.CaseClosed(
        case_id=case.case_id,
        child_id=case.child_id,
        lead_professional_id=case.lead_professional_id,
        reason=reason,
        closed_at=now,
    )


def _review(
    case: Case, number: int, pack: AssessmentPack, calendar: WorkingCalendar, now: datetime
) -> Schedule:
    rule = pack.deadlines.plan_review
    return Schedule(
        about=case.case_id,
        child_id=case.child_id,
        case_id=case.case_id,
        kind=PLAN_REVIEW,
        rule=rule.code,
        trigger_at=now,
        dates=schedule(rule, now, calendar),
        number=number,
    )
