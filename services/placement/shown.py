"""Placements as programs see them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from schemas.events import Event
from schemas.events.codes import Location, NeedDomain, PlacementKind
from services.kernel.base.examples import example
from services.kernel.web.answers import DEADLINE, Shown, ShownDeadline
from services.placement.book import PlacementBook
from services.placement.model import ExitInterview

Status = Literal["requested", "started", "ended"]
Outcome = Literal["open", "met", "not_met"]

OBJECTIVE: Mapping[str, Any] = {
    "objective_id": "e2b7c9a4-51d0-5e8f-a3c6-7f0d2b94e815",
    "domain": "education",
    "outcome": "open",
}
TOUCHED: Mapping[str, Any] = {
    "placement_id": "c8f0a6d3-2e94-5b17-8a6d-4f3c1e7b9025",
    "child_id": "3d6f4c0e-8a52-4f0b-9c1d-5e7a90b1c2d3",
    "case_id": "5c1d8e2f-7b3a-5f60-9d24-1e8a6b0c4f97",
    "status": "started",
    "exit_interview": "none",
    "exit_interview_due_at": None,
    "reviews_held": 0,
}
PLACEMENT: Mapping[str, Any] = {
    **TOUCHED,
    "version": 2,
    "kind": "in_house_foster",
    "need_group": "education",
    "requested_by": "sw-014",
    "requested_at": "2026-04-13T10:00:00Z",
    "provider_id": "provider-7",
    "location": "in_county",
    "started_on": "2026-04-20",
    "last_review_on": None,
    "ended_on": None,
    "end_reason": None,
    "exit_interview_held_on": None,
}
HISTORY: Mapping[str, int] = {
    "children": 412,
    "episodes": 903,
    "open_episodes": 371,
    "reviews": 1204,
    "missing_episodes": 88,
}


class ShownObjective(Shown):
    """A measurable aim of a placement, without anybody's words."""

    model_config = example(OBJECTIVE)

    objective_id: UUID
    domain: NeedDomain
    outcome: Outcome


class ShownObjectiveInWords(Shown):
    """A measurable aim of a placement, and what the child said of it."""

    model_config = example(OBJECTIVE, words="Is in school every day.", childs_words=None)

    objective_id: UUID
    domain: NeedDomain
    words: str
    outcome: Outcome
    childs_words: str | None


class TouchedPlacement(Shown):
    """The placement that a command touched, without anybody's words."""

    model_config = example(TOUCHED, objectives=[OBJECTIVE])

    placement_id: UUID
    child_id: UUID
    case_id: UUID
    status: Status
    exit_interview: ExitInterview
    exit_interview_due_at: datetime | None
    reviews_held: int
    objectives: tuple[ShownObjective, ...]


class ShownPlacement(Shown):
    """One placement of one child."""

    model_config = example(PLACEMENT)

    placement_id: UUID
    version: int
    """How many events it has had."""
    status: Status
    child_id: UUID
    case_id: UUID
    kind: PlacementKind
    need_group: NeedDomain
    requested_by: str
    requested_at: datetime
    provider_id: str | None
    location: Location
    started_on: date | None
    reviews_held: int
    last_review_on: date | None
    ended_on: date | None
    end_reason: str | None
    exit_interview: ExitInterview
    exit_interview_due_at: datetime | None
    exit_interview_held_on: date | None


class ShownPlacementInFull(ShownPlacement):
    """A placement with its objectives in words, and what is due about it."""

    model_config = example(
        PLACEMENT,
        objectives=[{**OBJECTIVE, "words": "Is in school every day.", "childs_words": None}],
        deadlines=[{**DEADLINE, "about": PLACEMENT["placement_id"], "kind": "looked_after_review"}],
    )

    objectives: tuple[ShownObjectiveInWords, ...]
    deadlines: tuple[ShownDeadline, ...]


class ShownHistoryFigures(Shown):
    """The size of the history that statutory returns brought."""

    model_config = example(HISTORY)

    children: int
    episodes: int
    open_episodes: int
    reviews: int
    missing_episodes: int


class ShownPlacementFigures(Shown):
    """How many placements and exit interviews there are in which state."""

    model_config = example(
        {
            "requested": 40,
            "started": 37,
            "ended": 12,
            "live": 25,
            "in_county": 29,
            "out_of_county": 8,
            "exit_interviews_due": 2,
            "exit_interviews_overdue": 1,
            "exit_interviews_completed": 9,
        },
        looked_after_history=HISTORY,
    )

    requested: int
    """All of them: each begins with a request."""
    started: int
    """Those that have started, ended ones among them."""
    ended: int
    live: int
    in_county: int
    out_of_county: int
    exit_interviews_due: int
    exit_interviews_overdue: int
    exit_interviews_completed: int
    looked_after_history: ShownHistoryFigures


def touched(book: PlacementBook, events: Sequence[Event]) -> TouchedPlacement:
    """Answer with the placement that the command touched."""
    return TouchedPlacement.model_validate(book.placement(events[0].subject))
