"""The journal (every event this service has ever published) and the outbox (those not yet on the bus)."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from services.kernel.postgres.bulk import Columns
from services.kernel.postgres.connection import Connection
from services.kernel.postgres.statements import sql

OUTBOX_CHANNEL = "outbox"

COLUMNS = Columns(
    event_id="uuid",
    type="text",
    subject="uuid",
    sequence="integer",
    key="uuid",
    correlation_id="uuid",
    causation_id="uuid",
    data="json",
)
APPEND = sql(
    """
    WITH fresh AS (
        {insert} RETURNING position
    ), queued AS (
        INSERT INTO outbox (position) SELECT position FROM fresh
    )
    SELECT pg_notify('outbox', '')
    """,
    insert=COLUMNS.insert("journal", ordered=True, values={"time": ":time"}),
)

REQUEUE = text("""
    WITH added AS (
        INSERT INTO outbox (position) SELECT position FROM journal
        WHERE position >= :since
        ORDER BY position
        ON CONFLICT DO NOTHING
        RETURNING position
    )
    SELECT count(*), pg_notify('outbox', '') FROM added
""")


REFUSED = text("""
    SELECT refused_events.position, type, refused_events.key AS child_id, reason, refused_at,
           octet_length(data::text) AS bytes
    FROM refused_events LEFT JOIN journal ON journal.position = refused_events.position
    WHERE refused_events.position > :after
    ORDER BY refused_events.position LIMIT :limit
""")

SEND_AGAIN = text("""
    WITH again AS (DELETE FROM refused_events WHERE position = :position RETURNING position)
    SELECT count(*), pg_notify('outbox', '') FROM again
""")


class RefusedEvent(NamedTuple):
    """An event that the broker refused. `type` and `bytes` are None if the journal has lost it."""

    position: int
    type: str | None
    child_id: UUID
    reason: str
    refused_at: datetime
    bytes: int | None


class JournalEntry(NamedTuple):
    """One event to be published, in the order of `COLUMNS`. `data` is its JSON."""

    event_id: UUID
    type: str
    subject: UUID
    sequence: int
    key: UUID
    correlation_id: UUID
    causation_id: UUID
    data: str


async def append(connection: Connection, entries: Sequence[JournalEntry], *, now: datetime) -> None:
    """Write events into the journal, in order, mark them as not yet published and wake the relay at commit.

    Raises IntegrityError when an aggregate already has an event of the same number: another transaction has
    written in between.
    """
    if entries:
        await connection.execute(APPEND, {"time": now, **COLUMNS.rows(entries)})


async def requeue(connection: Connection, *, since: int = 0) -> int:
    """Mark every journal event from a position on as not yet published; return how many were added."""
    return int((await connection.execute(REQUEUE, {"since": since})).one()[0])


async def list_refused(connection: Connection, *, limit: int = 50, after: int = 0) -> list[RefusedEvent]:
    """Return the events that the broker refused, in the order in which they were written."""
    rows = await connection.execute(REFUSED, {"limit": limit, "after": after})
    return [RefusedEvent._make(row) for row in rows]


async def send_again(connection: Connection, position: int) -> bool:
    """Let the relay retry an event and those that wait behind it; False when it was not refused."""
    return bool((await connection.execute(SEND_AGAIN, {"position": position})).one()[0])
