"""Alerts as programs see them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from schemas.events.codes import Channel, Role, Urgency
from services.kernel.base.examples import example
from services.kernel.web.answers import Shown
from services.notify.alerts.model import Alert

ALERT: Mapping[str, Any] = {
    "child_id": "3d6f4c0e-8a52-4f0b-9c1d-5e7a90b1c2d3",
    "alert_id": "7d4e9b10-6a2f-5c83-b1e7-0c9f5a3d8e62",
    "cause_id": "1b6f2e8d-90c4-5a71-8e3d-6f4a2c7b9d05",
    "recipient_id": "sw-014",
    "role": "lead_professional",
    "stands_in_for": None,
    "kind": "deadline.due:assessment",
    "urgency": "soon",
    "about": "5c1d8e2f-7b3a-5f60-9d24-1e8a6b0c4f97",
    "case_id": "5c1d8e2f-7b3a-5f60-9d24-1e8a6b0c4f97",
    "team": "huntingdon-early-help",
    "due_at": "2026-03-24T16:00:00Z",
    "escalates": None,
    "template": "deadline",
    "says": "An assessment is due today.",
    "next_step": "Complete the assessment.",
    "raised_at": "2026-03-24T09:00:00Z",
    "status": "open",
    "acknowledged_at": None,
    "acknowledged_by": None,
    "repeats": 0,
    "repeated_at": None,
    "escalation_step": 0,
    "next_escalation_at": None,
    "snoozed_until": None,
    "settled_at": None,
}
CAUSE: Mapping[str, Any] = {"message_id": ALERT["cause_id"], "type": "deadline.due"}
DELIVERY: Mapping[str, Any] = {
    "delivery_id": "2f8c1d7a-4b90-5e36-9a0f-3d6e8b5c1f74",
    "recipient_id": "sw-014",
    "channel": "email",
    "template": "deadline",
    "state": "sent",
    "held_until": None,
    "attempts": 1,
    "reason": None,
    "provider": "smtp",
    "reference": None,
    "queued_at": "2026-03-24T09:00:00Z",
    "sent_at": "2026-03-24T09:00:02Z",
    "delivered_at": None,
    "acknowledged_at": None,
}
RATE: Mapping[str, Any] = {
    "worker_id": "sw-014",
    "kind": "deadline.due:assessment",
    "week": "2026-03-23",
    "alerts": 3,
    "collapsed": 1,
}


class ShownAlert(Shown):
    """An alert; every value is an id, a code, a date or the pack's words."""

    model_config = example(ALERT)

    child_id: UUID
    alert_id: UUID
    cause_id: UUID
    """The message that led to it. An escalated alert has the cause of the one that was not seen."""
    recipient_id: str
    role: Role
    stands_in_for: str | None
    """Who would have been told, had they not been away."""
    kind: str
    """What the alert is about: the wire type of its cause without the version, with a deadline's kind."""
    urgency: Urgency
    about: UUID
    case_id: UUID | None
    team: str | None
    """The team that answers for it."""
    due_at: datetime | None
    escalates: UUID | None
    """The alert that was not seen in time."""
    template: str
    """Which of the channels' templates carries it."""
    says: str
    """What has happened, in the pack's words."""
    next_step: str
    """What the recipient should do now, in the pack's words."""
    raised_at: datetime
    status: Literal["open", "acknowledged"]
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    repeats: int
    """How often the same happened again while the alert was open."""
    repeated_at: datetime | None
    escalation_step: int
    """How many steps of escalation were taken."""
    next_escalation_at: datetime | None
    snoozed_until: datetime | None
    settled_at: datetime | None
    """When what it asked for happened."""


class ShownCause(Shown):
    """The message that led to an alert."""

    model_config = example(CAUSE)

    message_id: UUID
    type: str
    """Its wire type without the version."""


class ShownDelivery(Shown):
    """An alert on its way to somebody by one channel."""

    model_config = example(DELIVERY)

    delivery_id: UUID
    recipient_id: str
    channel: Channel
    template: str
    state: Literal["held", "queued", "sent", "delivered", "failed", "not_needed"]
    held_until: datetime | None
    attempts: int
    reason: str | None
    """Of the last failure: a reply code or a kind of error."""
    provider: str | None
    reference: str | None
    """The provider's own id of the message."""
    queued_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None
    acknowledged_at: datetime | None


class ShownAlertInFull(ShownAlert):
    """An alert, its cause and its deliveries."""

    model_config = example(ALERT, cause=CAUSE, deliveries=[DELIVERY])

    cause: ShownCause
    deliveries: tuple[ShownDelivery, ...]


class ShownAlertFigures(Shown):
    """How many alerts and deliveries there are."""

    model_config = example(
        {
            "by_kind": {"deadline.due:assessment": 3},
            "by_urgency": {"soon": 3},
            "by_status": {"open": 2, "acknowledged": 1},
            "total": 3,
            "deliveries": {"email": {"sent": 2, "queued": 1}},
        }
    )

    by_kind: Mapping[str, int]
    by_urgency: Mapping[str, int]
    by_status: Mapping[str, int]
    total: int
    deliveries: Mapping[str, Mapping[str, int]]
    """By channel, and there by state."""


class ShownRate(Shown):
    """One worker's alerts of a kind in one week, and how many repetitions were collapsed."""

    model_config = example(RATE)

    worker_id: str
    kind: str
    week: date
    """Its Monday."""
    alerts: int
    collapsed: int


class ShownRates(Shown):
    """Alerts per worker, week and kind, the latest week first."""

    model_config = example({"items": [RATE]})

    items: tuple[ShownRate, ...]


def shown(alert: Alert) -> ShownAlert:
    """Return an alert as programs see it."""
    return ShownAlert(**_fields(alert))


def shown_in_full(alert: Alert, deliveries: Sequence[Mapping[str, Any]]) -> ShownAlertInFull:
    """Return an alert with its cause and its deliveries as programs see them."""
    facts = alert.facts
    cause = ShownCause(message_id=facts.cause_id, type=facts.kind.partition(":")[0])
    return ShownAlertInFull(**_fields(alert), cause=cause, deliveries=ShownDelivery.each(deliveries))


def _fields(alert: Alert) -> dict[str, Any]:
    return {
        **dict(alert.facts),
        "status": alert.status,
        "acknowledged_at": alert.acknowledged_at,
        "acknowledged_by": alert.acknowledged_by,
        "repeats": alert.repeats,
        "repeated_at": alert.repeated_at,
        "escalation_step": alert.step,
        "next_escalation_at": alert.next_escalation_at,
        "snoozed_until": alert.snoozed_until,
        "settled_at": alert.settled_at,
    }
