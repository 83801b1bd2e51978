"""What services publish of their deadlines."""

from datetime import datetime
from uuid import UUID

from schemas import events as e
from tests.builders.world import CASE, CHILD, MONDAY


def deadline_overdue(
    kind: str = "assessment",
    *,
    number: int = 50,
    child_id: UUID = CHILD,
    about: UUID = CASE,
    case_id: UUID | None = CASE,
    due_at: datetime = MONDAY,
    at: datetime = MONDAY,
) -> e.DeadlineOverdue:
    """Return that something is late; of an assessment, notify tells the manager and the lead urgently."""
    return e.DeadlineOverdue(
        child_id=child_id,
        deadline_id=UUID(int=number),
        about=about,
        case_id=case_id,
        kind=kind,
        due_at=due_at,
        raised_at=at,
    )


def deadline_due_soon(
    kind: str = "plan_review",
    *,
    number: int = 60,
    child_id: UUID = CHILD,
    about: UUID = CASE,
    case_id: UUID | None = CASE,
    due_at: datetime = MONDAY,
    at: datetime = MONDAY,
) -> e.DeadlineDueSoon:
    """Return that something is due before long; of a plan review, notify tells the lead, not urgently."""
    return e.DeadlineDueSoon(
        child_id=child_id,
        deadline_id=UUID(int=number),
        about=about,
        case_id=case_id,
        kind=kind,
        due_at=due_at,
        raised_at=at,
    )


def deadline_scheduled(kind: str = "assessment") -> e.DeadlineScheduled:
    """Return that something must happen by a moment."""
    return e.DeadlineScheduled(
        child_id=CHILD,
        deadline_id=UUID(int=50),
        about=CASE,
        case_id=CASE,
        kind=kind,
        due_at=MONDAY,
        trigger_at=MONDAY,
        due_soon_at=MONDAY,
        due_from=MONDAY,
        rule="45:working_days:same_day",
    )


def deadline_met(kind: str = "assessment", *, about: UUID = CASE, at: datetime = MONDAY) -> e.DeadlineMet:
    """Return that what was due has happened, late."""
    return e.DeadlineMet(
        child_id=CHILD,
        deadline_id=UUID(int=50),
        about=about,
        case_id=CASE,
        kind=kind,
        due_at=MONDAY,
        met_at=at,
        late=True,
    )
