"""Deliveries: one alert on one channel to one recipient. What queues them is in `policy`. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from schemas.events import (
    AlertAcknowledged,
    AlertReassigned,
    AlertSettled,
    NotificationAcknowledged,
    NotificationDelivered,
    NotificationFailed,
    NotificationQueued,
    NotificationSent,
    NotificationWithdrawn,
)
from schemas.events.codes import Channel
from services.kernel.messages.ids import derived

DeliveryState = Literal["absent", "held", "queued", "sent", "delivered", "failed", "not_needed"]
WAITING: frozenset[str] = frozenset({"held", "queued"})
ON_ITS_WAY: frozenset[str] = frozenset({"sent", "delivered"})

DeliveryEvent = NotificationQueued | NotificationWithdrawn | NotificationAcknowledged
"""What decisions say of a delivery."""

ChannelEvent = NotificationSent | NotificationDelivered | NotificationFailed
"""What its channel says of a delivery: settled in `store/queue.py`, row by row; evolved by a rejoin."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert on its way. `version` counts its events; the id is the key of idempotence."""

    delivery_id: UUID
    version: int = 0
    state: DeliveryState = "absent"
    queued: NotificationQueued | None = None
    """What goes to whom, as it was decided; None while the delivery is absent, or not read again."""
    alert_id: UUID | None = None
    child_id: UUID | None = None
    case_id: UUID | None = None
    channel: Channel = Channel.EMAIL
    gathered: bool = False
    """Whether it shares its message with others: a digest goes out once it is gathered."""
    reason: str | None = None
    acknowledged_at: datetime | None = None


def delivery_id(
    alert_id: UUID, recipient_id: str, channel: Channel, *, subscription_id: UUID | None = None, turn: int = 0
) -> UUID:
    """Return the id of a delivery: the same whenever it is asked for.

    A reminder is another delivery than the first one, and so is the one to whoever answers for the alert
    after its recipient, be it the same person again: each has the version of the alert before it as its
    `turn`.
    """
    where = f"{channel.value}/{recipient_id}/{turn}"
    return derived(alert_id, where if subscription_id is None else f"{where}/{subscription_id}")


def decide_proof(deliveries: Iterable[Delivery], seen: AlertAcknowledged) -> list[NotificationAcknowledged]:
    """Return that the deliveries of an alert have met their purpose, now that it was seen."""
    return [
        NotificationAcknowledged(
            child_id=seen.child_id,
            delivery_id=delivery.delivery_id,
            alert_id=seen.alert_id,
            case_id=delivery.case_id,
            channel=delivery.channel,
            acknowledged_by=seen.acknowledged_by,
            acknowledged_at=seen.acknowledged_at,
            needless=delivery.state in WAITING,
        )
        for delivery in deliveries
        if delivery.acknowledged_at is None and (_may_stop(delivery) or delivery.state in ON_ITS_WAY)
    ]


def decide_withdrawal(
    deliveries: Iterable[Delivery], change: AlertReassigned | AlertSettled
) -> list[NotificationWithdrawn]:
    """Return that what waits for the alert's recipient before, or asks for what has happened, is not sent."""
    moved = isinstance(change, AlertReassigned)
    moment = change.reassigned_at if isinstance(change, AlertReassigned) else change.settled_at
    return [
        NotificationWithdrawn(
            child_id=change.child_id,
            delivery_id=delivery.delivery_id,
            alert_id=change.alert_id,
            case_id=delivery.case_id,
            channel=delivery.channel,
            reason="reassigned" if moved else "settled",
            withdrawn_at=moment,
        )
        for delivery in deliveries
        if _may_stop(delivery)
    ]


def evolve(delivery: Delivery, event: DeliveryEvent | ChannelEvent) -> Delivery:
    """Return the delivery after one of its events. When and how it went is for its row to keep."""
    delivery = replace(delivery, version=delivery.version + 1)
    match event:
        case NotificationQueued():
            return replace(
                delivery,
                state="queued" if event.held_until is None else "held",
                queued=event,
                alert_id=event.alert_id,
                child_id=event.child_id,
                case_id=event.case_id,
                channel=event.channel,
            )
        case NotificationWithdrawn():
            return replace(delivery, state="not_needed", reason=event.reason)
        case NotificationAcknowledged():
            seen = replace(delivery, acknowledged_at=event.acknowledged_at)
            return replace(seen, state="not_needed", reason="acknowledged") if event.needless else seen
        case NotificationSent() | NotificationDelivered() | NotificationFailed():
            return delivery


def _may_stop(delivery: Delivery) -> bool:
    """Return whether a delivery can still be taken back. A gathered digest goes out as it is."""
    return delivery.state in WAITING and not delivery.gathered
