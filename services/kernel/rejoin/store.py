"""The SQL for a restored store while it rejoins."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from services.kernel.postgres.bulk import Columns
from services.kernel.postgres.connection import Connection
from services.kernel.postgres.statements import sql
from services.kernel.store.journal import COLUMNS, JournalEntry

PLACE = COLUMNS.only("subject", "sequence")
IN_JOURNAL = sql(
    """
    SELECT journal.event_id, journal.subject, journal.sequence
    FROM {asked} JOIN journal USING (subject, sequence)
    """,
    asked=PLACE.unnest("asked"),
)

LENGTHS = text("""
    SELECT subject, max(sequence) FROM journal WHERE subject = ANY(:subjects) GROUP BY subject
""")

KNOWN_MESSAGES = text("""
    SELECT message_id FROM inbox WHERE message_id = ANY(:ids)
""")

# Not into the outbox: these events are on the bus already.
PUBLISHED = COLUMNS | Columns(time="timestamptz")
RESTORE = text(PUBLISHED.insert("journal", ordered=True))

# The key is the id that the events carry as their cause. No answer has this fingerprint, so a caller who
# sends the same key again is refused and nothing is done twice.
KEY = Columns(key="text")
TAKE_BACK_REQUESTS = sql(
    "{insert} ON CONFLICT DO NOTHING",
    insert=KEY.insert(
        "requests",
        values={"fingerprint": "repeat('0', 64)", "status": "200", "body": "'{}'", "received_at": ":now"},
    ),
)

LAST_WRITTEN = text("SELECT time FROM journal ORDER BY position DESC LIMIT 1")

# This program's own connections have another name.
AT_WORK = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = :application
""")


async def in_journal(
    connection: Connection, places: Sequence[tuple[UUID, int]]
) -> dict[tuple[UUID, int], UUID]:
    """Return the journal's event ids at these places, each a subject and a number."""
    rows = await connection.execute(IN_JOURNAL, PLACE.rows(places))
    return {(row.subject, row.sequence): row.event_id for row in rows}


async def lengths(connection: Connection, subjects: Iterable[UUID]) -> dict[UUID, int]:
    """Return the number of journal events of each of these aggregates; aggregates without events are left
    out."""
    rows = await connection.execute(LENGTHS, {"subjects": list(subjects)})
    return {row[0]: row[1] for row in rows}


async def known_messages(connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Return the messages that this store has processed or set aside: its inbox has both."""
    return {row[0] for row in await connection.execute(KNOWN_MESSAGES, {"ids": list(ids)})}


async def restore(connection: Connection, entries: Sequence[tuple[JournalEntry, datetime]]) -> None:
    """Write events back into the journal as they were published, in order, without notifying the relay.

    Raises UniqueViolationError when the journal has another event with the same number.
    """
    if entries:
        rows = [(*entry, time) for entry, time in entries]
        await connection.execute(RESTORE, PUBLISHED.rows(rows))


async def take_back_requests(connection: Connection, causes: Iterable[UUID], *, now: datetime) -> None:
    """Record that these requests were carried out, though their keys and answers are lost."""
    keys = sorted(map(str, causes))
    if keys:
        await connection.execute(TAKE_BACK_REQUESTS, {"key": keys, "now": now})


async def last_written(connection: Connection) -> datetime | None:
    """Return when the journal's last event was written; None for an empty journal."""
    row = (await connection.execute(LAST_WRITTEN)).one_or_none()
    return None if row is None else row[0]


async def at_work(connection: Connection, application: str) -> int:
    """Return the number of connections that a program of this name has to this store."""
    return int((await connection.execute(AT_WORK, {"application": application})).scalar_one())
