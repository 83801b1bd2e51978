"""Referrals as programs see them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from schemas.events import Event
from schemas.events.codes import AgencyKind, Concern, Level
from services.kernel.base.examples import example
from services.kernel.store.deadlines import OpenDeadline
from services.kernel.web.answers import DEADLINE, Shown, ShownDeadline
from services.referral import policy
from services.referral.book import ReferralBook
from services.referral.model import Intake, Outcome, Referral
from services.referral.pack import ReferralPack

REFERRAL: Mapping[str, Any] = {
    "referral_id": "a4c81f3e-6d09-5b7e-8f42-2d95e0b7c613",
    "status": "received",
    "child_id": "3d6f4c0e-8a52-4f0b-9c1d-5e7a90b1c2d3",
    "family_id": None,
    "agency": "school",
    "agency_id": "ladybrook-primary",
    "agency_reference": "REF-17",
    "locality": "huntingdon",
    "concerns": ["N4"],
    "immediate_risk": False,
    "information_only": False,
    "received_at": "2026-03-02T09:14:03Z",
    "decided_at": None,
    "decided_by": None,
    "advice": {
        "recommend": "accept",
        "rule": "family_in_acute_stress",
        "words": "The family is under acute stress.",
        "level": 2,
    },
}
"""The example, as long as nobody has decided."""


class ShownAdvice(Shown):
    """What the policy pack would decide, and by which of its rules."""

    recommend: Outcome
    rule: str
    words: str
    level: Level


class ShownReferral(Shown):
    """A referral; until it is decided with the policy's advice."""

    model_config = example(REFERRAL)

    referral_id: UUID
    status: Literal["received", "accepted", "redirected", "closed"]
    child_id: UUID
    family_id: UUID | None
    agency: AgencyKind
    agency_id: str
    agency_reference: str | None
    locality: str
    concerns: tuple[Concern, ...]
    immediate_risk: bool
    information_only: bool
    received_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    advice: Annotated[ShownAdvice | None, Field(exclude_if=lambda advice: advice is None)] = None
    """Absent once the referral is decided."""


class ShownReferralWithDeadlines(ShownReferral):
    """A referral, and by when what has to be done."""

    model_config = example(REFERRAL, deadlines=[DEADLINE])

    deadlines: tuple[ShownDeadline, ...]


class ShownReferralFigure(Shown):
    """How many referrals of one kind of agency have one status."""

    model_config = example({"agency": "school", "status": "accepted", "count": 12})

    agency: AgencyKind
    status: Literal["received", "accepted", "redirected", "closed"]
    count: int


def shown(referral: Referral, pack: ReferralPack) -> ShownReferral:
    """Return a referral as programs see it."""
    return ShownReferral(**_fields(referral, pack))


def shown_with_deadlines(
    referral: Referral, pack: ReferralPack, deadlines: Sequence[OpenDeadline]
) -> ShownReferralWithDeadlines:
    """Return a referral and its deadlines as programs see them."""
    return ShownReferralWithDeadlines(**_fields(referral, pack), deadlines=ShownDeadline.each(deadlines))


def shown_after(pack: ReferralPack) -> Callable[[ReferralBook, Sequence[Event]], ShownReferral]:
    """Return how a command is answered: with the referral that it touched."""
    return lambda book, events: shown(book.referral(events[0].subject), pack)


def _fields(referral: Referral, pack: ReferralPack) -> dict[str, Any]:
    intake = referral.intake
    assert intake is not None  # noqa: S101 - absent referrals are not shown
    return {
        "referral_id": referral.referral_id,
        "status": referral.status,
        "child_id": intake.child_id,
        "family_id": intake.family_id,
        "agency": intake.agency,
        "agency_id": intake.agency_id,
        "agency_reference": intake.agency_reference,
        "locality": intake.locality,
        "concerns": intake.concerns,
        "immediate_risk": intake.immediate_risk,
        "information_only": intake.information_only,
        "received_at": referral.received_at,
        "decided_at": referral.decided_at,
        "decided_by": referral.decided_by,
        "advice": _advice(intake, pack) if referral.status == "received" else None,
    }


def _advice(intake: Intake, pack: ReferralPack) -> ShownAdvice:
    advice = policy.advise(intake, pack)
    return ShownAdvice(recommend=advice.recommend, rule=advice.code, words=advice.words, level=advice.level)
