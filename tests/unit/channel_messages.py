"""Messages as a sender hands them to a carrier, with no alert behind them."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from schemas.events.codes import Channel, Role, Urgency
from services.notify.delivery.store.queue import Message, MessagePart

CASE = UUID("3f2a1b4c-0000-4000-8000-000000000001")
RAISED = datetime(2026, 9, 7, 9, 0, tzinfo=UTC)
PART = MessagePart(
    delivery_id=UUID(int=1),
    child_id=UUID(int=2),
    template="alert",
    alert_id=UUID(int=3),
    role=Role.LEAD_PROFESSIONAL,
    kind="deadline.overdue:assessment",
    urgency=Urgency.URGENT,
    says="A deadline has passed.",
    next_step="Conclude it.",
    about=UUID(int=4),
    case_id=CASE,
    due_at=datetime(2026, 9, 6, 23, 0, tzinfo=UTC),
    raised_at=RAISED,
    seen=False,
)


def message(
    number: int = 1,
    *,
    channel: Channel = Channel.EMAIL,
    recipient: str = "W-0601",
    doubtful: bool = False,
    parts: int = 1,
) -> Message:
    """Return a message to a worker; each number has its own id."""
    ids = [UUID(int=100 * number + each) for each in range(parts)]
    made = tuple(replace(PART, delivery_id=each, alert_id=UUID(int=each.int + 5000)) for each in ids)
    return Message(
        message_id=ids[0],
        channel=channel,
        recipient_id=recipient,
        subscription_id=None,
        digest=parts > 1,
        attempts=0,
        refusals=0,
        parts=made,
        claim=UUID(int=9),
        doubtful=doubtful,
    )
