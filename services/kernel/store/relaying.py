"""The relay's statements, on its own asyncpg connection: it listens, holds the lock and reads in order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, NamedTuple, Self

import asyncpg
from sqlalchemy.engine import make_url

from services.kernel.store.journal import JournalEntry

RELAY_LOCK = 7_301_945

# An array and not a join: with a long journal the planner may choose a merge join, which reads the journal
# from its first entry for every batch. Ids as text: they are sent as text, and the driver's UUID objects cost
# more than everything else in a row.
OLDEST = """
    SELECT position, event_id::text, type, subject::text, sequence, key::text, time, correlation_id::text,
           causation_id::text, data
    FROM journal
    WHERE position = ANY (ARRAY(SELECT position FROM outbox {that} ORDER BY position LIMIT $1))
    ORDER BY position
"""
PENDING = OLDEST.format(that="")

# A subquery and not a join, for the reason above. It costs each read one journal look-up per position, so it
# is left out while nothing is held up. For an orphan the subquery is NULL, so the orphan is excluded too.
PENDING_PAST_HELD_UP = OLDEST.format(
    that="""
        WHERE (SELECT journal.key <> ALL (ARRAY(SELECT key FROM refused_events)) FROM journal
               WHERE journal.position = outbox.position)
    """
)
HELD_UP = """
    SELECT count(*) AS orphans, (SELECT count(*) FROM refused_events) AS refused FROM outbox
    WHERE (SELECT journal.position FROM journal WHERE journal.position = outbox.position) IS NULL
"""
REFUSE = """
    WITH refused AS (
        INSERT INTO refused_events (position, key, reason, refused_at) VALUES ($1, $2::text::uuid, $3, $4)
        ON CONFLICT DO NOTHING
        RETURNING position
    ), announced AS (
        INSERT INTO journal (event_id, type, subject, sequence, key, time, correlation_id, causation_id, data)
        SELECT $5, $6, $7, $8, $9, $4, $10, $11, $12::text::json FROM refused
        ON CONFLICT DO NOTHING
        RETURNING position
    )
    INSERT INTO outbox (position) SELECT position FROM announced
"""
SENT = """
    WITH gone AS (DELETE FROM outbox WHERE position = ANY($1::bigint[]))
    INSERT INTO bus_marks (topic, partition, cluster_id, end_offset)
    SELECT $2, partition, $3, end_offset
    FROM unnest($4::integer[], $5::bigint[]) AS mark (partition, end_offset)
    ON CONFLICT (topic, partition) DO UPDATE SET
        cluster_id = excluded.cluster_id, end_offset = excluded.end_offset
"""


class Pending(NamedTuple):
    """One event of the journal that is not yet on the bus; ids are text, as sent."""

    position: int
    event_id: str
    type: str
    subject: str
    sequence: int
    key: str
    time: datetime
    correlation_id: str
    causation_id: str
    data: str


class HeldUp(NamedTuple):
    """The outbox entries that cannot be published."""

    orphans: int
    """Positions missing from the journal, for example after damage. They stay in the outbox and are published
    as soon as the journal's entries have been restored."""
    refused: int
    """Events that the broker has refused."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The end offset that a broker had acknowledged for one partition, and which broker that was."""

    cluster_id: str
    end_offset: int


SESSION = {
    "application_name": "leadline-relay",
    "TimeZone": "UTC",
    # A removal need not wait for the disk: if the database crashes before it is written, the events and their
    # old marks remain, and the events are published twice. A service's commits are on disk before the relay
    # can see them.
    "synchronous_commit": "off",
}


class Relaying:
    """One connection that relays. Leaving the context closes it and so releases the lock."""

    def __init__(self, address: str, topic: str) -> None:
        url = make_url(address).set(drivername="postgresql")
        self._dsn = url.render_as_string(hide_password=False)
        self._topic = topic
        self._is_held_up = False
        self._connection: asyncpg.Connection[Any]

    async def __aenter__(self) -> Self:
        """Connect."""
        self._connection = await asyncpg.connect(self._dsn, server_settings=SESSION)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect; at once after an error."""
        if error is not None:
            self._connection.terminate()
        else:
            await self._connection.close()

    async def try_lock(self) -> bool:
        """Become this service's one relay; False while another process is."""
        return bool(await self._connection.fetchval("SELECT pg_try_advisory_lock($1)", RELAY_LOCK))

    async def listen(self, woken: Callable[[], None]) -> None:
        """Call `woken` whenever a transaction that wrote to the outbox commits."""
        await self._connection.add_listener("outbox", lambda *_: woken())

    async def pending(self, limit: int) -> list[Pending]:
        """Return the oldest events that are not yet on the bus, in order.

        Skips what `count_held_up` has found, because a thousand orphans would hide all other events. Also
        skips events of a child with a refused event.
        """
        statement = PENDING_PAST_HELD_UP if self._is_held_up else PENDING
        return list(map(Pending._make, await self._connection.fetch(statement, limit)))

    async def count_held_up(self) -> HeldUp:
        """Return how many outbox entries cannot be published without a repair."""
        (row,) = await self._connection.fetch(HELD_UP)
        found = HeldUp(row["orphans"], row["refused"])
        self._is_held_up = any(found)
        return found

    async def refuse(self, event: Pending, reason: str, announcement: JournalEntry, *, now: datetime) -> None:
        """Set aside an event that the broker refuses, and publish an announcement of this.

        It stays in the outbox, and so do later events of its child, until an operator has it sent again.
        """
        async with self._connection.transaction():
            # Unlike a removal: the announcement is new, and must be on the disk before it is published.
            await self._connection.execute("SET LOCAL synchronous_commit = on")
            await self._connection.execute(REFUSE, event.position, event.key, reason, now, *announcement)
        self._is_held_up = True

    async def count_pending(self) -> int:
        """Return how many events are not yet on the bus."""
        return int(await self._connection.fetchval("SELECT count(*) FROM outbox"))

    async def sent(self, positions: Sequence[int], marks: Mapping[int, int], *, cluster_id: str) -> None:
        """Remove events that the broker has acknowledged and remember the end of each partition."""
        await self._connection.execute(
            SENT, positions, self._topic, cluster_id, list(marks.keys()), list(marks.values())
        )

    async def marks(self) -> dict[int, Mark]:
        """Return what the broker has acknowledged, by partition."""
        rows = await self._connection.fetch(
            "SELECT partition, cluster_id, end_offset FROM bus_marks WHERE topic = $1", self._topic
        )
        return {row["partition"]: Mark(row["cluster_id"], row["end_offset"]) for row in rows}

    async def requeue_all(self) -> int:
        """Mark the whole journal as not yet published and forget the marks; return how many were added."""
        async with self._connection.transaction():
            await self._connection.execute("DELETE FROM bus_marks WHERE topic = $1", self._topic)
            status = await self._connection.execute(
                "INSERT INTO outbox (position) SELECT position FROM journal ORDER BY position"
                " ON CONFLICT DO NOTHING"
            )
        return int(status.rpartition(" ")[2])
