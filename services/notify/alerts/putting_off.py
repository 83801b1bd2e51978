"""How long an alert may be put off. Pure."""

from schemas.events import AlertSnoozed
from services.kernel.messages.faults import Refused
from services.kernel.processing.service import Context
from services.notify.alerts.council import Council
from services.notify.alerts.model import Alert, SnoozeAlert


def decide_snooze(
    alert: Alert, command: SnoozeAlert, *, council: Council, context: Context
) -> list[AlertSnoozed]:
    """Put an open alert off, no longer than its urgency allows; an acknowledged one stays as it is."""
    if alert.status == "absent":
        sentence = f"There is no alert {command.alert_id}: look the id up in GET /alerts."
        raise Refused(sentence, missing=True)
    if alert.status == "acknowledged" or command.until <= context.now:
        return []
    urgency = alert.facts.urgency
    longest = council.pack.notifications.by_urgency[urgency].snooze_at_most_hours
    if (command.until - context.now).total_seconds() > longest * 3600:
        raise Refused(f"Choose a reminder within {longest:g} hours: this alert is {urgency.value}.")
    return [
        AlertSnoozed(
            child_id=alert.facts.child_id,
            alert_id=alert.alert_id,
            snoozed_by=command.snoozed_by,
            snoozed_until=command.until,
            snoozed_at=context.now,
        )
    ]
