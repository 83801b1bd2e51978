"""Deliveries: one alert on one channel to one recipient. What queues them is in `telling`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from schemas.events.codes import Channel
from services.kernel.ids import derived

DeliveryState = Literal["absent", "held", "queued", "sent", "delivered", "failed", "not_needed"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert on its way. `version` counts its events; the id is the key of idempotence.

    `message_id` is what goes out: of a digest the id of its first delivery, else the delivery's own.
    """

    delivery_id: UUID
    version: int = 0
    state: DeliveryState = "absent"
    alert_id: UUID | None = None
    child_id: UUID | None = None
    case_id: UUID | None = None
    recipient_id: str = ""
    channel: Channel = Channel.EMAIL
    subscription_id: UUID | None = None
    template: str = ""
    message_id: UUID | None = None
    digest: bool = False
    held_until: datetime | None = None
    reason: str | None = None
    queued_at: datetime | None = None


def delivery_id(
    alert_id: UUID, recipient_id: str, channel: Channel, *, subscription_id: UUID | None = None, step: int = 0
) -> UUID:
    """Return the id of a delivery: the same whenever it is asked for.

    A reminder is another delivery than the first one (`step`), and so is the one to whoever answers for
    the alert after its recipient.
    """
    where = f"{channel.value}/{recipient_id}/{step}"
    return derived(alert_id, where if subscription_id is None else f"{where}/{subscription_id}")
