"""What the assessment service publishes."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from schemas import events as e
from tests.builders.world import CHILD, LEAD, LOCALITY, MONDAY, TEAM, case_of, referral_of


def assessment_started(
    child_id: UUID = CHILD,
    *,
    case_id: UUID | None = None,
    referral_id: UUID | None = None,
    team: str = TEAM,
    level: int = 2,
    at: datetime = MONDAY,
) -> e.AssessmentStarted:
    """Return the beginning of a child's case."""
    return e.AssessmentStarted(
        child_id=child_id,
        case_id=case_id or case_of(child_id),
        referral_id=referral_id or referral_of(child_id),
        locality=LOCALITY,
        team=team,
        indicated_level=level,
        started_at=at,
    )


def lead_professional_assigned(
    lead: str = LEAD,
    *,
    child_id: UUID = CHILD,
    case_id: UUID | None = None,
    team: str = TEAM,
    locality: str = LOCALITY,
    at: datetime = MONDAY,
) -> e.LeadProfessionalAssigned:
    """Return the assignment of a lead professional to a child's case."""
    return e.LeadProfessionalAssigned(
        child_id=child_id,
        case_id=case_id or case_of(child_id),
        lead_professional_id=lead,
        team=team,
        locality=locality,
        reason="least_weighted_caseload",
        assigned_at=at,
    )


def assessment_completed(
    child_id: UUID = CHILD, *, needs: tuple[e.DomainNeed, ...] = (), at: datetime = MONDAY
) -> e.AssessmentCompleted:
    """Return the conclusion of a child's assessment."""
    return e.AssessmentCompleted(
        child_id=child_id, case_id=case_of(child_id), needs=needs, completed_at=at, completed_by=LEAD
    )


def threshold_met(
    child_id: UUID = CHILD, *, case_id: UUID | None = None, level: int = 2, at: datetime = MONDAY
) -> e.ThresholdMet:
    """Return the decision that a child's needs meet the threshold of a level."""
    return e.ThresholdMet(
        child_id=child_id,
        case_id=case_id or case_of(child_id),
        locality=LOCALITY,
        level=level,
        policy_version="test",
        rules=(),
        decided_at=at,
    )


def plan_reviewed(
    child_id: UUID = CHILD,
    *,
    case_id: UUID | None = None,
    outcome: Literal["continue", "step_up", "step_down", "close"] = "continue",
    level: int = 2,
    at: datetime = MONDAY,
) -> e.PlanReviewed:
    """Return a review of a child's plan; `level` is the one after it."""
    return e.PlanReviewed(
        child_id=child_id,
        case_id=case_id or case_of(child_id),
        outcome=outcome,
        level=level,
        reviewed_at=at,
        reviewed_by=LEAD,
    )


def case_closed(
    child_id: UUID = CHILD,
    *,
    case_id: UUID | None = None,
    lead: str = LEAD,
    reason: Literal["threshold_not_met", "outcomes_met"] = "outcomes_met",
    at: datetime = MONDAY,
) -> e.CaseClosed:
    """Return the end of a child's case."""
    return e.CaseClosed(
        child_id=child_id,
        case_id=case_id or case_of(child_id),
        lead_professional_id=lead,
        reason=reason,
        closed_at=at,
    )
