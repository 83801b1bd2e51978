"""What brings the notify store back: its own events, and what others say of a child's people.

What people have arranged, and who subscribed with which address, is on no bus: it is as the backup has it.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from schemas.events import (
    Event,
    KeyWorkerAssigned,
    NotificationDelivered,
    NotificationFailed,
    NotificationQueued,
    NotificationSent,
)
from services.kernel.connection import Connection
from services.kernel.rejoin import Loss
from services.kernel.service import Message
from services.notify.book import NotifyBook
from services.notify.lane import ASK_FOR
from services.notify.model import AcknowledgeAlert
from services.notify.store import NotifyStore

# The address of a subscription is on no bus. What is still to go there fails, and operations hear of it.
STAND_IN = text("""
    INSERT INTO subscriptions (subscription_id, owner_kind, owner_id, channel, url, active, created_at)
    SELECT DISTINCT ON (subscription_id) subscription_id,
        CASE channel WHEN 'chat' THEN 'team' ELSE 'agency' END, owner_id, channel, 'https://lost.invalid/',
        false, created_at
    FROM unnest(
        CAST(:subscription_id AS uuid[]), CAST(:owner_id AS text[]), CAST(:channel AS text[]),
        CAST(:created_at AS timestamptz[])
    ) AS wanted (subscription_id, owner_id, channel, created_at)
    ON CONFLICT DO NOTHING RETURNING subscription_id
""")

SENT = text("""
    UPDATE deliveries SET state = 'sent', sent_at = told.sent_at, attempts = told.attempts,
        provider = told.provider, reference = told.reference, message_id = told.message_id,
        digest = digest OR told.message_id <> told.delivery_id OR EXISTS (
            SELECT FROM deliveries AS part
            WHERE part.message_id = told.delivery_id AND part.delivery_id <> told.delivery_id
        ),
        reason = NULL, next_attempt_at = NULL, claim = NULL,
        ask_at = CASE WHEN told.reference IS NOT NULL THEN now() END,
        ask_until = CASE WHEN told.reference IS NOT NULL THEN now() + CAST(:ask_for AS interval) END
    FROM unnest(
        CAST(:delivery_id AS uuid[]), CAST(:message_id AS uuid[]), CAST(:provider AS text[]),
        CAST(:reference AS text[]), CAST(:attempts AS integer[]), CAST(:sent_at AS timestamptz[])
    ) AS told (delivery_id, message_id, provider, reference, attempts, sent_at)
    WHERE deliveries.delivery_id = told.delivery_id
""")

# The first part of a digest may have come back before the others.
GATHERED = text("""
    UPDATE deliveries SET digest = true
    WHERE delivery_id IN (
        SELECT message_id FROM deliveries
        WHERE delivery_id = ANY(CAST(:ids AS uuid[])) AND message_id <> delivery_id
    )
""")

DELIVERED = text("""
    UPDATE deliveries SET state = 'delivered', delivered_at = told.delivered_at, ask_at = NULL
    FROM unnest(CAST(:delivery_id AS uuid[]), CAST(:delivered_at AS timestamptz[]))
        AS told (delivery_id, delivered_at)
    WHERE deliveries.delivery_id = told.delivery_id
""")

# A reply code held a space where its event holds a colon (`queue`).
FAILED = text("""
    UPDATE deliveries SET state = 'failed', reason = replace(told.detail, ':', ' '),
        attempts = told.attempts, next_attempt_at = NULL, claim = NULL, ask_at = NULL
    FROM unnest(CAST(:delivery_id AS uuid[]), CAST(:detail AS text[]), CAST(:attempts AS integer[]))
        AS told (delivery_id, detail, attempts)
    WHERE deliveries.delivery_id = told.delivery_id
""")


TOLD_OF_SENT = ("delivery_id", "message_id", "provider", "reference", "attempts", "sent_at")


class NotifyRecall:
    """Loads alerts, deliveries and people for events about them."""

    def __init__(self, store: NotifyStore) -> None:
        self._store = store
        self._lost: set[str] = set()

    async def begin(self, connection: Connection) -> None:
        """Leave the queue of the backup: whether something has gone since, its event tells."""

    async def load(
        self, connection: Connection, events: Sequence[Event], message: Event | None
    ) -> NotifyBook:
        """Return the book of the events' alerts: the one that acknowledging each of them would get."""
        wanted: list[Message] = [
            event
            if isinstance(event, KeyWorkerAssigned)
            else AcknowledgeAlert(alert_id=_alert_of(event), acknowledged_by="rejoin")
            for event in events
        ]
        await self._stand_in(connection, [each for each in events if isinstance(each, NotificationQueued)])
        return await self._store.load(connection, wanted if message is None else [*wanted, message])

    async def saved(self, connection: Connection, events: Sequence[Event]) -> None:
        """Write what channels have told of deliveries: the book knows that they did, and not what."""
        sent = [event for event in events if isinstance(event, NotificationSent)]
        if sent:
            await connection.execute(SENT, _columns(sent, TOLD_OF_SENT) | {"ask_for": ASK_FOR})
            await connection.execute(GATHERED, {"ids": [event.delivery_id for event in sent]})
        delivered = [event for event in events if isinstance(event, NotificationDelivered)]
        if delivered:
            await connection.execute(DELIVERED, _columns(delivered, ("delivery_id", "delivered_at")))
        failed = [event for event in events if isinstance(event, NotificationFailed)]
        if failed:
            await connection.execute(FAILED, _columns(failed, ("delivery_id", "detail", "attempts")))

    async def losses(self, _connection: Connection) -> list[Loss]:
        """Return the subscriptions whose address nobody knows any more."""
        what = "subscriptions: their addresses; subscribe again"
        return [Loss(what, tuple(sorted(self._lost)))] if self._lost else []

    async def _stand_in(self, connection: Connection, queued: Iterable[NotificationQueued]) -> None:
        subscribed = [event for event in queued if event.subscription_id is not None]
        if subscribed:
            rows = await connection.execute(
                STAND_IN,
                {
                    "subscription_id": [event.subscription_id for event in subscribed],
                    "owner_id": [event.recipient_id for event in subscribed],
                    "channel": [event.channel.value for event in subscribed],
                    "created_at": [event.queued_at for event in subscribed],
                },
            )
            self._lost |= {str(row[0]) for row in rows}


def _alert_of(event: Event) -> UUID:
    """Return the alert that an event of an alert or of one of its deliveries is about."""
    alert_id: UUID = getattr(event, "alert_id")  # noqa: B009 - all but one of our events have it
    return alert_id


def _columns(events: Iterable[Event], names: Sequence[str]) -> dict[str, list[Any]]:
    events = list(events)
    return {name: [getattr(event, name) for event in events] for name in names}
