"""The life of an alert after it was raised: seen, put off, passed on, escalated. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from schemas.events import (
    AlertAcknowledged,
    AlertRaised,
    AlertReassigned,
    AlertRepeated,
    AlertSettled,
    AlertSnoozed,
    NotificationEscalated,
)
from services.kernel.messages.faults import Refused
from services.kernel.processing.service import Context
from services.notify.alerts.model import AcknowledgeAlert, Alert

AlertEvent = (
    AlertRaised
    | AlertRepeated
    | AlertReassigned
    | AlertSnoozed
    | AlertSettled
    | AlertAcknowledged
    | NotificationEscalated
)


def decide_acknowledgement(
    alert: Alert, command: AcknowledgeAlert, *, escalated: Iterable[Alert] = (), context: Context
) -> list[AlertAcknowledged]:
    """Acknowledge an alert. An acknowledged one stays as it is, without an error.

    The alerts that escalated this one to others go with it.
    """
    if alert.status == "absent":
        sentence = f"There is no alert {command.alert_id}: look the id up in GET /alerts."
        raise Refused(sentence, missing=True)
    if alert.status == "acknowledged":
        return []
    return [
        AlertAcknowledged(
            child_id=each.facts.child_id,
            alert_id=each.alert_id,
            acknowledged_by=command.acknowledged_by,
            acknowledged_at=context.now,
        )
        for each in (alert, *(each for each in escalated if each.status == "open"))
    ]


def evolve(alert: Alert, event: AlertEvent) -> Alert:
    """Return the alert after one of its events. The book computes when it escalates next."""
    alert = replace(alert, version=alert.version + 1)
    match event:
        case AlertRaised():
            return replace(alert, status="open", raised=event)
        case AlertRepeated():
            return replace(alert, repeats=event.repeats, repeated_at=event.repeated_at)
        case AlertReassigned():
            now_with = {"recipient_id": event.to_id, "role": event.role, "stands_in_for": None}
            return replace(alert, raised=alert.facts.model_copy(update=now_with), step=0, snoozed_until=None)
        case AlertSnoozed():
            return replace(alert, snoozed_until=event.snoozed_until)
        case AlertSettled():
            return replace(alert, settled_at=event.settled_at)
        case NotificationEscalated():
            return replace(alert, step=event.step, snoozed_until=None)
        case AlertAcknowledged():
            return replace(
                alert,
                status="acknowledged",
                acknowledged_at=event.acknowledged_at,
                acknowledged_by=event.acknowledged_by,
            )
