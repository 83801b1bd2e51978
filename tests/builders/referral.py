"""What the referral service publishes."""

from datetime import datetime
from uuid import UUID

from schemas import events as e
from schemas.events.codes import AgencyKind, Concern
from tests.builders.world import AGENCY, CHILD, LOCALITY, MANAGER, MONDAY, referral_of


def referral_received(
    child_id: UUID = CHILD,
    *,
    referral_id: UUID | None = None,
    agency_id: str = AGENCY,
    agency_reference: str | None = None,
    locality: str = LOCALITY,
    concerns: tuple[Concern, ...] = (Concern.FAMILY_DYSFUNCTION,),
    immediate_risk: bool = False,
    information_only: bool = False,
    at: datetime = MONDAY,
) -> e.ReferralReceived:
    """Return the receipt of a child's referral."""
    return e.ReferralReceived(
        child_id=child_id,
        referral_id=referral_id or referral_of(child_id),
        agency=AgencyKind.SCHOOL,
        agency_id=agency_id,
        agency_reference=agency_reference,
        locality=locality,
        concerns=concerns,
        immediate_risk=immediate_risk,
        information_only=information_only,
        received_at=at,
        channel="http",
    )


def referral_accepted(
    child_id: UUID = CHILD,
    *,
    referral_id: UUID | None = None,
    agency_id: str = AGENCY,
    locality: str = LOCALITY,
    level: int = 2,
    received_at: datetime | None = None,
    at: datetime = MONDAY,
) -> e.ReferralAccepted:
    """Return a child's referral, accepted at a moment; unless told otherwise it was received at the same."""
    return e.ReferralAccepted(
        child_id=child_id,
        referral_id=referral_id or referral_of(child_id),
        agency_id=agency_id,
        locality=locality,
        decided_at=at,
        decided_by=MANAGER,
        recommended="accept",
        policy_version="test",
        rules=(),
        concerns=(Concern.FAMILY_DYSFUNCTION,),
        indicated_level=level,
        received_at=received_at or at,
    )


def referral_redirected(
    child_id: UUID = CHILD,
    *,
    referral_id: UUID | None = None,
    agency_id: str = AGENCY,
    at: datetime = MONDAY,
) -> e.ReferralRedirected:
    """Return a child's referral, redirected to early help."""
    return e.ReferralRedirected(
        child_id=child_id,
        referral_id=referral_id or referral_of(child_id),
        agency_id=agency_id,
        locality=LOCALITY,
        decided_at=at,
        decided_by=MANAGER,
        recommended="redirect",
        policy_version="test",
        rules=(),
        to="early_help",
    )


def referral_closed(
    child_id: UUID = CHILD,
    *,
    referral_id: UUID | None = None,
    agency_id: str = AGENCY,
    at: datetime = MONDAY,
) -> e.ReferralClosed:
    """Return a child's referral, closed without further action."""
    return e.ReferralClosed(
        child_id=child_id,
        referral_id=referral_id or referral_of(child_id),
        agency_id=agency_id,
        locality=LOCALITY,
        decided_at=at,
        decided_by=MANAGER,
        recommended="close",
        policy_version="test",
        rules=(),
        reason="no_further_action",
    )
