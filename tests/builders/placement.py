"""What the placement service publishes."""

from datetime import date, datetime
from uuid import UUID

from schemas import events as e
from schemas.events.codes import Location, NeedDomain, Origin, PlacementKind
from tests.builders.world import CASE, CHILD, LEAD, MONDAY, PLACEMENT, TODAY

PROVIDER, REVIEWING_OFFICER = "P-1", "IRO-1"
AT_SCHOOL = e.Objective(objective_id=UUID(int=4001), domain=NeedDomain.EDUCATION)


def placement_requested(kind: PlacementKind = PlacementKind.KINSHIP) -> e.PlacementRequested:
    """Return the request for the child's placement."""
    return e.PlacementRequested(
        child_id=CHILD,
        placement_id=PLACEMENT,
        case_id=CASE,
        kind=kind,
        need_group=NeedDomain.SEMH,
        requested_by=LEAD,
        requested_at=MONDAY,
    )


def placement_started(
    *,
    case_id: UUID | None = CASE,
    kind: PlacementKind = PlacementKind.IN_HOUSE_FOSTER,
    location: Location = Location.IN_COUNTY,
    objectives: tuple[e.Objective, ...] = (AT_SCHOOL,),
    on: date = TODAY,
    origin: Origin = "leadline",
) -> e.PlacementStarted:
    """Return the child's first day at the placement."""
    return e.PlacementStarted(
        child_id=CHILD,
        placement_id=PLACEMENT,
        case_id=case_id,
        provider_id=PROVIDER,
        kind=kind,
        location=location,
        objectives=objectives,
        started_on=on,
        origin=origin,
    )


def placement_reviewed(
    number: int = 1, *, on: date = TODAY, by: str = REVIEWING_OFFICER
) -> e.PlacementReviewed:
    """Return a review of the looked-after child."""
    return e.PlacementReviewed(
        child_id=CHILD, placement_id=PLACEMENT, review_number=number, reviewed_on=on, reviewed_by=by
    )


def placement_ended(
    *,
    case_id: UUID | None = CASE,
    location: Location = Location.IN_COUNTY,
    on: date = TODAY,
    reason: str = "moved-home",
    origin: Origin = "leadline",
) -> e.PlacementEnded:
    """Return the child's last day at the placement."""
    return e.PlacementEnded(
        child_id=CHILD,
        placement_id=PLACEMENT,
        case_id=case_id,
        location=location,
        ended_on=on,
        reason=reason,
        origin=origin,
    )


def exit_interview_due(*, due_at: datetime = MONDAY) -> e.ExitInterviewDue:
    """Return that the child is to be asked about the placement."""
    return e.ExitInterviewDue(child_id=CHILD, placement_id=PLACEMENT, case_id=CASE, due_at=due_at)


def exit_interview_overdue(*, due_at: datetime = MONDAY) -> e.ExitInterviewOverdue:
    """Return that nobody has asked the child about the placement in time."""
    return e.ExitInterviewOverdue(child_id=CHILD, placement_id=PLACEMENT, case_id=CASE, due_at=due_at)


def exit_interview_completed(*objectives_met: e.Objective, on: date = TODAY) -> e.ExitInterviewCompleted:
    """Return the exit interview in which the child said that these objectives were met."""
    return e.ExitInterviewCompleted(
        child_id=CHILD,
        placement_id=PLACEMENT,
        case_id=CASE,
        outcomes=tuple(
            e.ObjectiveOutcome(objective_id=each.objective_id, met=True) for each in objectives_met
        ),
        held_on=on,
        held_by=LEAD,
    )
