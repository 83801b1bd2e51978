"""The referrals that one batch touches."""

from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

from schemas.events import Event
from services.referral.model import Intake, Referral
from services.referral.pack import ReferralPack
from services.referral.policy import ReferralEvent, evolve


@dataclass
class ReferralBook:
    """Referrals by id and by the agency's own reference, and the council's policy."""

    pack: ReferralPack
    referrals: dict[UUID, Referral] = field(default_factory=dict)
    references: dict[tuple[str, str], UUID] = field(default_factory=dict)
    changed: set[UUID] = field(default_factory=set)

    def referral(self, referral_id: UUID) -> Referral:
        """Return a referral; an unknown one is absent."""
        return self.referrals.get(referral_id) or Referral(referral_id)

    def known(self, intake: Intake) -> UUID | None:
        """Return the referral that this agency has already sent under the same reference of its own."""
        if intake.agency_reference is None:
            return None
        return self.references.get((intake.agency_id, intake.agency_reference))

    def add(self, referral: Referral) -> None:
        """Take a referral in, under its id and its agency's reference."""
        self.referrals[referral.referral_id] = referral
        if referral.intake is not None and referral.intake.agency_reference is not None:
            reference = (referral.intake.agency_id, referral.intake.agency_reference)
            self.references[reference] = referral.referral_id

    def apply(self, event: Event) -> int:
        """Let the event's referral evolve; return its new version."""
        referral = evolve(self.referral(event.subject), cast("ReferralEvent", event))
        self.add(referral)
        self.changed.add(referral.referral_id)
        return referral.version
