"""Placements from request to exit interview, looked-after history, and the commands."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.events.base import Code, Day
from schemas.events.codes import Location, NeedDomain, PlacementKind
from services.kernel.base.examples import example
from services.kernel.processing.service import Command

Status = Literal["absent", "requested", "started", "ended"]
LIVE: frozenset[Status] = frozenset({"requested", "started"})

ExitInterview = Literal["none", "due", "overdue", "completed"]
"""`none` until the placement has ended; an interview that is due or overdue can be completed."""

Words = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000, pattern=r"^[^\x00]*$")
]
"""Free text that stays in the store: an objective's wording, or what a child said. PostgreSQL
text may hold any character but NUL."""


@dataclass(frozen=True, slots=True)
class KnownCase:
    """What placement needs to know of a case; the assessment service owns it."""

    case_id: UUID
    child_id: UUID
    level: int | None
    """None when the case closed before any threshold was met."""
    level_since: datetime | None
    status: Literal["open", "closed"]


@dataclass(frozen=True, slots=True)
class Objective:
    """A measurable objective of a placement. The store keeps its wording separately."""

    objective_id: UUID
    domain: NeedDomain
    outcome: Literal["open", "met", "not_met"] = "open"


@dataclass(frozen=True, slots=True)
class Placement:
    """One placement of one child. `version` counts its events."""

    placement_id: UUID
    version: int = 0
    status: Status = "absent"
    child_id: UUID | None = None
    case_id: UUID | None = None
    kind: PlacementKind | None = None
    need_group: NeedDomain | None = None
    requested_by: str | None = None
    requested_at: datetime | None = None
    provider_id: str | None = None
    location: Location = Location.UNKNOWN
    started_on: date | None = None
    objectives: tuple[Objective, ...] = ()
    reviews_held: int = 0
    last_review_on: date | None = None
    ended_on: date | None = None
    end_reason: str | None = None
    exit_interview: ExitInterview = "none"
    exit_interview_due_at: datetime | None = None
    exit_interview_held_on: date | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode of care as statutory returns report it. `version` counts the events about it."""

    episode_id: UUID
    version: int = 0
    status: Literal["absent", "open", "ended"] = "absent"
    child_id: UUID | None = None
    return_year: int = 0
    """Of the newest return that reported it."""
    started_on: date | None = None
    reason_started: str | None = None
    legal_status: str | None = None
    need: str | None = None
    placement_type: str | None = None
    placement_provider: str | None = None
    ended_on: date | None = None
    reason_ended: str | None = None
    reason_place_change: str | None = None


@dataclass(frozen=True, slots=True)
class LookedAfterReview:
    """One review as statutory returns report it."""

    review_id: UUID
    version: int = 0
    child_id: UUID | None = None
    return_year: int = 0
    reviewed_on: date | None = None
    review_code: str | None = None


@dataclass(frozen=True, slots=True)
class MissingEpisode:
    """One time a looked-after child was missing or away, as statutory returns report it."""

    missing_id: UUID
    version: int = 0
    child_id: UUID | None = None
    return_year: int = 0
    kind: Literal["missing", "away"] | None = None
    started_on: date | None = None
    ended_on: date | None = None


class Body(BaseModel):
    """The body of a request; the path names the placement."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ObjectiveAsked(Body):
    """A measurable objective, in words that the child and the provider both understand."""

    domain: NeedDomain
    words: Words


class ObjectiveAnswered(Body):
    """What became of one objective, and what the child says about it."""

    objective_id: UUID
    met: bool
    childs_words: Words | None = None


class PlacementStart(Body):
    """Where the child lives from now on, and what the placement is for."""

    model_config = example(
        {
            "provider_id": "provider-7",
            "kind": "in_house_foster",
            "location": "in_county",
            "objectives": [{"domain": "education", "words": "Is in school every day."}],
            "started_on": "2026-04-20",
        }
    )

    provider_id: Code
    kind: PlacementKind
    location: Literal[Location.IN_COUNTY, Location.OUT_OF_COUNTY]
    objectives: tuple[ObjectiveAsked, ...] = Field(max_length=20)
    started_on: Day


class PlacementReview(Body):
    """A review that was held."""

    model_config = example({"reviewed_on": "2026-05-18", "reviewed_by": "iro-3"})

    reviewed_on: Day
    reviewed_by: Code


class PlacementEnd(Body):
    """The child's last day at the placement, and why it was the last."""

    model_config = example({"ended_on": "2026-09-11", "reason": "planned_move"})

    ended_on: Day
    reason: Code


class ExitInterviewAnswers(Body):
    """The outcome of the exit interview with the child."""

    model_config = example(
        {
            "outcomes": [{"objective_id": "e2b7c9a4-51d0-5e8f-a3c6-7f0d2b94e815", "met": True}],
            "held_on": "2026-09-15",
            "held_by": "sw-014",
        }
    )

    outcomes: tuple[ObjectiveAnswered, ...] = Field(max_length=20)
    held_on: Day
    held_by: Code


class RequestPlacement(Command):
    """Ask for a placement for the child of an open case."""

    model_config = example(
        {
            "case_id": "5c1d8e2f-7b3a-5f60-9d24-1e8a6b0c4f97",
            "kind": "in_house_foster",
            "need_group": "education",
            "requested_by": "sw-014",
        }
    )

    case_id: UUID
    kind: PlacementKind
    need_group: NeedDomain
    requested_by: Code


class StartPlacement(Command, PlacementStart):
    """Record that the child has moved in."""

    placement_id: UUID


class ReviewPlacement(Command, PlacementReview):
    """Record a review of the looked-after child."""

    placement_id: UUID


class EndPlacement(Command, PlacementEnd):
    """Record that the child has left."""

    placement_id: UUID


class CompleteExitInterview(Command, ExitInterviewAnswers):
    """Record the exit interview, every objective answered."""

    placement_id: UUID
