"""Cases and caseloads as programs see them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import PlainSerializer, WithJsonSchema

from schemas.events import DomainNeed, Event, RuleFired
from schemas.events.codes import Level
from services.assessment.allocation import Leader, weighted
from services.assessment.book import CaseBook
from services.assessment.model import Case, Caseload, CaseStatus, CloseReason
from services.kernel.base.examples import example
from services.kernel.store.deadlines import OpenDeadline
from services.kernel.web.answers import DeadlineState, Shown

WEIGHTED_DIGITS = 4

# Pydantic would write Z; what this service has published once ends in +00:00.
OffsetMoment = Annotated[
    datetime,
    PlainSerializer(datetime.isoformat),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]

CASE: Mapping[str, Any] = {
    "case_id": "5c1d8e2f-7b3a-5f60-9d24-1e8a6b0c4f97",
    "status": "planned",
    "child_id": "3d6f4c0e-8a52-4f0b-9c1d-5e7a90b1c2d3",
    "family_id": None,
    "referral_id": "a4c81f3e-6d09-5b7e-8f42-2d95e0b7c613",
    "locality": "huntingdon",
    "team": "huntingdon-early-help",
    "lead_professional_id": "sw-014",
    "level": 2,
    "points": 2,
    "needs": [{"domain": "education", "level": 2}],
    "rules": [{"code": "one_domain_at_2", "words": "One domain is at level 2."}],
    "policy_version": "cambridgeshire-2026.1",
    "reviews": 0,
    "started_at": "2026-03-03T09:00:00+00:00",
    "completed_at": "2026-03-24T15:30:00+00:00",
    "reviewed_at": None,
    "closed_at": None,
    "close_reason": None,
}


class ShownCase(Shown):
    """One child's assessment and plan."""

    model_config = example(CASE)

    case_id: UUID
    status: CaseStatus
    child_id: UUID
    family_id: UUID | None
    referral_id: UUID
    locality: str
    team: str
    lead_professional_id: str | None
    level: Level
    points: int
    """The share of its lead's capacity that it takes; 0 once it is closed."""
    needs: tuple[DomainNeed, ...]
    rules: tuple[RuleFired, ...]
    policy_version: str | None
    reviews: int
    started_at: OffsetMoment
    completed_at: OffsetMoment | None
    reviewed_at: OffsetMoment | None
    closed_at: OffsetMoment | None
    close_reason: CloseReason | None


class ShownCaseDeadline(Shown):
    """Something that is due on a case."""

    model_config = example(
        {"kind": "plan_review", "state": "scheduled", "due_at": "2026-06-16T15:30:00+00:00"}
    )

    kind: str
    state: DeadlineState
    due_at: OffsetMoment


class ShownCaseWithDeadlines(ShownCase):
    """A case, and what is due on it."""

    model_config = example(
        CASE,
        deadlines=[{"kind": "plan_review", "state": "scheduled", "due_at": "2026-06-16T15:30:00+00:00"}],
    )

    deadlines: tuple[ShownCaseDeadline, ...]


class ShownNet(Shown):
    """How many open cases there are, and how many of them nobody leads or nothing is due for."""

    model_config = example(
        {"open_cases": 118, "open_cases_without_lead": 0, "open_cases_without_deadline": 0}
    )

    open_cases: int
    open_cases_without_lead: int
    open_cases_without_deadline: int


class ShownCaseload(Shown):
    """How much somebody leads."""

    model_config = example(
        {
            "practitioner": "sw-014",
            "team": "huntingdon-early-help",
            "cases": 9,
            "points": 18,
            "capacity": 24.0,
            "weighted": 0.75,
        }
    )

    practitioner: str
    team: str | None
    cases: int
    points: int
    capacity: float | None
    """The part of a person's capacity that is for leading; null: no longer in the pack, and whose cases need
    a new lead."""
    weighted: float | None
    """How full that is."""


def shown(case: Case) -> ShownCase:
    """Return a case as programs see it."""
    return ShownCase(**_fields(case))


def shown_after(book: CaseBook, events: Sequence[Event]) -> ShownCase:
    """Answer with the case that the command touched."""
    return shown(book.cases[events[0].subject])


def shown_with_deadlines(case: Case, deadlines: Sequence[OpenDeadline]) -> ShownCaseWithDeadlines:
    """Return a case and its deadlines as programs see them."""
    return ShownCaseWithDeadlines(**_fields(case), deadlines=ShownCaseDeadline.each(deadlines))


def shown_caseload(load: Caseload, leader: Leader | None) -> ShownCaseload:
    """Return a caseload as programs see it; without a leader of somebody who has left."""
    return ShownCaseload(
        practitioner=load.practitioner_id,
        team=leader.team if leader else None,
        cases=load.cases,
        points=load.points,
        capacity=leader.capacity if leader else None,
        weighted=round(weighted(load.points, leader), WEIGHTED_DIGITS) if leader else None,
    )


def _fields(case: Case) -> dict[str, Any]:
    return {
        "case_id": case.case_id,
        "status": case.status,
        "child_id": case.child_id,
        "family_id": case.family_id,
        "referral_id": case.referral_id,
        "locality": case.locality,
        "team": case.team,
        "lead_professional_id": case.lead_professional_id,
        "level": case.level,
        "points": case.points if case.is_open else 0,
        "needs": case.needs,
        "rules": case.rules,
        "policy_version": case.policy_version,
        "reviews": case.reviews,
        "started_at": case.started_at,
        "completed_at": case.completed_at,
        "reviewed_at": case.reviewed_at,
        "closed_at": case.closed_at,
        "close_reason": case.close_reason,
    }
