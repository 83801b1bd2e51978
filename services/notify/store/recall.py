"""SQL that restores the notify store: data that none of its own events holds, and reports of channels."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from schemas.events import NotificationDelivered, NotificationFailed, NotificationSent
from schemas.events.codes import Channel
from services.kernel.postgres.bulk import Columns
from services.kernel.postgres.connection import Connection
from services.kernel.postgres.statements import sql
from services.notify.delivery.model import ChannelEvent, DeliveryEvent
from services.notify.delivery.store.subscriptions import OwnerKind

SUBSCRIPTION = Columns(
    subscription_id="uuid", owner_kind="text", owner_id="text", channel="text", created_at="timestamptz"
)
# No event holds the address of a subscription. Messages still to go there fail, and operations are told.
STAND_IN = sql(
    """
    INSERT INTO subscriptions ({columns}, url, active)
    SELECT DISTINCT ON (subscription_id) {columns}, :lost, false FROM {wanted}
    ON CONFLICT DO NOTHING
    """,
    columns=SUBSCRIPTION,
    wanted=SUBSCRIPTION.unnest("wanted"),
)

WITHOUT_ADDRESS = text("SELECT subscription_id FROM subscriptions WHERE url = :lost")

# A sender that held a claim at the moment of the backup has let go since: its delivery is as it was.
LET_GO = text("UPDATE deliveries SET claim = NULL WHERE delivery_id = ANY(:ids) AND claim IS NOT NULL")

# Emails that were queued before there were deliveries have no event that says so.
BEFORE = Columns(delivery_id="uuid", alert_id="uuid")
QUEUED_BEFORE = sql(
    """
    INSERT INTO deliveries (
        delivery_id, version, alert_id, child_id, case_id, recipient_id, channel, template, state, message_id,
        queued_at
    )
    SELECT told.delivery_id, 0, alert_id, child_id, case_id, recipient_id, 'email', template, 'queued',
        told.delivery_id, raised_at
    FROM {told} JOIN alerts USING (alert_id)
    ON CONFLICT DO NOTHING
    """,
    told=BEFORE.unnest("told"),
)

# As the migration has left them: nobody escalates what was raised before anything escalated.
NEVER_ESCALATED = text("UPDATE alerts SET next_escalation_at = NULL WHERE alert_id = ANY(:ids)")

UNSURE = text("""
    SELECT alert_id FROM alerts
    WHERE alert_id = ANY(:ids) AND urgency <> 'routine'
      AND NOT EXISTS (SELECT FROM deliveries WHERE deliveries.alert_id = alerts.alert_id)
""")

TOLD_OF_SENT = Columns(
    delivery_id="uuid",
    message_id="uuid",
    provider="text",
    reference="text",
    attempts="integer",
    sent_at="timestamptz",
)
SENT = text(
    TOLD_OF_SENT.update(
        "deliveries",
        values={
            "state": "'sent'",
            "digest": """digest OR fresh.message_id <> fresh.delivery_id OR EXISTS (
                SELECT FROM deliveries AS part
                WHERE part.message_id = fresh.delivery_id AND part.delivery_id <> fresh.delivery_id
            )""",
            "reason": "NULL",
            "next_attempt_at": "NULL",
            "claim": "NULL",
            "ask_at": "CASE WHEN fresh.reference IS NOT NULL THEN now() END",
            "ask_until": "CASE WHEN fresh.reference IS NOT NULL THEN now() + CAST(:ask_for AS interval) END",
        },
    )
)

# The first part of a digest may have come back before the others.
GATHERED = text("""
    UPDATE deliveries SET digest = true
    WHERE delivery_id IN (
        SELECT message_id FROM deliveries WHERE delivery_id = ANY(:ids) AND message_id <> delivery_id
    )
""")

TOLD_OF_DELIVERED = Columns(delivery_id="uuid", delivered_at="timestamptz")
DELIVERED = text(TOLD_OF_DELIVERED.update("deliveries", values={"state": "'delivered'", "ask_at": "NULL"}))

# A reply code held a space where its event holds a colon (`delivery/store/queue.py`).
TOLD_OF_FAILED = Columns(delivery_id="uuid", reason="text", attempts="integer")
FAILED = text(
    TOLD_OF_FAILED.update(
        "deliveries",
        values={
            "state": "'failed'",
            "reason": "replace(fresh.reason, ':', ' ')",
            "next_attempt_at": "NULL",
            "claim": "NULL",
            "ask_at": "NULL",
        },
    )
)


class StandIn(NamedTuple):
    """A subscription whose address is unknown, with the columns of `SUBSCRIPTION`."""

    subscription_id: UUID
    owner_kind: OwnerKind
    owner_id: str
    channel: Channel
    created_at: datetime


async def queue_again(connection: Connection, known: Sequence[DeliveryEvent | ChannelEvent]) -> None:
    """Insert the deliveries that events describe, unclaimed.

    Those that are there stay queued; those that are not were queued before deliveries had events.
    """
    await connection.execute(QUEUED_BEFORE, BEFORE.of(known))
    await connection.execute(LET_GO, {"ids": [event.delivery_id for event in known]})


async def stand_in(connection: Connection, wanted: Sequence[StandIn], *, lost: str) -> None:
    """Insert subscriptions as ended, with the address `lost`; those that are there stay as they are."""
    await connection.execute(STAND_IN, {"lost": lost, **SUBSCRIPTION.rows(wanted)})


async def sent(connection: Connection, events: Sequence[NotificationSent], *, ask_for: timedelta) -> None:
    """Write that deliveries were sent; from now on and `ask_for` long their receipts are asked for."""
    await connection.execute(SENT, TOLD_OF_SENT.of(events) | {"ask_for": ask_for})
    await connection.execute(GATHERED, {"ids": [event.delivery_id for event in events]})


async def delivered(connection: Connection, events: Sequence[NotificationDelivered]) -> None:
    """Write that deliveries have arrived."""
    await connection.execute(DELIVERED, TOLD_OF_DELIVERED.of(events))


async def failed(connection: Connection, events: Sequence[NotificationFailed]) -> None:
    """Write that deliveries have failed for good."""
    await connection.execute(FAILED, TOLD_OF_FAILED.of(events, reason=lambda event: event.detail))


async def never_escalate(connection: Connection, alert_ids: Iterable[UUID]) -> None:
    """Stop alerts from escalating further."""
    await connection.execute(NEVER_ESCALATED, {"ids": sorted(alert_ids)})


async def without_address(connection: Connection, *, lost: str) -> list[UUID]:
    """Return the subscriptions with the address `lost`."""
    return [row[0] for row in await connection.execute(WITHOUT_ADDRESS, {"lost": lost})]


async def without_delivery(connection: Connection, alert_ids: Collection[UUID]) -> list[UUID]:
    """Return those of the alerts that are not routine and have no delivery."""
    return [row[0] for row in await connection.execute(UNSURE, {"ids": sorted(alert_ids)})]
