"""SQL that only the command line uses."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.kernel.postgres.connection import Connection

JOURNAL = text("""
    SELECT position, event_id, type, subject, sequence, key, time, correlation_id, causation_id, data
    FROM journal
    WHERE (CAST(:subject AS uuid) IS NULL OR subject = :subject)
      AND (CAST(:child AS uuid) IS NULL OR key = :child)
      AND (CAST(:type AS text) IS NULL OR type = :type)
      AND position > :after
    ORDER BY position LIMIT :limit
""")

EXTENT = text("SELECT count(*), coalesce(max(position), 0) FROM journal WHERE position >= :since")

OUTBOX_UP_TO = text("SELECT count(*) FROM outbox WHERE position <= :position")

OUTBOX_OLDEST = text("SELECT count(*), min(time) FROM outbox JOIN journal USING (position)")

WAITING = text("SELECT count(*) FROM dead_letters WHERE state = 'waiting' AND sha256(key) = sha256(:key)")


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One event of a service's journal."""

    position: int
    event_id: UUID
    type: str
    subject: UUID
    sequence: int
    child_id: UUID
    time: datetime
    correlation_id: UUID
    causation_id: UUID
    data: dict[str, Any]


async def list_journal(
    connection: Connection,
    *,
    subject: UUID | None = None,
    child: UUID | None = None,
    wire_type: str | None = None,
    limit: int = 50,
    after: int = 0,
) -> list[JournalLine]:
    """Return events after a position, in the order in which they were written."""
    rows = await connection.execute(
        JOURNAL,
        {"subject": subject, "child": child, "type": wire_type, "limit": limit, "after": after},
    )
    return [JournalLine(*row) for row in rows]


async def extent(connection: Connection, *, since: int) -> tuple[int, int]:
    """Return how many events the journal has from a position on, and the position of the last one."""
    count, last = (await connection.execute(EXTENT, {"since": since})).one()
    return count, last


async def pending_up_to(connection: Connection, position: int) -> int:
    """Return how many events up to a position are not yet on the bus."""
    return int((await connection.execute(OUTBOX_UP_TO, {"position": position})).scalar_one())


async def outbox(connection: Connection) -> tuple[int, datetime | None]:
    """Return how many events are not yet on the bus, and when the oldest of them happened."""
    count, oldest = (await connection.execute(OUTBOX_OLDEST)).one()
    return count, oldest


async def waiting(connection: Connection, key: bytes | None) -> int:
    """Return how many events wait behind a parked one of the same key."""
    return int((await connection.execute(WAITING, {"key": key})).scalar_one())
