"""What becomes of an alert on its way to people, on `notify-events`: delivery evidence.

A delivery is one alert on one channel to one recipient. Its life: queued, sent, delivered or failed, and
acknowledged when the alert was, wherever it was seen. An escalation is the alert's own.
"""

from typing import Literal
from uuid import UUID

from pydantic import Field

from schemas.events.base import Code, Event, Moment
from schemas.events.codes import Channel, Role
from schemas.events.fields import Flag


class _Delivery(Event):
    delivery_id: UUID
    alert_id: UUID
    case_id: UUID | None = None
    channel: Channel


class NotificationQueued(_Delivery, name="notification.queued", subject="delivery_id"):
    """An alert is to go out on a channel, at once or when its time has come."""

    recipient_id: Code
    subscription_id: UUID | None = None
    """Whose address it goes to, on the channels that have addresses of their own."""
    template: Code
    held_until: Moment | None = None
    """Quiet hours, or the next digest."""
    digest: Flag = False
    queued_at: Moment


class NotificationSent(_Delivery, name="notification.sent", subject="delivery_id"):
    """The channel's provider has taken the message over."""

    message_id: UUID
    """What went out: a digest is one message of several deliveries, otherwise it is the delivery's id."""
    provider: Code
    reference: Code | None = None
    """The provider's own id of the message."""
    attempts: int = Field(ge=1)
    sent_at: Moment


class NotificationDelivered(_Delivery, name="notification.delivered", subject="delivery_id"):
    """The provider says that the message has arrived."""

    delivered_at: Moment


class NotificationFailed(_Delivery, name="notification.failed", subject="delivery_id"):
    """The message will not arrive: nobody tries again. The alert stays in the inbox."""

    reason: Literal[
        "refused", "permanent_failure", "temporary_failure", "technical_failure", "gave_up", "no_address"
    ]
    detail: Code | None = None
    """A reply code or a kind of error, never a provider's own text."""
    attempts: int = Field(ge=0)
    failed_at: Moment


class NotificationWithdrawn(_Delivery, name="notification.withdrawn", subject="delivery_id"):
    """The message is not sent: somebody else answers for the alert now, or what it asks for has happened."""

    reason: Literal["reassigned", "settled"]
    withdrawn_at: Moment


class NotificationAcknowledged(_Delivery, name="notification.acknowledged", subject="delivery_id"):
    """The alert that this delivery carries was seen: what had not gone out is no longer needed."""

    acknowledged_by: Code
    acknowledged_at: Moment
    needless: bool
    """Whether it was seen before this delivery went out."""


class NotificationEscalated(Event, name="notification.escalated", subject="alert_id"):
    """Nobody has acknowledged the alert within the working hours of its urgency."""

    alert_id: UUID
    case_id: UUID | None = None
    step: int = Field(ge=1)
    to: Literal["reminder", "team_manager", "duty_inbox"]
    role: Role
    recipient_id: Code
    """Who is told now: by a reminder the same person again."""
    told_by: UUID
    """The alert that tells them: of a reminder the same one."""
    escalated_at: Moment
