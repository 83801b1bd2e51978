"""The journal (every event this service ever published) and the outbox (those not yet on the bus)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from services.kernel.connection import Connection

OUTBOX_CHANNEL = "outbox"

APPEND = text("""
    WITH fresh AS (
        INSERT INTO journal
            (event_id, type, subject, sequence, key, time, correlation_id, causation_id, data)
        SELECT event_id, type, subject, sequence, key, :time, correlation_id, causation_id, data::json
        FROM unnest(
            CAST(:event_ids AS uuid[]), CAST(:types AS text[]), CAST(:subjects AS uuid[]),
            CAST(:sequences AS integer[]), CAST(:keys AS uuid[]), CAST(:correlations AS uuid[]),
            CAST(:causes AS uuid[]), CAST(:datas AS text[])
        ) WITH ORDINALITY AS incoming
            (event_id, type, subject, sequence, key, correlation_id, causation_id, data, ordinal)
        ORDER BY ordinal
        RETURNING position
    )
    INSERT INTO outbox (position) SELECT position FROM fresh
""")

WAKE = text("SELECT pg_notify('outbox', '')")
COUNT = text("SELECT type, count(*) FROM journal GROUP BY type ORDER BY type")
PENDING = text("SELECT count(*) FROM outbox")
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


@dataclass(frozen=True, slots=True)
class Entry:
    """One event to be published. `data` is its JSON."""

    event_id: UUID
    type: str
    subject: UUID
    sequence: int
    key: UUID
    correlation_id: UUID
    causation_id: UUID
    data: str


async def append(connection: Connection, entries: Sequence[Entry], *, now: datetime) -> None:
    """Write events into the journal, in order, mark them as not yet published and wake the relay at commit.

    Raises IntegrityError when an aggregate already has an event of the same number: somebody else has
    written in between.
    """
    if not entries:
        return
    await connection.execute(
        APPEND,
        {
            "time": now,
            "event_ids": [entry.event_id for entry in entries],
            "types": [entry.type for entry in entries],
            "subjects": [entry.subject for entry in entries],
            "sequences": [entry.sequence for entry in entries],
            "keys": [entry.key for entry in entries],
            "correlations": [entry.correlation_id for entry in entries],
            "causes": [entry.causation_id for entry in entries],
            "datas": [entry.data for entry in entries],
        },
    )
    await connection.execute(WAKE)


async def count_by_type(connection: Connection) -> dict[str, int]:
    """Return how many events of each wire type were ever published."""
    return {row[0]: row[1] for row in await connection.execute(COUNT)}


async def pending(connection: Connection) -> int:
    """Return how many events are not yet on the bus."""
    return int((await connection.execute(PENDING)).scalar_one())


async def requeue(connection: Connection, *, since: int = 0) -> int:
    """Mark every journal event from a position on as not yet published; return how many were added."""
    return int((await connection.execute(REQUEUE, {"since": since})).one()[0])
