"""Alerts, on `notify-events`, and every service's alarm for a dead letter.

How alerts travel is told by `notification`.
"""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from schemas.events.base import Code, Event, Moment
from schemas.events.codes import FirstRole, Role, Urgency

PackWords = Annotated[str, StringConstraints(max_length=600)]
"""A policy pack's own wording, its dates filled in: never a note about one child."""


class AlertRaisedV1(Event, name="alert.raised", subject="alert_id"):
    """One recipient is told of one cause, once. Published before there were key workers and escalations."""

    alert_id: UUID
    recipient_id: Code
    role: FirstRole
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


class AlertRaised(Event, name="alert.raised", version=2, subject="alert_id"):
    """One recipient is told of one cause, once."""

    alert_id: UUID
    cause_id: UUID
    """The message that led to it. An escalated alert has the cause of the one that was not seen."""
    recipient_id: Code
    role: Role
    stands_in_for: Code | None = None
    """Who would have been told, had they not been away."""
    kind: Code
    """What the alert is about: the wire type of its cause without the version, with a deadline's kind."""
    urgency: Urgency
    about: UUID
    case_id: UUID | None = None
    team: Code | None = None
    """The team that answers for it."""
    due_at: Moment | None = None
    escalates: UUID | None = None
    """The alert that was not seen in time."""
    template: Code
    """Which of the channels' templates carries it."""
    says: PackWords
    """What has happened, in the pack's words."""
    next_step: PackWords
    """What the recipient should do now, in the pack's words."""
    raised_at: Moment


class AlertRepeated(Event, name="alert.repeated", subject="alert_id"):
    """The same happened again on the case while the alert was open: it speaks for both."""

    alert_id: UUID
    cause_id: UUID
    about: UUID
    due_at: Moment | None = None
    repeats: int = Field(ge=1)
    """How often it has happened again."""
    repeated_at: Moment


class AlertReassigned(Event, name="alert.reassigned", subject="alert_id"):
    """Somebody else answers for the open alert from now on."""

    alert_id: UUID
    from_id: Code
    to_id: Code
    role: Role
    reason: Literal["new_lead_professional", "out_of_office", "left"]
    reassigned_at: Moment


class AlertSnoozed(Event, name="alert.snoozed", subject="alert_id"):
    """The recipient has put the alert off."""

    alert_id: UUID
    snoozed_by: Code
    snoozed_until: Moment
    snoozed_at: Moment


class AlertSettled(Event, name="alert.settled", subject="alert_id"):
    """What the alert asked for has happened: it stays to be seen, and escalates no further."""

    alert_id: UUID
    by: Code
    """The event that settled it, for example `deadline.met`."""
    settled_at: Moment


class AlertAcknowledged(Event, name="alert.acknowledged", subject="alert_id"):
    """The recipient has seen the alert."""

    alert_id: UUID
    acknowledged_by: Code
    acknowledged_at: Moment


class KeyWorkerAssigned(Event, name="key_worker.assigned", subject="child_id"):
    """The child has a key worker beside the lead professional; nobody, where `key_worker_id` is null."""

    key_worker_id: Code | None = None
    assigned_by: Code
    assigned_at: Moment


class EventParked(Event, name="event.parked", subject="dead_letter_id"):
    """A service could not handle an event and set it aside; `child_id` is nil when the key names no child."""

    dead_letter_id: UUID
    service: Code
    topic: Code
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)
    reason: Literal["malformed", "unknown_type", "unknown_version", "too_large", "rejected", "failed"]
    parked_at: Moment
