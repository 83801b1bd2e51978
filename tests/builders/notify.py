"""What the notify service publishes."""

from datetime import datetime
from uuid import UUID

from schemas import events as e
from schemas.events.codes import Role, Urgency
from tests.builders.world import CASE, CHILD, LEAD, MONDAY, OTHER, TEAM

ALERT = UUID(int=300)


def alert_raised(
    *,
    alert_id: UUID = ALERT,
    child_id: UUID = CHILD,
    recipient_id: str = LEAD,
    role: Role = Role.LEAD_PROFESSIONAL,
    kind: str = "deadline.due_soon:plan_review",
    urgency: Urgency = Urgency.SOON,
    about: UUID = CASE,
    case_id: UUID | None = CASE,
    team: str = TEAM,
    due_at: datetime | None = None,
    escalates: UUID | None = None,
    stands_in_for: str | None = None,
    says: str = "Due soon.",
    next_step: str = "Plan it.",
    at: datetime = MONDAY,
) -> e.AlertRaised:
    """Return an alert; unless told otherwise to the lead, and not urgent."""
    return e.AlertRaised(
        child_id=child_id,
        alert_id=alert_id,
        cause_id=UUID(int=99),
        recipient_id=recipient_id,
        role=role,
        kind=kind,
        urgency=urgency,
        about=about,
        case_id=case_id,
        team=team,
        due_at=due_at,
        escalates=escalates,
        stands_in_for=stands_in_for,
        template="alert",
        says=says,
        next_step=next_step,
        raised_at=at,
    )


def alert_acknowledged(
    alert_id: UUID = ALERT, *, by: str = LEAD, at: datetime = MONDAY
) -> e.AlertAcknowledged:
    """Return that somebody has seen an alert."""
    return e.AlertAcknowledged(child_id=CHILD, alert_id=alert_id, acknowledged_by=by, acknowledged_at=at)


def alert_reassigned(to: str = OTHER, *, at: datetime = MONDAY) -> e.AlertReassigned:
    """Return that an alert has passed from the lead to their successor."""
    return e.AlertReassigned(
        child_id=CHILD,
        alert_id=ALERT,
        from_id=LEAD,
        to_id=to,
        role=Role.LEAD_PROFESSIONAL,
        reason="new_lead_professional",
        reassigned_at=at,
    )
