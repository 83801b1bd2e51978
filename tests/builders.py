"""Events with which many tests begin: a test says what it is about, everything else is fine as it is."""

from datetime import datetime
from uuid import UUID, uuid5

from schemas.events import ReferralAccepted
from schemas.events.codes import Concern


def referral_accepted(
    child_id: UUID,
    *,
    at: datetime,
    referral_id: UUID | None = None,
    received_at: datetime | None = None,
    locality: str = "ely",
    level: int = 2,
) -> ReferralAccepted:
    """Return a child's referral, accepted at a moment; unless told otherwise it was received at the same."""
    return ReferralAccepted(
        child_id=child_id,
        referral_id=referral_id or uuid5(child_id, "referral"),
        agency_id="school-1",
        locality=locality,
        decided_at=at,
        decided_by="D-1",
        recommended="accept",
        policy_version="test",
        rules=(),
        concerns=(Concern.LOW_INCOME,),
        indicated_level=level,
        received_at=received_at or at,
    )
