"""Events that partner agencies publish on `partner-events`.

A field that was not agreed is refused, not ignored: it could carry personal data.
"""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from schemas.events.base import Code, Day, Event, Moment
from schemas.events.fields import Flag, in_order
from schemas.events.intake import Referred, StatedConcerns

ReturnYear = Annotated[int, Field(ge=1992, le=2100)]
"""The year in which the statutory return's reporting year ends: 2026 for April 2025 to March 2026."""


class _PartnerEvent(Event):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReferralMade(Referred, _PartnerEvent, name="partner.referral_made", subject="child_id"):
    """A partner agency refers a child."""

    agency_reference: Code | None = None
    """The agency's own number for this referral. A second message with it is the same referral sent again."""
    concerns: StatedConcerns
    immediate_risk: Flag = False
    """The referrer believes the child may be suffering significant harm now."""
    made_at: Moment


class LookedAfterChildReported(_PartnerEvent, name="ssda903.child_reported", subject="child_id"):
    """A child stands in the header file of a statutory return; nothing personal travels."""

    return_year: ReturnYear


class LookedAfterEpisodeReported(_PartnerEvent, name="ssda903.episode_reported", subject="episode_id"):
    """One episode of care, with the codes of the return. `ended_on` is not before `started_on`."""

    episode_id: UUID
    """The same for every report of the episode: derived from the child and the first day."""
    return_year: ReturnYear
    started_on: Day
    reason_started: Code
    legal_status: Code
    need: Code
    placement_type: Code
    placement_provider: Code | None = None
    ended_on: Day | None = None
    reason_ended: Code | None = None
    reason_place_change: Code | None = None

    _in_order = model_validator(mode="after")(in_order)


class LookedAfterReviewReported(_PartnerEvent, name="ssda903.review_reported", subject="review_id"):
    """One review, with the return's code for how the child took part."""

    review_id: UUID
    return_year: ReturnYear
    reviewed_on: Day
    review_code: Code


class MissingEpisodeReported(_PartnerEvent, name="ssda903.missing_reported", subject="missing_id"):
    """One time a looked-after child was missing (`M`) or away without authorisation (`A`).

    `ended_on` is not before `started_on`.
    """

    missing_id: UUID
    return_year: ReturnYear
    kind: Literal["missing", "away"]
    started_on: Day
    ended_on: Day | None = None

    _in_order = model_validator(mode="after")(in_order)
