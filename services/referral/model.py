"""A referral and its commands."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, model_validator

from schemas.events import Code, ReferralMade, ReferralReceived
from schemas.events.base import PlainClasses
from schemas.events.intake import Referred, StatedConcerns
from services.kernel.base.examples import example
from services.kernel.processing.service import Command

Outcome = Literal["accept", "redirect", "close"]
CloseReason = Literal["no_further_action", "information_only", "duplicate"]


class _AboutChild(BaseModel, metaclass=PlainClasses):
    child_id: UUID


class Intake(Referred, _AboutChild):
    """What an agency says about a child, over HTTP or the bus."""

    @classmethod
    def of(cls, event: ReferralMade | ReferralReceived) -> Self:
        """Return the intake that an event carries."""
        return cls.model_validate(event, from_attributes=True)


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


class ReceiveReferral(Intake, Command):
    """An agency refers a child. Ids and codes only: names are exchanged in the case record, not here."""

    model_config = example(
        {
            "child_id": "3d6f4c0e-8a52-4f0b-9c1d-5e7a90b1c2d3",
            "agency": "school",
            "agency_id": "ladybrook-primary",
            "agency_reference": "REF-17",
            "locality": "huntingdon",
            "concerns": ["N4"],
        }
    )

    concerns: StatedConcerns


class DecideReferral(Command):
    """A duty worker decides on a referral. Without an outcome, the policy pack's advice applies."""

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
