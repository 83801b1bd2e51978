"""SQL of the deliveries' queue: a claimed message is settled once, with its events.

`claims` claims; `sent`, `try_later` and `fail` settle. After a crash in between the message goes again with
the same `message_id`, which every provider gets as the idempotency key. `arrived` and `bounced` record later
receipts, in any order and any number of times.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from schemas.events import Event, NotificationDelivered, NotificationFailed, NotificationSent
from schemas.events.codes import Channel, Role, Urgency
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.postgres.connection import Connection
from services.kernel.processing.publication import entry
from services.kernel.processing.service import Context
from services.kernel.store import journal
from services.notify.referrers.policy import Update

FailReason = Literal[
    "refused", "permanent_failure", "temporary_failure", "technical_failure", "gave_up", "no_address"
]

SENT = text("""
    UPDATE deliveries SET state = 'sent', sent_at = :now, attempts = deliveries.attempts + 1,
        version = deliveries.version + 1, provider = :provider, reference = :reference, reason = NULL,
        next_attempt_at = NULL, claim = NULL, ask_at = :ask_at, ask_until = :ask_until
    FROM deliveries AS head
    WHERE deliveries.delivery_id = ANY(:ids) AND deliveries.state = 'queued'
      AND head.delivery_id = deliveries.message_id AND head.claim = ANY(:claims)
    RETURNING deliveries.delivery_id, deliveries.version, deliveries.attempts, deliveries.child_id,
        deliveries.alert_id, deliveries.case_id, deliveries.channel, deliveries.message_id
""")

# Where the outcome is unknown the claim stays: the next sender sees that an attempt was made.
LATER = text("""
    UPDATE deliveries SET attempts = deliveries.attempts + 1, refusals = :refusals, reason = :reason,
        next_attempt_at = :next_attempt_at, claim = CASE WHEN :unknown THEN deliveries.claim END
    FROM deliveries AS head
    WHERE deliveries.delivery_id = ANY(:ids) AND deliveries.state = 'queued'
      AND head.delivery_id = deliveries.message_id AND head.claim = ANY(:claims)
""")

FAILED = text("""
    UPDATE deliveries SET state = 'failed', attempts = deliveries.attempts + 1,
        version = deliveries.version + 1, refusals = :refusals, reason = :reason, provider = :provider,
        next_attempt_at = NULL, claim = NULL
    FROM deliveries AS head
    WHERE deliveries.delivery_id = ANY(:ids) AND deliveries.state = 'queued'
      AND head.delivery_id = deliveries.message_id AND head.claim = ANY(:claims)
    RETURNING deliveries.delivery_id, deliveries.version, deliveries.attempts, deliveries.child_id,
        deliveries.alert_id, deliveries.case_id, deliveries.channel, deliveries.message_id
""")

# A receipt counts once, and never overrides what is known: providers repeat receipts and mix their order.
ARRIVED = text("""
    UPDATE deliveries SET state = 'delivered', delivered_at = :now, version = version + 1, ask_at = NULL
    WHERE (delivery_id = :message_id OR (message_id = :message_id AND message_id <> delivery_id))
      AND message_id = :message_id AND state = 'sent'
    RETURNING delivery_id, version, attempts, child_id, alert_id, case_id, channel
""")
BOUNCED = text("""
    UPDATE deliveries SET state = 'failed', reason = :reason, version = version + 1, ask_at = NULL
    WHERE (delivery_id = :message_id OR (message_id = :message_id AND message_id <> delivery_id))
      AND message_id = :message_id AND state = 'sent'
    RETURNING delivery_id, version, attempts, child_id, alert_id, case_id, channel
""")

# Everything that is due, in one statement: a digest is one message, and a limit could cut one in two. A
# second scanner waits, then finds nothing left.
RELEASE = text("""
    WITH due AS (
        SELECT delivery_id, recipient_id, channel, position FROM deliveries
        WHERE state = 'held' AND held_until <= :now
        ORDER BY delivery_id FOR UPDATE
    ), gathered AS (
        SELECT delivery_id,
               first_value(delivery_id) OVER (each_one ORDER BY position) AS message_id,
               count(*) OVER each_one AS parts
        FROM due WINDOW each_one AS (PARTITION BY recipient_id, channel)
    )
    UPDATE deliveries SET state = 'queued', message_id = gathered.message_id,
        digest = digest OR gathered.parts > 1
    FROM gathered WHERE deliveries.delivery_id = gathered.delivery_id
    RETURNING deliveries.delivery_id
""")
HELD_TOO_LONG = "SELECT count(*) FROM deliveries WHERE state = 'held' AND held_until <= :now"

FIGURES = text("""
    SELECT channel, state, count(*) FROM deliveries GROUP BY channel, state ORDER BY channel, state
""")
OF_ALERT = text("""
    SELECT delivery_id, recipient_id, channel, template, state, held_until, attempts, reason, provider,
           reference, queued_at, sent_at, delivered_at, acknowledged_at
    FROM deliveries WHERE alert_id = :alert_id ORDER BY position
""")


@dataclass(frozen=True, slots=True)
class MessagePart:
    """One alert of a message: what may be said about it, and whether it was seen meanwhile."""

    delivery_id: UUID
    child_id: UUID
    template: str
    alert_id: UUID
    role: Role
    kind: str
    urgency: Urgency
    says: str
    next_step: str
    about: UUID
    case_id: UUID | None
    due_at: datetime | None
    raised_at: datetime
    seen: bool
    updates: tuple[Update, ...] = ()
    """Alerts to agencies only: what the cause tells the agency about its own referrals."""


@dataclass(frozen=True, slots=True)
class Message:
    """One claimed message: its recipient, its alerts, and how often it was tried."""

    message_id: UUID
    channel: Channel
    recipient_id: str
    subscription_id: UUID | None
    digest: bool
    attempts: int
    refusals: int
    parts: tuple[MessagePart, ...]
    claim: UUID | None = None
    """The holder's claim: only the claim in the row settles a message."""
    doubtful: bool = False
    """Whether an earlier attempt may have succeeded: its sender crashed, or got no answer."""


async def sent(
    connection: Connection,
    *messages: Message,
    provider: str,
    reference: str | None = None,
    ask_at: datetime | None = None,
    ask_until: datetime | None = None,
    now: datetime,
) -> None:
    """Record that the provider has accepted messages. `now` is the county's time.

    `ask_at` and `ask_until` (real time) say when the provider is asked what became of them.
    """
    parameters = {
        **_owned(messages),
        "now": now,
        "provider": provider,
        "reference": reference,
        "ask_at": ask_at,
        "ask_until": ask_until,
    }
    rows = await connection.execute(SENT, parameters)
    await _publish(
        connection,
        rows,
        lambda common, row: NotificationSent(
            **common,
            message_id=row.message_id,
            provider=provider,
            reference=reference,
            attempts=row.attempts,
            sent_at=now,
        ),
        now=now,
    )


async def try_later(
    connection: Connection,
    message: Message,
    *,
    refusals: int,
    reason: str,
    next_attempt_at: datetime,
    unknown: bool = False,
) -> None:
    """Record why a message was not sent, and when (in real time) it is tried again.

    `unknown` keeps the claim: the message may have gone, cannot be withdrawn, and is retried as doubtful.
    """
    parameters = {
        **_owned([message]),
        "refusals": refusals,
        "reason": reason,
        "next_attempt_at": next_attempt_at,
        "unknown": unknown,
    }
    await connection.execute(LATER, parameters)


async def fail(
    connection: Connection,
    message: Message,
    *,
    reason: FailReason,
    detail: str,
    provider: str,
    refusals: int,
    now: datetime,
) -> None:
    """Record that a message is given up. `detail` is a reply code or a kind of error."""
    parameters = {**_owned([message]), "refusals": refusals, "reason": detail, "provider": provider}
    rows = await connection.execute(FAILED, parameters)
    await _publish(connection, rows, _failed(reason, detail, now), now=now)


async def arrived(connection: Connection, message_id: UUID, *, now: datetime) -> int:
    """Record a receipt: the message has arrived. Return how many deliveries changed."""
    rows = await connection.execute(ARRIVED, {"message_id": message_id, "now": now})
    await _publish(
        connection, rows, lambda common, _: NotificationDelivered(**common, delivered_at=now), now=now
    )
    return len(rows)


async def bounced(
    connection: Connection, message_id: UUID, *, reason: FailReason, detail: str, now: datetime
) -> int:
    """Record a receipt: the message will not arrive. Return how many deliveries changed."""
    rows = await connection.execute(BOUNCED, {"message_id": message_id, "reason": detail})
    await _publish(connection, rows, _failed(reason, detail, now), now=now)
    return len(rows)


async def release(connection: Connection, *, now: datetime) -> int:
    """Release deliveries held until now, one message per person and channel; return how many deliveries."""
    return len(await connection.execute(RELEASE, {"now": now}))


async def figures(connection: Connection) -> dict[str, dict[str, int]]:
    """Return how many deliveries there are by channel and state."""
    counted: dict[str, dict[str, int]] = {}
    for channel, state, count in await connection.execute(FIGURES):
        counted.setdefault(channel, {})[state] = count
    return counted


async def of_alert(connection: Connection, alert_id: UUID) -> list[dict[str, Any]]:
    """Return the deliveries of an alert, in the order in which they were queued."""
    return [dict(row) for row in await connection.execute(OF_ALERT, {"alert_id": alert_id})]


def _failed(reason: FailReason, detail: str, now: datetime) -> "Callable[[dict[str, Any], Any], Event]":
    # A reply code such as `550 5.1.1` contains a space, which a code must not.
    code = detail.replace(" ", ":")
    return lambda common, row: NotificationFailed(
        **common, reason=reason, detail=code, attempts=row.attempts, failed_at=now
    )


async def _publish(
    connection: Connection,
    rows: Sequence[Any],
    make: "Callable[[dict[str, Any], Any], Event]",
    *,
    now: datetime,
) -> None:
    entries = []
    for row in rows:
        common = {
            "child_id": row.child_id,
            "delivery_id": row.delivery_id,
            "alert_id": row.alert_id,
            "case_id": row.case_id,
            "channel": Channel(row.channel),
        }
        # The event's id follows from the delivery: recording it twice would give the same id.
        context = Context(now, row.delivery_id, row.delivery_id, WorkingCalendar())
        entries.append(entry(make(common, row), row.version, context))
    await journal.append(connection, entries, now=now)


def _owned(messages: Sequence[Message]) -> dict[str, list[UUID]]:
    """Return the rows to settle: a sender that was too slow and lost its claim settles nothing."""
    return {
        "ids": [part.delivery_id for message in messages for part in message.parts],
        "claims": [message.claim for message in messages if message.claim is not None],
    }
