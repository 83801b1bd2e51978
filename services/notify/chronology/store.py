"""A child's chronology: every event about the child, from other services and from this one.

What is read from the bus is kept in `heard_events`, in the transaction in which it takes effect; the view
`chronology`, which `queries` reads, joins our own journal to it. Ids, codes and dates only, as on the bus:
a field that the event's model does not name is left out, whatever a producer has put there.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from schemas import events as e
from schemas.events import Event
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.messages.arrivals import Arrival
from services.kernel.messages.envelope import Envelope
from services.kernel.postgres.bulk import Columns
from services.kernel.postgres.connection import Connection
from services.kernel.postgres.statements import sql

WITHOUT_SEQUENCE = 0
"""Where an event stands among those of its aggregate when its producer does not say."""

OCCURRED: Mapping[type[Event], str] = {
    e.ReferralReceived: "received_at",
    e.ReferralAccepted: "decided_at",
    e.ReferralRedirected: "decided_at",
    e.ReferralClosed: "decided_at",
    e.AssessmentStarted: "started_at",
    e.LeadProfessionalAssigned: "assigned_at",
    e.AssessmentCompleted: "completed_at",
    e.ThresholdMet: "decided_at",
    e.ThresholdNotMet: "decided_at",
    e.PlanReviewed: "reviewed_at",
    e.CaseClosed: "closed_at",
    e.PlacementRequested: "requested_at",
    e.PlacementStarted: "started_on",
    e.PlacementReviewed: "reviewed_on",
    e.PlacementEnded: "ended_on",
    e.ExitInterviewCompleted: "held_on",
    e.LookedAfterReviewRecorded: "reviewed_on",
    e.MissingEpisodeRecorded: "started_on",
    e.DeadlineDueSoon: "raised_at",
    e.DeadlineDue: "raised_at",
    e.DeadlineOverdue: "raised_at",
    e.DeadlineMet: "met_at",
    e.DeadlinePaused: "paused_at",
    e.DeadlineExtended: "extended_at",
    e.DeadlineWaived: "waived_at",
    e.KeyWorkerAssigned: "assigned_at",
    e.NotificationFailed: "failed_at",
    e.EventParked: "parked_at",
}
"""The field that says when something happened; an event that is not here happened when it was published."""

HEARD = Columns(
    message_id="uuid",
    child_id="uuid",
    case_id="uuid",
    event_id="text",
    source="text",
    type="text",
    occurred_at="timestamptz",
    subject="uuid",
    sequence="integer",
    data="jsonb",
)
HEAR = sql("{insert} ON CONFLICT (message_id) DO NOTHING", insert=HEARD.insert("heard_events"))


async def hear(connection: Connection, arrivals: Sequence[Arrival]) -> None:
    """Store the handled events in one statement. An event that is there already stays as it is."""
    if arrivals:
        await connection.execute(HEAR, HEARD.rows([_row(arrival) for arrival in arrivals]))


def occurred_at(event: Event, published_at: datetime) -> datetime:
    """Return when something happened.

    Of what happened on a day without a time: when it was published, if that was the same day in London, or
    the day's beginning. So imported history stands where it belongs, and today's events in their order.
    """
    field = OCCURRED.get(type(event))
    stated: date = published_at if field is None else getattr(event, field)
    if isinstance(stated, datetime):
        return stated
    calendar = WorkingCalendar()
    return published_at if stated == calendar.london_date(published_at) else calendar.start_of_day(stated)


def _row(arrival: Arrival) -> tuple[Any, ...]:
    event, envelope = _handled(arrival)
    return (
        arrival.message_id,
        event.child_id,
        getattr(event, "case_id", None),
        envelope.id,
        envelope.source,
        event.wire_type,
        occurred_at(event, envelope.time),
        event.subject,
        WITHOUT_SEQUENCE if envelope.sequence is None else envelope.sequence,
        event.encode().decode(),
    )


def _handled(arrival: Arrival) -> tuple[Event, Envelope]:
    assert arrival.event is not None  # noqa: S101 - what was handled is an event
    assert arrival.envelope is not None  # noqa: S101 - and stood in an envelope
    return arrival.event, arrival.envelope
