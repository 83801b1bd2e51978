"""The rows of practitioners' lists, as the API shows them. Fields that they do not look at are left out."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from schemas.events import DomainNeed
from schemas.events.codes import AgencyKind, Level, NeedDomain, Role


class Seen(BaseModel):
    """A row of a list. New fields of the API change nothing here."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Advice(Seen):
    """The policy pack's advice for a referral."""

    recommend: Literal["accept", "redirect", "close"]


class ReferralSeen(Seen):
    """A referral that waits for a decision."""

    referral_id: UUID
    child_id: UUID
    agency: AgencyKind
    locality: str
    immediate_risk: bool
    received_at: datetime
    advice: Advice


class CaseSeen(Seen):
    """An open case."""

    case_id: UUID
    child_id: UUID
    status: Literal["assessing", "planned", "closed"]
    level: Level
    lead_professional_id: str
    needs: tuple[DomainNeed, ...] = ()
    reviews: int
    started_at: datetime
    completed_at: datetime | None = None
    reviewed_at: datetime | None = None


class PlacementSeen(Seen):
    """A placement, live or ended."""

    placement_id: UUID
    child_id: UUID | None
    case_id: UUID | None
    status: Literal["requested", "started", "ended"]
    need_group: NeedDomain | None
    requested_by: str | None
    requested_at: datetime | None
    started_on: date | None
    reviews_held: int
    last_review_on: date | None
    ended_on: date | None
    end_reason: str | None
    exit_interview: Literal["none", "due", "overdue", "completed"]
    objective_ids: tuple[UUID, ...] = ()
    """Only the page of one placement shows them."""


class AlertSeen(Seen):
    """An alert in an inbox."""

    alert_id: UUID
    recipient_id: str
    role: Role
    kind: str
    about: UUID
    raised_at: datetime


class ObjectiveSeen(Seen):
    """One aim of a placement."""

    objective_id: UUID


class PlacementDetail(Seen):
    """The page of one placement."""

    objectives: tuple[ObjectiveSeen, ...]
