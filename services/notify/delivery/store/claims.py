"""SQL of the senders' work: which senders have messages, and claims that outlive their transaction.

A sender serves a channel, or one endpoint of it. Claiming is a short statement of its own, so that no
connection is held while a far side is slow. The claim stays in the row until the outcome is recorded. If its
sender dies, the claim expires at `until`, and the next claim marks the message as doubtful.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from schemas.events.codes import Channel, Role, Urgency
from services.kernel.postgres.connection import Connection
from services.kernel.postgres.statements import sql
from services.notify.delivery.store.queue import Message, MessagePart
from services.notify.referrers.policy import Update
from services.notify.referrers.store import updates as agency_updates

BUSY = text("""
    SELECT channel, CAST(NULL AS uuid) AS subscription_id
    FROM unnest(CAST(:direct AS text[])) AS direct (channel)
    WHERE EXISTS (
        SELECT FROM deliveries WHERE state = 'queued' AND message_id = delivery_id
          AND deliveries.channel = direct.channel AND (next_attempt_at IS NULL OR next_attempt_at <= :now)
    )
    UNION ALL
    SELECT channel, subscription_id FROM subscriptions
    WHERE channel = ANY(:subscribed) AND EXISTS (
        SELECT FROM deliveries WHERE state = 'queued' AND message_id = delivery_id
          AND deliveries.subscription_id = subscriptions.subscription_id
          AND (next_attempt_at IS NULL OR next_attempt_at <= :now)
    )
""")

UNDER_WAY = text("""
    SELECT count(*) FROM deliveries
    WHERE state = 'queued' AND message_id = delivery_id AND channel = ANY(:channels)
      AND (next_attempt_at IS NULL OR next_attempt_at <= :now
           OR claim IS NOT NULL)
""")

CLAIM = """
    WITH next AS (
        SELECT delivery_id, claim IS NOT NULL AS doubtful FROM deliveries
        WHERE state = 'queued' AND message_id = delivery_id AND {of_sender}
          AND (next_attempt_at IS NULL OR next_attempt_at <= :now)
        ORDER BY position LIMIT :limit
        FOR UPDATE SKIP LOCKED
    )
    UPDATE deliveries SET claim = :claim, next_attempt_at = :until FROM next
    WHERE deliveries.delivery_id = next.delivery_id
    RETURNING deliveries.delivery_id, position, channel, recipient_id, subscription_id, digest, attempts,
        refusals, doubtful
"""
# Two statements, so that each uses its index: one with `IS NULL OR =` would use none.
CLAIM_DIRECT = sql(CLAIM, of_sender="channel = :channel")
CLAIM_SUBSCRIBED = sql(CLAIM, of_sender="subscription_id = :subscription_id")

PARTS = text("""
    SELECT message_id, delivery_id, deliveries.child_id, deliveries.template, alerts.alert_id, alerts.role,
           alerts.kind, alerts.urgency, alerts.says, alerts.next_step, alerts.about, alerts.case_id,
           alerts.due_at, alerts.raised_at, alerts.status = 'acknowledged' AS seen
    FROM deliveries JOIN alerts USING (alert_id)
    WHERE (delivery_id = ANY(:ids)
           OR (message_id = ANY(:ids) AND message_id <> delivery_id))
      AND state = 'queued'
    ORDER BY position
""")

RELEASE = text("""
    UPDATE deliveries SET next_attempt_at = NULL, claim = CASE WHEN :doubtful THEN claim END
    WHERE delivery_id = ANY(:ids) AND state = 'queued' AND claim = :claim
""")


class SenderKey(NamedTuple):
    """A channel, or one subscription's endpoint."""

    channel: Channel
    subscription_id: UUID | None = None


async def busy(
    connection: Connection, *, direct: Iterable[Channel], subscribed: Iterable[Channel], now: datetime
) -> list[SenderKey]:
    """Return the keys of the senders that have a message to send; `now` is real time."""
    rows = await connection.execute(
        BUSY,
        {
            "direct": [each.value for each in direct],
            "subscribed": [each.value for each in subscribed],
            "now": now,
        },
    )
    return [SenderKey(Channel(row.channel), row.subscription_id) for row in rows]


async def count_under_way(connection: Connection, *, channels: Iterable[Channel], now: datetime) -> int:
    """Return how many messages of these channels are to be sent now, or are being sent.

    Those that wait for another attempt do not count; those whose sender has died do. `now` is real time.
    """
    parameters = {"channels": [each.value for each in channels], "now": now}
    return int((await connection.execute(UNDER_WAY, parameters)).scalar_one())


async def claim(
    connection: Connection, sender: SenderKey, *, limit: int, claim_id: UUID, now: datetime, until: datetime
) -> list[Message]:
    """Claim a sender's next messages, in their order; messages that others hold are skipped.

    All times are real. The caller records each outcome in `queue`, or gives messages back with `release`.
    """
    common = {"limit": limit, "claim": claim_id, "now": now, "until": until}
    if sender.subscription_id is None:
        heads = await connection.execute(CLAIM_DIRECT, common | {"channel": sender.channel.value})
    else:
        named = {"subscription_id": sender.subscription_id}
        heads = await connection.execute(CLAIM_SUBSCRIBED, common | named)
    if not heads:
        return []
    parts: dict[UUID, list[MessagePart]] = {head.delivery_id: [] for head in heads}
    rows = await connection.execute(PARTS, {"ids": list(parts)})
    to_agencies = [row.alert_id for row in rows if row.role == Role.REFERRER]
    updates = await agency_updates.of_alerts(connection, to_agencies) if to_agencies else {}
    for row in rows:
        parts[row.message_id].append(_part(row, tuple(updates.get(row.alert_id, ()))))
    return [
        Message(
            head.delivery_id,
            Channel(head.channel),
            head.recipient_id,
            head.subscription_id,
            head.digest,
            head.attempts,
            head.refusals,
            tuple(parts[head.delivery_id]),
            claim_id,
            head.doubtful,
        )
        for head in sorted(heads, key=lambda each: int(each.position))
    ]


async def release(connection: Connection, messages: Sequence[Message]) -> None:
    """Release messages that were not tried: they are as they were before the claim."""
    for doubtful in (False, True):
        chosen = [message for message in messages if message.doubtful is doubtful]
        if chosen:
            parameters = {
                "ids": [message.message_id for message in chosen],
                "claim": chosen[0].claim,
                "doubtful": doubtful,
            }
            await connection.execute(RELEASE, parameters)


def _part(row: Any, updates: tuple[Update, ...]) -> MessagePart:
    values = {name: row[name] for name in MessagePart.__dataclass_fields__ if name != "updates"}
    return MessagePart(
        **values | {"role": Role(row.role), "urgency": Urgency(row.urgency), "updates": updates}
    )
