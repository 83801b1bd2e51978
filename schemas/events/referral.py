"""Events of the referral service, on `referral-events`."""

from typing import Literal
from uuid import UUID

from schemas.events.base import Code, Event, Moment, RuleFired
from schemas.events.codes import Concern, Level
from schemas.events.intake import Referred


class _OfReferral(Event):
    referral_id: UUID


class ReferralReceived(Referred, _OfReferral, name="referral.received", subject="referral_id"):
    """An agency has referred a child; the one-working-day clock to decide has started (deadline 1)."""

    received_at: Moment
    channel: Literal["http", "bus"]


class _ReferralDecided(_OfReferral):
    agency_id: Code
    locality: Code
    decided_at: Moment
    decided_by: Code
    recommended: Literal["accept", "redirect", "close"]
    """What the policy pack advised; a different outcome is the decider's override."""
    override_reason: Code | None = None
    policy_version: Code
    rules: tuple[RuleFired, ...]


class ReferralAccepted(_ReferralDecided, name="referral.accepted", subject="referral_id"):
    """The referral meets the threshold for an assessment."""

    family_id: UUID | None = None
    concerns: tuple[Concern, ...]
    indicated_level: Level
    received_at: Moment


class ReferralRedirected(_ReferralDecided, name="referral.redirected", subject="referral_id"):
    """The referral is below the threshold and goes to an early-help service (docs/domain.md A5)."""

    to: Literal["early_help"]


class ReferralClosed(_ReferralDecided, name="referral.closed", subject="referral_id"):
    """The referral ends without further action."""

    reason: Literal["no_further_action", "information_only", "duplicate"]
