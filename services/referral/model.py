"""A referral and what can be asked of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, model_validator

from schemas.events import Code
from schemas.events.codes import AgencyKind, Concern
from schemas.events.fields import Flag
from services.kernel.processing.service import Command

Outcome = Literal["accept", "redirect", "close"]
CloseReason = Literal["no_further_action", "information_only", "duplicate"]


@dataclass(frozen=True, slots=True)
class Intake:
    """What an agency says about a child, whichever way it comes in."""

    child_id: UUID
    agency: AgencyKind
    agency_id: str
    locality: str
    concerns: tuple[Concern, ...]
    family_id: UUID | None = None
    agency_reference: str | None = None
    immediate_risk: bool = False
    information_only: bool = False


@dataclass(frozen=True, slots=True)
class Referral:
    """One referral. `version` counts its events."""

    referral_id: UUID
    version: int = 0
    status: Literal["absent", "received", "accepted", "redirected", "closed"] = "absent"
    intake: Intake | None = None
    received_at: datetime | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None


class ReceiveReferral(Command):
    """An agency refers a child. Ids and codes only: names are exchanged in the case record, not here."""

    child_id: UUID
    family_id: UUID | None = None
    agency: AgencyKind
    agency_id: Code
    agency_reference: Code | None = None
    locality: Code
    concerns: Annotated[tuple[Concern, ...], Field(min_length=1, max_length=8)]
    immediate_risk: Flag = False
    information_only: Flag = False

    def intake(self) -> Intake:
        """Return what the agency says."""
        return Intake(
            child_id=self.child_id,
            family_id=self.family_id,
            agency=self.agency,
            agency_id=self.agency_id,
            agency_reference=self.agency_reference,
            locality=self.locality,
            concerns=self.concerns,
            immediate_risk=self.immediate_risk,
            information_only=self.information_only,
        )


class DecideReferral(Command):
    """A duty worker decides on a referral. Without an outcome the policy pack's advice is taken."""

    referral_id: UUID
    decided_by: Code
    outcome: Outcome | None = None
    override_reason: Code | None = None
    close_reason: CloseReason | None = None

    @model_validator(mode="after")
    def _close_reason_belongs_to_closing(self) -> "DecideReferral":
        if self.close_reason is not None and self.outcome not in {"close", None}:
            message = "close_reason goes with outcome 'close': leave it out"
            raise ValueError(message)
        return self
