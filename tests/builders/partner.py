"""What partner agencies and statutory returns tell."""

from datetime import date
from typing import Literal
from uuid import UUID, uuid5

from schemas import events as e
from schemas.events.codes import AgencyKind, Concern
from tests.builders.world import AGENCY, CHILD, LOCALITY, MONDAY

RETURN_YEAR = 2025
STAY_STARTED_ON = date(2024, 5, 2)


def referral_made(
    child_id: UUID = CHILD,
    *,
    agency_id: str = AGENCY,
    agency_reference: str | None = None,
    locality: str = LOCALITY,
) -> e.ReferralMade:
    """Return a referral as a partner sends it."""
    return e.ReferralMade(
        child_id=child_id,
        agency=AgencyKind.SCHOOL,
        agency_id=agency_id,
        agency_reference=agency_reference,
        locality=locality,
        concerns=(Concern.FAMILY_DYSFUNCTION,),
        made_at=MONDAY,
    )


def episode_reported(
    child_id: UUID = CHILD,
    *,
    year: int = RETURN_YEAR,
    started_on: date = STAY_STARTED_ON,
    legal_status: str = "C2",
    placement_type: str = "U6",
    ended_on: date | None = None,
    reason_ended: str | None = None,
) -> e.LookedAfterEpisodeReported:
    """Return a stay of a looked-after child as a return reports it; its id follows from the first day."""
    return e.LookedAfterEpisodeReported(
        child_id=child_id,
        episode_id=uuid5(child_id, started_on.isoformat()),
        return_year=year,
        started_on=started_on,
        reason_started="S",
        legal_status=legal_status,
        need="N1",
        placement_type=placement_type,
        placement_provider="PR4",
        ended_on=ended_on,
        reason_ended=reason_ended,
    )


def looked_after_review_reported(
    *, year: int = RETURN_YEAR, code: str = "PN1"
) -> e.LookedAfterReviewReported:
    """Return a review of the looked-after child as a return reports it."""
    return e.LookedAfterReviewReported(
        child_id=CHILD,
        review_id=uuid5(CHILD, "review"),
        return_year=year,
        reviewed_on=date(2024, 6, 1),
        review_code=code,
    )


def missing_episode_reported(
    kind: Literal["missing", "away"] = "missing",
    *,
    year: int = RETURN_YEAR,
    ended_on: date | None = None,
) -> e.MissingEpisodeReported:
    """Return that the looked-after child was missing or away, as a return reports it."""
    return e.MissingEpisodeReported(
        child_id=CHILD,
        missing_id=uuid5(CHILD, "missing"),
        return_year=year,
        kind=kind,
        started_on=date(2024, 7, 1),
        ended_on=ended_on,
    )
