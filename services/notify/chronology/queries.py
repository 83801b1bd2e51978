"""SQL that reads the chronology: a child's events, an alert's cause, a deadline's history."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.kernel.postgres.connection import Connection
from services.kernel.postgres.statements import sql
from services.kernel.store.cursors import Key, ListPart
from services.kernel.store.keyset import Column, Listing

# What happens at one moment stands in the order in which one thing leads to another: services hear of each
# other in this order, a fact comes before its deadline, a thing's events by their numbers.
# None of these columns ever changes.
ORDER = (
    Column("occurred_at", "moment"),
    Column(
        "coalesce(array_position(ARRAY['/leadline/referral', '/leadline/assessment', '/leadline/placement',"
        " '/leadline/notify'], source), 0)",
        "integer",
    ),
    Column("(type LIKE 'deadline.%')", "boolean"),
    Column("sequence", "integer"),
    Column("type", "text"),
    Column("message_id", "uuid"),
)
COLUMNS = "message_id, case_id, source, type, occurred_at, subject, sequence, data"

FILTER = """
    FROM chronology WHERE child_id = :child_id
      AND (CAST(:prefixes AS text[]) IS NULL OR type LIKE ANY(:prefixes))
      AND (CAST(:since AS timestamptz) IS NULL OR occurred_at >= :since)
      AND (CAST(:until AS timestamptz) IS NULL OR occurred_at < :until)
"""
LIST = Listing("chronology", COLUMNS, FILTER, *ORDER)
# Not the view: whatever leads to an alert was heard on the bus, and the journal has no index of ids.
CAUSE = sql("SELECT {columns} FROM heard_events WHERE message_id = :message_id", columns=COLUMNS)
HISTORY = sql(
    """
    SELECT {columns} FROM chronology WHERE child_id = :child_id AND subject = :subject
    ORDER BY {order} LIMIT 100
    """,
    columns=COLUMNS,
    order=", ".join(column.expression for column in ORDER),
)

# By relationship: somebody of theirs was told of the child (as a referrer does not count), or they lead the
# case, manage its team, or have a role of their own for the child.
IS_AROUND = text("""
    SELECT EXISTS (SELECT 1 FROM alerts WHERE child_id = :child_id AND role <> 'referrer'
                   AND recipient_id = ANY(:recipients))
        OR EXISTS (SELECT 1 FROM cases WHERE child_id = :child_id
                   AND (lead_professional_id = :person_id OR team = ANY(:teams)))
        OR EXISTS (SELECT 1 FROM key_workers WHERE child_id = :child_id AND worker_id = :person_id)
        OR EXISTS (SELECT 1 FROM reviewing_officers WHERE child_id = :child_id AND worker_id = :person_id)
""")


@dataclass(frozen=True, slots=True)
class ChronologyEntry:
    """One event of the bus as it travelled: ids, codes, dates and levels."""

    message_id: UUID
    case_id: UUID | None
    source: str
    type: str
    occurred_at: datetime
    subject: UUID
    sequence: int
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChronologyFilter:
    """The events of a child to show; a filter that is None matches all."""

    child_id: UUID
    prefixes: tuple[str, ...] | None = None
    """How the wire types begin."""
    since: datetime | None = None
    until: datetime | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the statement's parameters."""
        wanted = None if self.prefixes is None else [f"{_plain(prefix)}%" for prefix in self.prefixes]
        return {"child_id": self.child_id, "prefixes": wanted, "since": self.since, "until": self.until}


async def list_entries(
    connection: Connection,
    chosen: ChronologyFilter,
    *,
    limit: int,
    after: Key | None = None,
    before: Key | None = None,
) -> ListPart[ChronologyEntry]:
    """Return one page of a child's events in the order in which they happened, numbered.

    Following the pages shows every event once that was there at the first. An earlier one that is heard of
    meanwhile is on the pages that are already read.
    """
    part = await LIST.part(
        connection, chosen.parameters(), limit=limit, after=after, before=before, numbered=True
    )
    return part.map(_entry)


async def find_cause(connection: Connection, message_id: UUID) -> ChronologyEntry | None:
    """Return the event with a message id; None when the chronology lacks it."""
    row = (await connection.execute(CAUSE, {"message_id": message_id})).one_or_none()
    return None if row is None else _entry(row)


async def history_of(connection: Connection, *, child_id: UUID, subject: UUID) -> list[ChronologyEntry]:
    """Return every event of one deadline, or of anything else that events are about."""
    rows = await connection.execute(HISTORY, {"child_id": child_id, "subject": subject})
    return [_entry(row) for row in rows]


async def is_around(
    connection: Connection, child_id: UUID, *, person_id: str, recipients: Sequence[str], teams: Sequence[str]
) -> bool:
    """Return whether somebody is around a child. `recipients`: the inboxes that they answer for."""
    parameters = {
        "child_id": child_id,
        "person_id": person_id,
        "recipients": list(recipients),
        "teams": list(teams),
    }
    return bool((await connection.execute(IS_AROUND, parameters)).scalar_one())


def _plain(prefix: str) -> str:
    """Return a prefix for LIKE in which `_` stands for itself."""
    return prefix.replace("_", r"\_")


def _entry(row: Any) -> ChronologyEntry:
    return ChronologyEntry(
        row.message_id,
        row.case_id,
        row.source,
        row.type,
        row.occurred_at,
        row.subject,
        row.sequence,
        json.loads(row.data),
    )
