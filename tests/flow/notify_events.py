"""Builders of what the notify service is told in flow tests: one child of Ely, led by W-0601."""

from datetime import datetime
from typing import Any
from uuid import UUID

from schemas import events as e
from tests.builders import MONDAY
from tests.flow.conftest import Bench

CHILD, CASE, REFERRAL = UUID(int=1), UUID(int=2), UUID(int=3)
LEAD, MANAGER, OTHER, DUTY = "W-0601", "W-0600", "W-0602", "duty-lt-ely"


def started(child: UUID = CHILD, case: UUID = CASE) -> e.AssessmentStarted:
    """Return the start of the case."""
    return e.AssessmentStarted(
        child_id=child,
        case_id=case,
        referral_id=REFERRAL,
        locality="ely",
        team="lt-ely",
        indicated_level=2,
        started_at=MONDAY,
    )


def assigned(
    lead: str = LEAD, child: UUID = CHILD, case: UUID = CASE, *, moment: datetime = MONDAY
) -> e.LeadProfessionalAssigned:
    """Return the assignment of a lead professional."""
    return e.LeadProfessionalAssigned(
        child_id=child,
        case_id=case,
        lead_professional_id=lead,
        team="lt-ely",
        locality="ely",
        reason="least_weighted_caseload",
        assigned_at=moment,
    )


def overdue(number: int = 50, **changes: Any) -> e.DeadlineOverdue:
    """Return an urgent event, told to the manager and the lead."""
    values: dict[str, Any] = {
        "child_id": CHILD,
        "deadline_id": UUID(int=number),
        "about": CASE,
        "case_id": CASE,
        "kind": "assessment",
        "due_at": MONDAY,
        "raised_at": MONDAY,
    }
    return e.DeadlineOverdue(**values | changes)


def due_soon(number: int = 60, **changes: Any) -> e.DeadlineDueSoon:
    """Return an event that is not urgent, told to the lead."""
    return e.DeadlineDueSoon(**overdue(number, kind="plan_review").model_dump() | changes)


async def history(bench: Bench, subject: UUID) -> list[str]:
    """Return the wire types of an aggregate's events, in order, and check that they are numbered from 1."""
    rows = await bench.rows(
        "SELECT type, sequence FROM journal WHERE subject = :subject ORDER BY sequence", subject=subject
    )
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
    return [row.type for row in rows]


async def alert_of(bench: Bench, recipient: str, kind: str) -> Any:
    """Return the row of somebody's only alert of a kind."""
    (row,) = await bench.rows(
        "SELECT * FROM alerts WHERE recipient_id = :recipient AND kind = :kind",
        recipient=recipient,
        kind=kind,
    )
    return row
