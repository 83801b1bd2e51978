"""What a restored store is asked and told while it rejoins."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from services.kernel.postgres.connection import Connection
from services.kernel.store.journal import JournalEntry

IN_JOURNAL = text("""
    SELECT journal.event_id, journal.subject, journal.sequence
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:sequences AS integer[])) AS asked (subject, sequence)
    JOIN journal USING (subject, sequence)
""")

LENGTHS = text("""
    SELECT subject, max(sequence) FROM journal WHERE subject = ANY(CAST(:subjects AS uuid[])) GROUP BY subject
""")

KNOWN_MESSAGES = text("""
    SELECT message_id FROM inbox WHERE message_id = ANY(CAST(:ids AS uuid[]))
""")

# Not into the outbox: these events are on the bus already.
RESTORE = text("""
    INSERT INTO journal (event_id, type, subject, sequence, key, time, correlation_id, causation_id, data)
    SELECT event_id, type, subject, sequence, key, time, correlation_id, causation_id, data::json
    FROM unnest(
        CAST(:event_id AS uuid[]), CAST(:type AS text[]), CAST(:subject AS uuid[]),
        CAST(:sequence AS integer[]), CAST(:key AS uuid[]), CAST(:correlation_id AS uuid[]),
        CAST(:causation_id AS uuid[]), CAST(:data AS text[]), CAST(:times AS timestamptz[])
    ) WITH ORDINALITY AS lost
        (event_id, type, subject, sequence, key, correlation_id, causation_id, data, time, ordinal)
    ORDER BY ordinal
""")

# The key is the id that the events carry as their cause; no answer has this fingerprint, so a caller who
# sends the same key again is refused and nothing is done twice.
TAKE_BACK_REQUESTS = text("""
    INSERT INTO requests (key, fingerprint, status, body, received_at)
    SELECT key, repeat('0', 64), 200, '{}', :now FROM unnest(CAST(:keys AS text[])) AS done (key)
    ON CONFLICT DO NOTHING
""")

LAST_WRITTEN = text("SELECT time FROM journal ORDER BY position DESC LIMIT 1")

# The program's own connections have another name.
AT_WORK = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = :application
""")


async def in_journal(
    connection: Connection, places: Sequence[tuple[UUID, int]]
) -> dict[tuple[UUID, int], UUID]:
    """Return the event ids that the journal has at these places, each a subject and a number."""
    parameters = {
        "subjects": [subject for subject, _ in places],
        "sequences": [sequence for _, sequence in places],
    }
    rows = await connection.execute(IN_JOURNAL, parameters)
    return {(row.subject, row.sequence): row.event_id for row in rows}


async def lengths(connection: Connection, subjects: Iterable[UUID]) -> dict[UUID, int]:
    """Return how many events the journal has of each of these aggregates; of the others it has none."""
    rows = await connection.execute(LENGTHS, {"subjects": list(subjects)})
    return {row[0]: row[1] for row in rows}


async def known_messages(connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Return those of the messages that this store has had in effect or set aside: its inbox has both."""
    return {row[0] for row in await connection.execute(KNOWN_MESSAGES, {"ids": list(ids)})}


async def restore(connection: Connection, entries: Sequence[tuple[JournalEntry, datetime]]) -> None:
    """Write events back into the journal as they were published, in order; the relay is not told.

    UniqueViolationError when the journal has another event of the same number.
    """
    if not entries:
        return
    columns = zip(*(entry for entry, _ in entries), strict=True)
    parameters = dict(zip(JournalEntry._fields, columns, strict=True))
    await connection.execute(RESTORE, {"times": [time for _, time in entries], **parameters})


async def take_back_requests(connection: Connection, causes: Iterable[UUID], *, now: datetime) -> None:
    """Remember that these requests were done, though their keys and answers are lost."""
    keys = sorted(map(str, causes))
    if keys:
        await connection.execute(TAKE_BACK_REQUESTS, {"keys": keys, "now": now})


async def last_written(connection: Connection) -> datetime | None:
    """Return when the journal's last event was written; None for an empty journal."""
    row = (await connection.execute(LAST_WRITTEN)).one_or_none()
    return None if row is None else row[0]


async def at_work(connection: Connection, application: str) -> int:
    """Return how many connections a program of this name has to this store."""
    return int((await connection.execute(AT_WORK, {"application": application})).scalar_one())
