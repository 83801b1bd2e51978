"""Restores the notify store from its own events, and from other services' events about people around a child.

What people have arranged, and who subscribed with which address, is on no bus: it is as the backup has it.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from schemas.events import (
    AlertRaised,
    AlertRaisedV1,
    AlertReassigned,
    Event,
    KeyWorkerAssigned,
    NotificationDelivered,
    NotificationFailed,
    NotificationQueued,
    NotificationSent,
)
from schemas.events.codes import Role
from services.kernel.postgres.connection import Connection
from services.kernel.processing.service import Message
from services.kernel.rejoin.plan import Own
from services.kernel.rejoin.recall import Loss, Recall
from services.notify.alerts.model import AcknowledgeAlert
from services.notify.book import NotifyBook
from services.notify.delivery.model import ChannelEvent, DeliveryEvent
from services.notify.delivery.sender import ASK_FOR
from services.notify.delivery.store.subscriptions import OwnerKind
from services.notify.store import recall as recall_store
from services.notify.store.batch import NotifyStore
from services.notify.store.recall import StandIn

OF_ABSENCES = frozenset({"out_of_office", "left"})

LOST_ADDRESS = "https://lost.invalid/"
LOST_WORDS = "(What it said was lost with the store: see what it is about.)"


class NotifyRecall(Recall[NotifyBook]):
    """Loads alerts, deliveries and people for events about them.

    What was queued in the backup stays queued; its own event tells whether it has been sent since.
    """

    def __init__(self, store: NotifyStore) -> None:
        self._store = store
        self._before: set[UUID] = set()
        """The alerts that were raised before there were deliveries."""

    def as_today(self, own: Own) -> Event:
        """Return an alert of the first version in today's form."""
        event = own.event
        if not isinstance(event, AlertRaisedV1):
            return event
        self._before.add(event.alert_id)
        known = event.model_dump()
        said = {name: known[name] or LOST_WORDS for name in ("says", "next_step")}
        return AlertRaised(**known | said, cause_id=own.entry.causation_id, template="alert")

    def rests_on(self, event: Event) -> UUID | None:
        """Return the alert that a delivery belongs to."""
        return event.alert_id if isinstance(event, DeliveryEvent | ChannelEvent) else None

    def is_unasked(self, events: Sequence[Event]) -> bool:
        """Return whether the events move alerts because an absence began, for which there is no event."""
        return any(isinstance(event, AlertReassigned) and event.reason in OF_ABSENCES for event in events)

    async def load(
        self, connection: Connection, events: Sequence[Event], message: Event | None
    ) -> NotifyBook:
        """Return the book of the events' alerts, as for acknowledging each of them."""
        wanted: list[Message] = [
            event
            if isinstance(event, KeyWorkerAssigned)
            else AcknowledgeAlert(alert_id=_alert_of(event), acknowledged_by="rejoin")
            for event in events
        ]
        queued = [event for event in events if isinstance(event, NotificationQueued)]
        fresh = {event.delivery_id for event in queued}
        known = [
            event
            for event in events
            if isinstance(event, DeliveryEvent | ChannelEvent) and event.delivery_id not in fresh
        ]
        if known:
            await recall_store.queue_again(connection, known)
        book = await self._store.load(connection, wanted if message is None else [*wanted, message])
        await _stand_in(connection, queued, book, events)
        return book

    async def saved(self, connection: Connection, events: Sequence[Event]) -> None:
        """Write what channels reported about deliveries: the book knows only that they reported."""
        sent = [event for event in events if isinstance(event, NotificationSent)]
        if sent:
            await recall_store.sent(connection, sent, ask_for=ASK_FOR)
        delivered = [event for event in events if isinstance(event, NotificationDelivered)]
        if delivered:
            await recall_store.delivered(connection, delivered)
        failed = [event for event in events if isinstance(event, NotificationFailed)]
        if failed:
            await recall_store.failed(connection, failed)
        raised = {event.alert_id for event in events if isinstance(event, AlertRaised)}
        if raised & self._before:
            await recall_store.never_escalate(connection, raised & self._before)

    async def losses(self, connection: Connection) -> list[Loss]:
        """Return the subscriptions whose address is lost, and the old alerts whose email is uncertain."""
        subscriptions = await recall_store.without_address(connection, lost=LOST_ADDRESS)
        unsure = await recall_store.without_delivery(connection, self._before)
        lost = (
            Loss("subscriptions: their addresses; subscribe again", _ids(subscriptions)),
            Loss("alerts of the first version: whether an email went out; none is sent now", _ids(unsure)),
        )
        return [loss for loss in lost if loss.ids]


async def _stand_in(
    connection: Connection, queued: Iterable[NotificationQueued], book: NotifyBook, events: Sequence[Event]
) -> None:
    """Insert stand-ins for missing subscriptions that deliveries go to; existing ones stay as they are."""
    raised = {event.alert_id: event for event in events if isinstance(event, AlertRaised)}
    wanted = [
        StandIn(
            each.subscription_id,
            *_owner(each, raised.get(each.alert_id) or book.alert(each.alert_id).facts),
            each.channel,
            each.queued_at,
        )
        for each in queued
        if each.subscription_id is not None
    ]
    if wanted:
        await recall_store.stand_in(connection, wanted, lost=LOST_ADDRESS)


def _owner(delivery: NotificationQueued, alert: AlertRaised) -> tuple[OwnerKind, str]:
    """Return the owner of a delivery's subscription: the kind of owner, and the id."""
    if alert.role is Role.REFERRER:
        return "agency", delivery.recipient_id
    return "team", alert.team or delivery.recipient_id


def _alert_of(event: Event) -> UUID:
    """Return the alert that an event of an alert or of one of its deliveries is about."""
    alert_id: UUID = getattr(event, "alert_id")  # noqa: B009 - all but one of our events have it
    return alert_id


def _ids(lost: Iterable[UUID]) -> tuple[str, ...]:
    return tuple(sorted(map(str, lost)))
