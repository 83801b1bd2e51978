"""Dead letters: events set aside with the reason, and later events of the same case that wait behind them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import text

from services.kernel.messages.faults import Reason
from services.kernel.messages.record import Record
from services.kernel.postgres.bulk import Columns
from services.kernel.postgres.connection import Connection, Row
from services.kernel.postgres.statements import sql

LETTER = Columns(
    dead_letter_id="uuid",
    state="text",
    message_id="uuid",
    type="text",
    reason="text",
    words="text",
    traceback="text",
    handled_before="bigint",
)
RECORD = Columns(
    topic="text", partition="integer", offset="bigint", key="bytea", value="bytea", headers="json"
)
PARK = sql(
    "{insert} ON CONFLICT DO NOTHING RETURNING dead_letter_id",
    insert=(LETTER | RECORD).insert(
        "dead_letters", ordered=True, values={"attempts": "1", "parked_at": ":now"}
    ),
)

# By digests of keys, as in the index: an index entry cannot hold keys of unlimited length. The rows are
# locked, so that the last letter of a case is not settled between this read and the commit of an event that
# waits behind it; that event would wait for nothing. The lock waits for a settlement in progress.
BLOCKED = text("""
    SELECT key FROM dead_letters
    WHERE state IN ('parked', 'waiting')
      AND sha256(key) = ANY(ARRAY(SELECT sha256(one) FROM unnest(CAST(:keys AS bytea[])) AS one))
    ORDER BY arrived FOR SHARE
""")

FIELDS = """
    dead_letter_id, state, topic, partition, "offset", message_id, type, key, value, headers::text AS headers,
    reason, words, traceback, attempts, parked_at, arrived
"""

LIST = sql(
    """
    SELECT {fields} FROM dead_letters
    WHERE (CAST(:states AS text[]) IS NULL OR state = ANY(:states)) AND arrived > :after
    ORDER BY arrived LIMIT :limit
    """,
    fields=FIELDS,
)

# A waiting letter is the head of its case when no open one precedes it: what it waited for is settled.
HEADS = sql(
    """
    SELECT {fields} FROM dead_letters AS letter
    WHERE arrived > :after AND (state = 'parked' OR (state = 'waiting' AND NOT EXISTS (
        SELECT FROM dead_letters AS earlier
        WHERE earlier.state IN ('parked', 'waiting') AND sha256(earlier.key) = sha256(letter.key)
          AND earlier.arrived < letter.arrived
    )))
    ORDER BY arrived LIMIT :limit
    """,
    fields=FIELDS,
)

GET = sql("SELECT {fields} FROM dead_letters WHERE dead_letter_id = :id FOR UPDATE", fields=FIELDS)

BEHIND = sql(
    """
    SELECT {fields} FROM dead_letters
    WHERE state = 'waiting' AND sha256(key) = sha256(:key)
      AND arrived < coalesce(
          (SELECT min(arrived) FROM dead_letters WHERE state = 'parked' AND sha256(key) = sha256(:key)),
          9223372036854775807)
    ORDER BY arrived FOR UPDATE
    """,
    fields=FIELDS,
)

SETTLE = text("""
    UPDATE dead_letters SET state = :state, settled_at = :now, settled_by = :by WHERE dead_letter_id = :id
""")

FAILED_AGAIN = text("""
    UPDATE dead_letters SET state = 'parked', attempts = attempts + 1, reason = :reason, words = :words,
        traceback = :traceback
    WHERE dead_letter_id = :id
""")

# A letter whose replay failed for another reason no longer counts.
FAILED_SINCE = text("""
    SELECT topic, key, words, handled_before FROM dead_letters
    WHERE state = 'parked' AND reason = 'failed' AND handled_before IS NOT NULL AND parked_at > :since
    ORDER BY arrived DESC LIMIT :limit
""")

COUNT = text("""
    SELECT state, reason, count(*) FROM dead_letters GROUP BY state, reason ORDER BY state, reason
""")

State = Literal["parked", "waiting", "replayed", "discarded"]


@dataclass(frozen=True, slots=True)
class Letter:
    """One record set aside. `words` never quote a value of the message."""

    dead_letter_id: UUID
    state: State
    record: Record
    message_id: UUID
    type: str | None
    reason: Reason | Literal["waiting"]
    words: str
    traceback: str | None = None
    attempts: int = 1
    parked_at: datetime | None = None
    handled_before: int | None = None
    """See `parking.Failure`; None where the limit on parking does not count it. Not read back."""
    arrived: int = 0
    """Its place in the order of arrival at this service; 0 until it is set aside."""


async def park(connection: Connection, letters: Sequence[Letter], *, now: datetime) -> set[UUID]:
    """Set records aside; return the ids of the new ones."""
    if not letters:
        return set()
    records = [letter.record for letter in letters]
    arrays = LETTER.of(letters) | RECORD.of(records, headers=_headers_to_json)
    rows = await connection.execute(PARK, {"now": now, **arrays})
    return {row[0] for row in rows}


async def blocked(connection: Connection, keys: Iterable[bytes]) -> set[bytes]:
    """Return the keys that have an event set aside, so that later events must wait.

    Those events cannot be settled until this transaction ends.
    """
    wanted = list(set(keys))
    if not wanted:
        return set()
    return {row[0] for row in await connection.execute(BLOCKED, {"keys": wanted})}


async def list_letters(
    connection: Connection, *, states: Sequence[State] | None = None, limit: int = 50, after: int = 0
) -> list[Letter]:
    """Return dead letters in order of arrival; all states when none is given.

    Continue after the last one's `arrived`: no letter is skipped, even if others are settled meanwhile.
    """
    rows = await connection.execute(
        LIST, {"states": list(states) if states else None, "limit": limit, "after": after}
    )
    return [_letter(row) for row in rows]


async def list_heads(connection: Connection, *, limit: int = 50, after: int = 0) -> list[Letter]:
    """Return replayable letters in order of arrival: parked ones, and waiting ones with none before them.

    Of a case's waiting events at most the first is returned: the others follow it. Continue after the last
    one's `arrived`.
    """
    return [_letter(row) for row in await connection.execute(HEADS, {"limit": limit, "after": after})]


async def get(connection: Connection, dead_letter_id: UUID) -> Letter | None:
    """Return one dead letter, locked, or None."""
    row = (await connection.execute(GET, {"id": dead_letter_id})).one_or_none()
    return None if row is None else _letter(row)


async def waiting_behind(connection: Connection, key: bytes) -> list[Letter]:
    """Return the waiting events of a case that no parked event holds up, locked, in order."""
    return [_letter(row) for row in await connection.execute(BEHIND, {"key": key})]


async def settle(
    connection: Connection,
    dead_letter_id: UUID,
    *,
    state: Literal["replayed", "discarded"],
    by: str,
    now: datetime,
) -> None:
    """Close a dead letter."""
    await connection.execute(SETTLE, {"id": dead_letter_id, "state": state, "by": by, "now": now})


async def failed_again(
    connection: Connection, dead_letter_id: UUID, *, reason: str, words: str, traceback: str | None
) -> None:
    """Record that a replay failed: the letter stays parked, with the new reason."""
    await connection.execute(
        FAILED_AGAIN, {"id": dead_letter_id, "reason": reason, "words": words, "traceback": traceback}
    )


async def failed_since(
    connection: Connection, since: datetime, *, limit: int
) -> list[tuple[str, bytes | None, str, int]]:
    """Return the unsettled failures that the limit on parking counts, the latest first.

    Each has its topic, key, kind of error, and the number of events handled before it.
    """
    rows = await connection.execute(FAILED_SINCE, {"since": since, "limit": limit})
    return [(row.topic, row.key, row.words, row.handled_before) for row in rows]


async def count(connection: Connection) -> dict[tuple[str, str], int]:
    """Return the number of dead letters by state and reason."""
    return {(row[0], row[1]): row[2] for row in await connection.execute(COUNT)}


def _headers_to_json(record: Record) -> str:
    return json.dumps(
        [[name, None if value is None else value.decode("latin-1")] for name, value in record.headers]
    )


def _letter(row: Row) -> Letter:
    headers = tuple(
        (name, None if value is None else value.encode("latin-1")) for name, value in json.loads(row.headers)
    )
    return Letter(
        dead_letter_id=row.dead_letter_id,
        state=row.state,
        record=Record(row.topic, row.partition, row.offset, row.key, row.value, headers),
        message_id=row.message_id,
        type=row.type,
        reason=row.reason,
        words=row.words,
        traceback=row.traceback,
        attempts=row.attempts,
        parked_at=row.parked_at,
        arrived=row.arrived,
    )
