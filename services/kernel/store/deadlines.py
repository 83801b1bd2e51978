"""The deadlines table: a projection of this service's own deadline events, kept in the same transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.kernel.deadlines.policy import Deadline
from services.kernel.deadlines.rules import DeadlineDates as Dates
from services.kernel.postgres.bulk import Columns
from services.kernel.postgres.connection import Connection
from services.kernel.postgres.statements import sql
from services.kernel.store.cursors import Key, ListPart
from services.kernel.store.keyset import Column, Listing

OWN = Columns(
    deadline_id="uuid",
    version="integer",
    state="text",
    about="uuid",
    child_id="uuid",
    case_id="uuid",
    kind="text",
    rule="text",
    trigger_at="timestamptz",
)
DATES = Columns(due_soon_at="timestamptz", due_from="timestamptz", due_at="timestamptz")
NEXT = Columns(next_at="timestamptz")
COLUMNS = OWN | DATES
MOVING = OWN | NEXT

LOAD = sql(
    "SELECT {columns} FROM deadlines WHERE deadline_id = ANY(:ids) ORDER BY deadline_id FOR UPDATE",
    columns=COLUMNS,
)

CLAIM_DUE = sql(
    """
    SELECT {columns} FROM deadlines WHERE next_at <= :now
    ORDER BY next_at LIMIT :limit FOR UPDATE SKIP LOCKED
    """,
    columns=COLUMNS,
)

SAVE = text((COLUMNS | NEXT).upsert("deadlines", keep=("about", "child_id", "kind")))

RAISED = OWN.only("deadline_id", "version", "state") | NEXT
SAVE_RAISED = text(RAISED.update("deadlines"))

COUNT_DUE = text("SELECT count(*) FROM deadlines WHERE next_at <= :now")

OPEN = Listing(
    "open deadlines",
    "about, kind, state, due_at",
    """
    FROM deadlines
    WHERE state NOT IN ('met', 'waived')
      AND (CAST(:state AS text) IS NULL OR state = :state)
      AND (CAST(:kind AS text) IS NULL OR kind = :kind)
    """,
    Column("due_at", "moment"),
    Column("deadline_id", "uuid"),
)

LIST_ABOUT = text("""
    SELECT about, kind, state, due_at FROM deadlines WHERE about = ANY(:abouts)
    ORDER BY due_at, deadline_id
""")


@dataclass(frozen=True, slots=True)
class OpenDeadline:
    """One line of the list of open deadlines."""

    about: UUID
    kind: str
    state: str
    due_at: datetime


async def load(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Deadline]:
    """Return deadlines by id, locked; an unknown one is an absent Deadline."""
    wanted = set(ids)
    found = {wanted_id: Deadline(wanted_id) for wanted_id in wanted}
    if wanted:
        for row in await connection.execute(LOAD, {"ids": sorted(wanted)}):
            found[row.deadline_id] = _deadline(row)
    return found


async def claim_due(connection: Connection, *, now: datetime, limit: int) -> list[Deadline]:
    """Lock and return deadlines that have become due; rows locked by another scanner are skipped."""
    return list(map(_deadline, await connection.execute(CLAIM_DUE, {"now": now, "limit": limit})))


async def count_due(connection: Connection, *, now: datetime) -> int:
    """Return the number of deadlines that wait for the scanner."""
    return int((await connection.execute(COUNT_DUE, {"now": now})).scalar_one())


async def save(connection: Connection, deadlines: Sequence[Deadline]) -> None:
    """Write deadlines in one statement, new ones and changed ones alike."""
    if not deadlines:
        return
    dates = DATES.of([_dates(deadline) for deadline in deadlines])
    await connection.execute(SAVE, MOVING.of(deadlines) | dates)


async def save_raised(connection: Connection, deadlines: Sequence[Deadline]) -> None:
    """Write the progress of claimed deadlines. Columns that time alone never changes are not written."""
    if deadlines:
        await connection.execute(SAVE_RAISED, RAISED.of(deadlines))


async def list_open(
    connection: Connection,
    *,
    state: str | None = None,
    kind: str | None = None,
    limit: int = 50,
    after: Key | None = None,
) -> ListPart[OpenDeadline]:
    """Return one page of open deadlines, the earliest first.

    Paging through shows each deadline once if it stays open and keeps its day; one that is moved meanwhile
    may be shown twice or not at all.
    """
    part = await OPEN.part(connection, {"state": state, "kind": kind}, limit=limit, after=after)
    return part.map(lambda row: OpenDeadline(row.about, row.kind, row.state, row.due_at))


async def list_about(connection: Connection, *abouts: UUID) -> list[OpenDeadline]:
    """Return every deadline of the given aggregates, met ones included, the earliest first."""
    rows = await connection.execute(LIST_ABOUT, {"abouts": list(abouts)})
    return [OpenDeadline(row.about, row.kind, row.state, row.due_at) for row in rows]


def _dates(deadline: Deadline) -> Dates:
    if deadline.dates is None:
        message = "an absent deadline cannot be saved"
        raise ValueError(message)
    return deadline.dates


def _deadline(row: Sequence[Any]) -> Deadline:
    # In the order of COLUMNS: access by name costs a look-up in each row.
    identity, version, state, about, child_id, case_id, kind, rule, trigger_at, *moments = row
    return Deadline(
        identity, version, state, about, child_id, case_id, kind, rule, trigger_at, Dates(*moments)
    )
