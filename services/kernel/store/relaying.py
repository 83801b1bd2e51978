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

# An array and not a join: with a long journal the planner may merge-join, which reads the journal from its
# first entry for every batch. Ids as text: that is how they travel, and the driver's UUID objects cost
# more than everything else about a row.
OLDEST = """
    SELECT position, event_id::text, type, subject::text, sequence, key::text, time, correlation_id::text,
           causation_id::text, data
    FROM journal
    WHERE position = ANY (ARRAY(SELECT position FROM outbox {that} ORDER BY position LIMIT $1))
    ORDER BY position
"""
PENDING = OLDEST.format(that="")

# A subquery and not a join, for the reason above. It costs each read a look into the journal per position,
# so it is left out while nothing is held up. For an orphan it finds nothing, which is not true either.
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
    """One event of the journal that is not yet on the bus; ids are text, as they travel."""

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
    """What the outbox holds that cannot go out."""

    orphans: int
    """Positions that the journal does not have, as when it was damaged. They stay where they are: they go out
    as soon as somebody has brought the journal's entries back."""
    refused: int
    """Events that the broker has refused."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the broker had acknowledged one partition, and which broker that was."""

    cluster_id: str
    end_offset: int


SESSION = {
    "application_name": "leadline-relay",
    "TimeZone": "UTC",
    # A removal need not wait for the disk: if the database crashes before it is written, the events are
    # still pending, the marks are as old as they, and the events go out twice. What a service commits is
    # on the disk before the relay can see it.
    "synchronous_commit": "off",
}


class Relaying:
    """One connection that relays. Leaving the context closes it and so gives up the lock."""

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
        """Disconnect, at once when something has gone wrong."""
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

        What `count_held_up` has found is passed by: a thousand orphans would hide all others. So are events
        of a child of whom one was refused.
        """
        statement = PENDING_PAST_HELD_UP if self._is_held_up else PENDING
        return list(map(Pending._make, await self._connection.fetch(statement, limit)))

    async def count_held_up(self) -> HeldUp:
        """Return how much of the outbox cannot go out until somebody has mended something."""
        (row,) = await self._connection.fetch(HELD_UP)
        found = HeldUp(row["orphans"], row["refused"])
        self._is_held_up = any(found)
        return found

    async def refuse(self, event: Pending, reason: str, announcement: JournalEntry, *, now: datetime) -> None:
        """Set an event aside that the broker does not take, and publish that this was done.

        It stays in the outbox, and so do later events of its child, until somebody has it sent again.
        """
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
        """Return what the broker had acknowledged, by partition."""
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
