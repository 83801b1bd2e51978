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
"""A delivery's events that decisions publish."""

ChannelEvent = NotificationSent | NotificationDelivered | NotificationFailed
"""A delivery's events that its channel causes: settled by row in `store/queue.py`; a rejoin evolves them."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert on its way. `version` counts its events; the id is the idempotency key."""

    delivery_id: UUID
    version: int = 0
    state: DeliveryState = "absent"
    queued: NotificationQueued | None = None
    """What goes to whom, as it was decided; None while the delivery is absent, or was not loaded."""
    alert_id: UUID | None = None
    child_id: UUID | None = None
    case_id: UUID | None = None
    channel: Channel = Channel.EMAIL
    gathered: bool = False
    """Whether it shares its message with others: a digest goes out as soon as it is gathered."""
    reason: str | None = None
    acknowledged_at: datetime | None = None


def delivery_id(
    alert_id: UUID, recipient_id: str, channel: Channel, *, subscription_id: UUID | None = None, turn: int = 0
) -> UUID:
    """Return the id of a delivery: the same arguments give the same id.

    A reminder is a delivery of its own. So is the delivery to each later recipient of the alert, even if the
    alert comes back to the same person. Each takes the alert's version before it as its `turn`.
    """
    where = f"{channel.value}/{recipient_id}/{turn}"
    return derived(alert_id, where if subscription_id is None else f"{where}/{subscription_id}")


def decide_proof(deliveries: Iterable[Delivery], seen: AlertAcknowledged) -> list[NotificationAcknowledged]:
    """Acknowledge the deliveries of an alert that was seen."""
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
    """Withdraw deliveries that wait for the alert's former recipient, or ask for something already done."""
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
    """Return the delivery after one of its events. Its row keeps when and how it went."""
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
