"""On which channels an alert leaves the inbox, and when: rules, preferences, quiet hours, digests. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from schemas.events import AlertRaised, NotificationQueued
from schemas.events.codes import Channel, Role, Urgency
from services.kernel.messages.faults import Refused
from services.kernel.processing.service import Context
from services.notify.alerts.council import Council
from services.notify.delivery.model import delivery_id
from services.notify.preferences.hours import next_digest, peace_ends
from services.notify.preferences.model import PERSONAL, ChoosePreference, Subscription


class DeliveryTime(NamedTuple):
    """When something goes out: at once where `held_until` is None."""

    held_until: datetime | None = None
    digest: bool = False


AT_ONCE = DeliveryTime()


def decide_deliveries(
    alert: AlertRaised,
    *,
    council: Council,
    context: Context,
    turn: int = 0,
    template: str | None = None,
    gather: bool = False,
) -> list[NotificationQueued]:
    """Return the deliveries of an alert to its recipient, on the channels that this installation has.

    `turn`, the alert's version before it, distinguishes further deliveries from the first. `gather` puts
    what is not urgent into the next digest, for when many alerts come at once.
    """
    return [
        NotificationQueued(
            child_id=alert.child_id,
            delivery_id=delivery_id(
                alert.alert_id,
                alert.recipient_id,
                channel,
                subscription_id=None if subscription is None else subscription.subscription_id,
                turn=turn,
            ),
            alert_id=alert.alert_id,
            case_id=alert.case_id,
            channel=channel,
            recipient_id=alert.recipient_id,
            subscription_id=None if subscription is None else subscription.subscription_id,
            template=template or alert.template,
            held_until=moment.held_until,
            digest=moment.digest,
            queued_at=context.now,
        )
        for channel, subscription, moment in _ways(alert, council, context, gather=gather)
    ]


def when(
    alert: AlertRaised, channel: Channel, *, council: Council, context: Context, gather: bool = False
) -> DeliveryTime | None:
    """Return when an alert goes out on a personal channel; None when its recipient does not want it.

    Urgent alerts go at once, whatever the preferences and the hour. Shared inboxes and agencies have no
    quiet hours: they are watched all the time.
    """
    if alert.urgency is Urgency.URGENT:
        return AT_ONCE
    worker = alert.recipient_id
    if worker not in council.pack.practitioner_ids:
        return AT_ONCE
    choice = council.arrangements.choice(worker, alert.kind, channel)
    if choice == "off":
        return None
    hours = council.arrangements.quiet_hours.get(worker, council.pack.notifications.default_hours)
    if choice == "digest" or gather:
        digest_at = next_digest(
            context.now,
            digest_at=hours.digest_at,
            working_days_only=hours.digest == "working_day",
            calendar=context.calendar,
        )
        return DeliveryTime(digest_at, digest=True)
    return DeliveryTime(peace_ends(context.now, quiet_from=hours.quiet_from, quiet_until=hours.quiet_until))


def check_preference(command: ChoosePreference, *, council: Council) -> None:
    """Refuse a channel that is not the person's own, and any limit on urgent alerts."""
    if command.channel not in PERSONAL:
        raise Refused(f"{command.channel.value} is not a personal channel: choose email or sms.")
    if command.choice in {"off", "digest"} and council.pack.is_urgent(command.kind):
        raise Refused(
            f"{command.kind} can be urgent, and urgent alerts always come at once: choose another kind."
        )
    if command.worker_id not in council.pack.practitioner_ids:
        raise Refused(f"The policy pack knows no practitioner {command.worker_id}.", missing=True)


def _ways(
    alert: AlertRaised, council: Council, context: Context, *, gather: bool
) -> Iterator[tuple[Channel, Subscription | None, DeliveryTime]]:
    if not council.channels:
        return
    named = _channels(alert, council)
    for channel in PERSONAL:
        if channel not in council.channels or not _has_address(alert, channel, council):
            continue
        if channel not in named and not _asked_for(alert, channel, council):
            continue
        moment = when(alert, channel, council=council, context=context, gather=gather)
        if moment is not None:
            yield channel, None, moment
    for subscription in _subscriptions(alert, council):
        if subscription.channel in named and subscription.channel in council.channels:
            yield subscription.channel, subscription, AT_ONCE


def _channels(alert: AlertRaised, council: Council) -> tuple[Channel, ...]:
    """Return the channels of the rule that raised an alert; where it states none, those of its urgency."""
    name, _, deadline = alert.kind.partition(":")
    rules = council.pack.alerts_for(name, deadline or None) or ()
    stated = [rule for rule in rules if rule.urgency is alert.urgency and rule.channels is not None]
    stated.sort(key=lambda rule: alert.role not in rule.to)
    by_rule = stated[0].channels if stated else None
    return council.pack.notifications.by_urgency[alert.urgency].channels if by_rule is None else by_rule


def _has_address(alert: AlertRaised, channel: Channel, council: Council) -> bool:
    """Return whether a recipient can be reached: texts go to people, not to shared inboxes."""
    return channel is Channel.EMAIL or alert.recipient_id in council.pack.practitioner_ids


def _asked_for(alert: AlertRaised, channel: Channel, council: Council) -> bool:
    """Return whether the recipient has chosen a channel that the rule does not name."""
    chosen = council.arrangements.choice(alert.recipient_id, alert.kind, channel)
    return chosen in {"at_once", "digest"}


def _subscriptions(alert: AlertRaised, council: Council) -> Iterator[Subscription]:
    """Yield the subscriptions: a referring agency's for its own alerts, a team's for its duty inbox's."""
    owner = alert.recipient_id if alert.role is Role.REFERRER else None
    if alert.role is Role.DUTY_INBOX:
        owner = alert.team
    for subscription in council.arrangements.subscriptions.get(owner or "", ()):
        if subscription.wants(alert.kind):
            yield subscription
