"""Events of the placement service, on `placement-events`."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.events.base import Code, Day, Event, Moment
from schemas.events.codes import Location, NeedDomain, Origin, PlacementKind
from schemas.events.fields import NullMeans, in_order


class Objective(BaseModel):
    """A measurable aim of one placement (docs/domain.md F2). Its wording stays in the store."""

    model_config = ConfigDict(frozen=True)

    objective_id: UUID
    domain: NeedDomain


class ObjectiveOutcome(BaseModel):
    """Whether the placement did what one objective meant it to do. The child's words stay in the store."""

    model_config = ConfigDict(frozen=True)

    objective_id: UUID
    met: bool


class PlacementRequested(Event, name="placement.requested", subject="placement_id"):
    """A lead professional asks for a placement for a child of an open case."""

    placement_id: UUID
    case_id: UUID
    kind: PlacementKind
    need_group: NeedDomain
    requested_by: Code
    requested_at: Moment


class PlacementStarted(Event, name="placement.started", subject="placement_id"):
    """The child lives at the placement from this day."""

    placement_id: UUID
    case_id: UUID | None = None
    provider_id: Code
    kind: PlacementKind
    location: Location
    objectives: Annotated[tuple[Objective, ...], NullMeans(())] = ()
    started_on: Day
    origin: Annotated[Origin, NullMeans("leadline")] = "leadline"


class PlacementReviewed(Event, name="placement.reviewed", subject="placement_id"):
    """A statutory review of the looked-after child took place (deadline 7)."""

    placement_id: UUID
    review_number: int = Field(ge=1)
    """1 for the first review after the child became looked after."""
    reviewed_on: Day
    reviewed_by: Code


class PlacementEnded(Event, name="placement.ended", subject="placement_id"):
    """The child has left the placement; an exit interview follows (docs/domain.md F1)."""

    placement_id: UUID
    case_id: UUID | None = None
    location: Location
    ended_on: Day
    reason: Code
    origin: Annotated[Origin, NullMeans("leadline")] = "leadline"


class ExitInterviewDue(Event, name="exit_interview.due", subject="placement_id"):
    """The child is to be asked whether the placement did what it was meant to do (deadline 35)."""

    placement_id: UUID
    case_id: UUID | None = None
    due_at: Moment


class ExitInterviewOverdue(Event, name="exit_interview.overdue", subject="placement_id"):
    """Nobody has yet recorded the exit interview and its date has passed."""

    placement_id: UUID
    case_id: UUID | None = None
    due_at: Moment


class ExitInterviewCompleted(Event, name="exit_interview.completed", subject="placement_id"):
    """The exit interview was held: each objective met or not."""

    placement_id: UUID
    case_id: UUID | None = None
    outcomes: tuple[ObjectiveOutcome, ...]
    held_on: Day
    held_by: Code


class LookedAfterReviewRecorded(Event, name="looked_after_review.recorded", subject="review_id"):
    """A review of a looked-after child, as the statutory return reports it."""

    review_id: UUID
    reviewed_on: Day
    review_code: Code


class MissingEpisodeRecorded(Event, name="missing_episode.recorded", subject="missing_id"):
    """A looked-after child was missing or away without authorisation, as the statutory return reports it.

    `ended_on` is not before `started_on`.
    """

    missing_id: UUID
    kind: Literal["missing", "away"]
    started_on: Day
    ended_on: Day | None = None

    _in_order = model_validator(mode="after")(in_order)
