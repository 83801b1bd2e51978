"""Events of the assessment service, on `assessment-events`. A case: assessment, plan and lead."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from schemas.events.base import Code, Event, Moment, RuleFired
from schemas.events.codes import Level, NeedDomain


class AssessmentStarted(Event, name="assessment.started", subject="case_id"):
    """The child's one assessment has begun; 45 working days to conclude it (deadline 2)."""

    case_id: UUID
    family_id: UUID | None = None
    referral_id: UUID
    locality: Code
    team: Code
    indicated_level: Level
    started_at: Moment


class LeadProfessionalAssigned(Event, name="lead_professional.assigned", subject="case_id"):
    """The case has a named lead professional."""

    case_id: UUID
    lead_professional_id: Code
    team: Code
    locality: Code
    reason: Literal["least_weighted_caseload", "covering_from_another_locality"]
    assigned_at: Moment


class DomainNeed(BaseModel):
    """How much help a child needs in one domain."""

    model_config = ConfigDict(frozen=True)

    domain: NeedDomain
    level: Level


class AssessmentCompleted(Event, name="assessment.completed", subject="case_id"):
    """The assessment is concluded, with the needs found in each domain."""

    case_id: UUID
    needs: tuple[DomainNeed, ...]
    completed_at: Moment
    completed_by: Code


class ThresholdMet(Event, name="threshold.met", subject="case_id"):
    """The needs meet the threshold of a level; a plan follows."""

    case_id: UUID
    locality: Code
    level: Level
    policy_version: Code
    rules: tuple[RuleFired, ...]
    decided_at: Moment


class ThresholdNotMet(Event, name="threshold.not_met", subject="case_id"):
    """The needs meet no level's threshold; the case closes."""

    case_id: UUID
    locality: Code
    policy_version: Code
    rules: tuple[RuleFired, ...]
    decided_at: Moment


class PlanReviewed(Event, name="plan.reviewed", subject="case_id"):
    """The child's plan was reviewed and goes on or ends."""

    case_id: UUID
    outcome: Literal["continue", "step_up", "step_down", "close"]
    level: Level
    """The level after the review."""
    reviewed_at: Moment
    reviewed_by: Code


class CaseClosed(Event, name="case.closed", subject="case_id"):
    """The case is closed and its lead professional released."""

    case_id: UUID
    lead_professional_id: Code
    reason: Literal["threshold_not_met", "outcomes_met"]
    closed_at: Moment
