"""A case, a caseload, and their commands."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from schemas.events import Code, DomainNeed, RuleFired
from schemas.events.codes import NeedDomain
from services.kernel.base.examples import example
from services.kernel.processing.service import Command

Outcome = Literal["continue", "step_up", "step_down", "close"]
CloseReason = Literal["threshold_not_met", "outcomes_met"]


class CaseStatus(StrEnum):
    """How far a case has come. Everything before `closed` is open."""

    ASSESSING = "assessing"
    PLANNED = "planned"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Case:
    """One child's assessment and plan. `version` counts its events."""

    case_id: UUID
    child_id: UUID
    referral_id: UUID
    locality: str
    team: str
    level: int
    """First the level the referral indicates, then the threshold's, then that of the last review."""
    points: int
    """The share of its lead's capacity that the case takes while it is open."""
    started_at: datetime
    version: int = 1
    status: CaseStatus = CaseStatus.ASSESSING
    family_id: UUID | None = None
    lead_professional_id: str | None = None
    """None only between the first two events of a case, which are published together."""
    needs: tuple[DomainNeed, ...] = ()
    rules: tuple[RuleFired, ...] = ()
    policy_version: str | None = None
    reviews: int = 0
    completed_at: datetime | None = None
    reviewed_at: datetime | None = None
    closed_at: datetime | None = None
    close_reason: CloseReason | None = None

    @property
    def is_open(self) -> bool:
        """Return whether the case is still being worked on."""
        return self.status != CaseStatus.CLOSED


@dataclass(frozen=True, slots=True)
class Caseload:
    """How many open cases a practitioner leads, and their total points."""

    practitioner_id: str
    cases: int = 0
    points: int = 0

    def plus(self, points: int) -> "Caseload":
        """Return the caseload with one more case."""
        return Caseload(self.practitioner_id, self.cases + 1, self.points + points)

    def minus(self, points: int) -> "Caseload":
        """Return the caseload with one case fewer."""
        return Caseload(self.practitioner_id, self.cases - 1, self.points - points)


class Findings(Command):
    """What an assessment found: at most one level for each domain assessed.

    At least one: an empty list would close the case, and is more likely a form sent too early.
    """

    model_config = example({"needs": [{"domain": "education", "level": 2}], "completed_by": "sw-014"})

    needs: Annotated[tuple[DomainNeed, ...], Field(min_length=1, max_length=len(NeedDomain))]
    completed_by: Code

    @model_validator(mode="after")
    def _each_domain_once(self) -> Self:
        if len({need.domain for need in self.needs}) < len(self.needs):
            message = "name each domain once"
            raise ValueError(message)
        return self


class CompleteAssessment(Findings):
    """Conclude the assessment of a case."""

    case_id: UUID


class Review(Command):
    """What a review decided: go on, with more or less help, or end."""

    model_config = example({"outcome": "continue", "reviewed_by": "sw-014"})

    outcome: Outcome
    reviewed_by: Code


class ReviewPlan(Review):
    """Review the plan of a case."""

    case_id: UUID
