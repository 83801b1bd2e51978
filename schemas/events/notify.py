"""Events of the notify service, on `notify-events`, and every service's alarm for a dead letter."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from schemas.events.base import Code, Event, Moment
from schemas.events.codes import Role, Urgency

PackWords = Annotated[str, StringConstraints(max_length=600)]
"""A policy pack's own wording, its dates filled in: never a note about one child."""


class AlertRaised(Event, name="alert.raised", subject="alert_id"):
    """One recipient is told of one cause, once."""

    alert_id: UUID
    recipient_id: Code
    role: Role
    kind: Code
    """What the alert is about: the wire type of its cause without the version, with a deadline's kind."""
    urgency: Urgency
    about: UUID
    case_id: UUID | None = None
    due_at: Moment | None = None
    says: PackWords | None = None
    """What has happened, in the pack's words."""
    next_step: PackWords | None = None
    """What the recipient should do now, in the pack's words."""
    raised_at: Moment


class AlertAcknowledged(Event, name="alert.acknowledged", subject="alert_id"):
    """The recipient has seen the alert."""

    alert_id: UUID
    acknowledged_by: Code
    acknowledged_at: Moment


class EventParked(Event, name="event.parked", subject="dead_letter_id"):
    """A service could not handle an event and set it aside; `child_id` is nil when the key names no child."""

    dead_letter_id: UUID
    service: Code
    topic: Code
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)
    reason: Literal["malformed", "unknown_type", "unknown_version", "too_large", "rejected", "failed"]
    parked_at: Moment
