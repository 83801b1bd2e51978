"""The queries of an audit. Every look is a short transaction that can change nothing and ends in time."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from services.kernel.postgres.connection import Connection, Engine

CHUNK = 5000
"""Journal positions, or rows of a table, that one look takes in: a few hundredths of a second's work."""

MOST = 10_000
"""The most things that one check lists: with so many, a longer list helps nobody."""

ANSWER_SECONDS = 30.0
"""A look that takes longer is given up from our side, also when the server has stopped to listen."""

READ_ONLY = text("SET TRANSACTION READ ONLY")
LIMITS = text("""
    SELECT set_config('statement_timeout', '20s', true), set_config('lock_timeout', '2s', true),
           set_config('idle_in_transaction_session_timeout', '30s', true)
""")

EXTENT = text("SELECT coalesce(min(position), 1) - 1, coalesce(max(position), 0) FROM journal")
BEFORE_THE_LAST = text("SELECT position FROM journal ORDER BY position DESC OFFSET :count LIMIT 1")

# An array and not a join, here and below: the planner then takes the index of the other table, whatever it
# believes about the journal's length.
HISTORIES = text("""
    SELECT subject, count(*), max(sequence) FROM journal
    WHERE subject = ANY(ARRAY(
        SELECT DISTINCT subject FROM journal WHERE position > :after AND position <= :until
    ))
    GROUP BY subject
""")

WRITTEN = text("""
    SELECT event_id, causation_id, type, subject, sequence FROM journal
    WHERE position > :after AND position <= :until
""")

SENT = text("""
    SELECT position, event_id, type FROM journal
    WHERE position > :after AND position <= :until AND type = ANY(:types)
      AND position NOT IN (SELECT position FROM outbox WHERE position > :after AND position <= :until)
    ORDER BY position
""")
HAD = text("SELECT message_id FROM inbox WHERE message_id = ANY(:ids)")
SET_ASIDE = text("SELECT message_id FROM dead_letters WHERE message_id = ANY(:ids)")

QUEUED = text("""
    SELECT position, (SELECT time FROM journal WHERE journal.position = outbox.position) FROM outbox
    WHERE position > :after ORDER BY position LIMIT :limit
""")

HELD = text("""
    SELECT count(*) FILTER (WHERE state = 'parked'), count(*) FILTER (WHERE state = 'waiting'), min(parked_at)
    FROM dead_letters WHERE state IN ('parked', 'waiting')
""")
STRANDED = text("""
    SELECT dead_letter_id FROM dead_letters AS waiting
    WHERE state = 'waiting' AND NOT EXISTS (
        SELECT FROM dead_letters AS parked
        WHERE parked.state = 'parked' AND parked.key = waiting.key AND parked.arrived < waiting.arrived
    )
    ORDER BY arrived LIMIT :limit
""")

UNRAISED = text("""
    SELECT deadline_id, version FROM deadlines WHERE next_at <= :now ORDER BY next_at LIMIT :limit
""")
# What `Deadline.next_at` says of a row's own dates; the scanner looks at nothing but this column.
SILENT = text("""
    SELECT deadline_id FROM deadlines
    WHERE next_at IS DISTINCT FROM CASE state
        WHEN 'scheduled' THEN due_soon_at WHEN 'due_soon' THEN due_from WHEN 'due' THEN due_at END
    LIMIT :limit
""")

ODD_REQUESTS = text("""
    SELECT count(*) FROM requests WHERE status NOT BETWEEN 200 AND 299 OR fingerprint !~ '^[0-9a-f]{64}$'
""")


PAGE = "WHERE key > :after ORDER BY key LIMIT :limit"
NAMED = "WHERE key = ANY(:keys)"


class Extent(NamedTuple):
    """The part of a journal that is looked at: positions behind `after`, up to `until`.

    `whole` says that it is all there is, so that what the journal does not know can be found as well.
    """

    after: int
    until: int
    whole: bool

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Yield the part in pieces, each as `(after, until)`."""
        for after in range(self.after, self.until, CHUNK):
            yield after, min(after + CHUNK, self.until)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A table with one row for each aggregate of a kind. Its names are ours: they become part of statements.

    `states`: the state in which each wire type leaves an aggregate, where the last event alone says it;
    `state` is the column.
    """

    table: str
    key: str
    state: str = "status"
    states: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Copied:
    """Something of another service of which a service keeps a copy: `things`, for example `cases`.

    `original` selects `key`, `version` and `facts` in the owner's store, `copy` selects `key` and `facts` in
    the holder's. Equal facts are equal texts. Both are ours: they become part of statements.
    """

    owner: str
    things: str
    original: str
    copy: str


class Original(NamedTuple):
    """One aggregate as its owner describes it, and how many events it has had."""

    key: UUID
    version: int
    facts: str


class History(NamedTuple):
    """How many events an aggregate has in the journal, and the number of the last."""

    subject: UUID
    events: int
    last: int


class Written(NamedTuple):
    """The values from which an event's id is derived, and the id."""

    event_id: UUID
    causation_id: UUID
    type: str
    subject: UUID
    sequence: int


class SentEvent(NamedTuple):
    """An event that has left the outbox."""

    position: int
    event_id: UUID
    type: str


class Queued(NamedTuple):
    """A position of the outbox, and when its event was written; None when the journal has none there."""

    position: int
    time: datetime | None


class Held(NamedTuple):
    """How many events are set aside, how many wait behind them, and since when the oldest does."""

    parked: int
    waiting: int
    oldest: datetime | None


class AuditStanding(NamedTuple):
    """How an aggregate stands by its own row, and by the journal."""

    key: UUID
    version: int
    state: str | None
    events: int
    last_type: str | None


@asynccontextmanager
async def looking(engine: Engine) -> AsyncIterator[Connection]:
    """Give a transaction to look with: read-only, and none of its statements may take long.

    Raises TimeoutError when the store does not answer in time.
    """
    async with asyncio.timeout(ANSWER_SECONDS), engine.begin() as connection:
        await connection.execute(READ_ONLY)
        await connection.execute(LIMITS)
        yield connection


async def extent(connection: Connection, *, since: int | None, last: int | None) -> Extent:
    """Return which part of the journal to look at: from a position on, the last so many, or all of it."""
    before, until = (await connection.execute(EXTENT)).one()
    if since is not None:
        before = max(before, since - 1)
    if last is not None:
        row = (await connection.execute(BEFORE_THE_LAST, {"count": last})).one_or_none()
        before = before if row is None else row[0]
    return Extent(before, until, whole=since is None and last is None)


async def histories(connection: Connection, after: int, until: int) -> list[History]:
    """Return the whole history of every aggregate that has an event in this part of the journal."""
    rows = await connection.execute(HISTORIES, {"after": after, "until": until})
    return list(map(History._make, rows))


async def written(connection: Connection, after: int, until: int) -> list[Written]:
    """Return the events of a part of the journal."""
    rows = await connection.execute(WRITTEN, {"after": after, "until": until})
    return list(map(Written._make, rows))


async def without_row(
    connection: Connection, aggregates: Sequence[Aggregate], after: int, until: int
) -> list[UUID]:
    """Return the subjects of a part of the journal that are in none of these tables."""
    # One subquery after the other and no join: of each subject one index entry is read, mostly in the first.
    homes = ", ".join(
        f"(SELECT 1 FROM {one.table} WHERE {one.key} = told.subject)"  # noqa: S608 - the tables are ours
        for one in aggregates
    )
    statement = f"""
        SELECT subject FROM (
            SELECT DISTINCT subject FROM journal WHERE position > :after AND position <= :until
        ) AS told WHERE coalesce({homes}) IS NULL
    """  # noqa: S608 - the tables are ours
    return [row[0] for row in await connection.execute(text(statement), {"after": after, "until": until})]


async def standings(connection: Connection, aggregate: Aggregate, after: UUID) -> list[AuditStanding]:
    """Return a page of aggregates with what the journal says of each, in the order of their keys."""
    where = f"{aggregate.key} > :after ORDER BY {aggregate.key} LIMIT :limit"
    return await _standings(connection, aggregate, where, {"after": after, "limit": CHUNK})


async def standings_told(
    connection: Connection, aggregate: Aggregate, after: int, until: int
) -> list[AuditStanding]:
    """Return the aggregates of a part of the journal with what the whole journal says of each."""
    where = f"""{aggregate.key} = ANY(ARRAY(
        SELECT DISTINCT subject FROM journal WHERE position > :after AND position <= :until
    ))"""  # noqa: S608 - the columns are ours
    return await _standings(connection, aggregate, where, {"after": after, "until": until})


async def originals(connection: Connection, copied: Copied, after: UUID) -> list[Original]:
    """Return a page of what the owner has, in the order of the keys."""
    statement = f"SELECT key, version, facts FROM ({copied.original}) AS original {PAGE}"  # noqa: S608 - ours
    rows = await connection.execute(text(statement), {"after": after, "limit": CHUNK})
    return list(map(Original._make, rows))


async def originals_told(connection: Connection, copied: Copied, after: int, until: int) -> list[Original]:
    """Return what the owner has of the things that a part of its journal speaks of."""
    statement = f"""
        SELECT key, version, facts FROM ({copied.original}) AS original WHERE key = ANY(ARRAY(
            SELECT DISTINCT subject FROM journal WHERE position > :after AND position <= :until
        ))
    """  # noqa: S608 - ours
    rows = await connection.execute(text(statement), {"after": after, "until": until})
    return list(map(Original._make, rows))


async def originals_of(connection: Connection, copied: Copied, keys: Iterable[UUID]) -> list[Original]:
    """Return what the owner has of these things."""
    statement = f"SELECT key, version, facts FROM ({copied.original}) AS original {NAMED}"  # noqa: S608 - ours
    return list(map(Original._make, await connection.execute(text(statement), {"keys": list(keys)})))


async def copies_of(connection: Connection, copied: Copied, keys: Iterable[UUID]) -> dict[UUID, str]:
    """Return what the holder says of these things."""
    statement = f"SELECT key, facts FROM ({copied.copy}) AS copy {NAMED}"  # noqa: S608 - ours
    return {row[0]: row[1] for row in await connection.execute(text(statement), {"keys": list(keys)})}


async def copied_keys(connection: Connection, copied: Copied, after: UUID) -> list[UUID]:
    """Return a page of the things that the holder knows, in order."""
    statement = f"SELECT key FROM ({copied.copy}) AS copy {PAGE}"  # noqa: S608 - ours
    rows = await connection.execute(text(statement), {"after": after, "limit": CHUNK})
    return [row[0] for row in rows]


async def sent(connection: Connection, types: Iterable[str], after: int, until: int) -> list[SentEvent]:
    """Return the events of these types that are in a part of the journal and not in the outbox."""
    rows = await connection.execute(SENT, {"types": sorted(types), "after": after, "until": until})
    return list(map(SentEvent._make, rows))


async def absent(connection: Connection, ids: Iterable[UUID]) -> set[UUID]:
    """Return those of the messages that this service has neither had in effect nor set aside."""
    left = set(ids)
    for statement in (HAD, SET_ASIDE):
        if left:
            left -= {row[0] for row in await connection.execute(statement, {"ids": list(left)})}
    return left


async def queued(connection: Connection, after: int) -> list[Queued]:
    """Return a page of the outbox, in order."""
    rows = await connection.execute(QUEUED, {"after": after, "limit": CHUNK})
    return list(map(Queued._make, rows))


async def held(connection: Connection) -> Held:
    """Return what is set aside."""
    return Held._make((await connection.execute(HELD)).one())


async def stranded(connection: Connection) -> list[UUID]:
    """Return the oldest dead letters that wait although no parked one of their case is before them."""
    return [row[0] for row in await connection.execute(STRANDED, {"limit": MOST})]


async def unraised(connection: Connection, *, now: datetime) -> list[tuple[UUID, int]]:
    """Return the deadlines, with their versions, whose next state has come, the oldest first."""
    rows = await connection.execute(UNRAISED, {"now": now, "limit": MOST})
    return [(row[0], row[1]) for row in rows]


async def silent(connection: Connection) -> list[UUID]:
    """Return deadlines that the scanner would look at in the wrong moment, or never."""
    return [row[0] for row in await connection.execute(SILENT, {"limit": MOST})]


async def odd_requests(connection: Connection) -> int:
    """Return how many kept answers no command can have had."""
    return int((await connection.execute(ODD_REQUESTS)).scalar_one())


async def _standings(
    connection: Connection, aggregate: Aggregate, where: str, parameters: Mapping[str, object]
) -> list[AuditStanding]:
    # Subqueries and not a join: each aggregate's few events are found over the index of their numbers. One
    # statement, so that row and journal are of the same moment.
    state = aggregate.state if aggregate.states else "NULL"
    statement = f"""
        SELECT {aggregate.key}, version, {state},
               (SELECT count(*) FROM journal WHERE subject = {aggregate.table}.{aggregate.key}),
               (SELECT type FROM journal WHERE subject = {aggregate.table}.{aggregate.key}
                ORDER BY sequence DESC LIMIT 1)
        FROM {aggregate.table} WHERE {where}
    """  # noqa: S608 - the columns are ours
    return list(map(AuditStanding._make, await connection.execute(text(statement), parameters)))
