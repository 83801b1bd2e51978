"""SQL for a service's progress: one statement, because it runs often."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from services.kernel.postgres.connection import Connection

STANDING = text("""
    SELECT (SELECT count(*) FROM outbox) AS pending,
           (SELECT count(*) FROM deadlines WHERE next_at <= :now) AS deadlines_due,
           (SELECT count(*) FROM dead_letters WHERE state = 'parked') AS parked,
           (SELECT count(*) FROM dead_letters WHERE state = 'waiting') AS waiting,
           (SELECT CAST(coalesce(json_object_agg(type, number ORDER BY type), '{}') AS text)
            FROM (SELECT type, count(*) AS number FROM journal GROUP BY type) AS published) AS events
""")

ANSWER = text("SELECT 1")


@dataclass(frozen=True, slots=True)
class StoreStanding:
    """A service's progress, according to its store."""

    pending: int
    """Events not yet on the bus."""
    deadlines_due: int
    parked: int
    waiting: int
    """Events that wait behind a parked one."""
    events: Mapping[str, int]
    """All events it has ever published, by wire type."""


async def standing(connection: Connection, *, now: datetime) -> StoreStanding:
    """Return the service's progress at a moment of its clock."""
    row = (await connection.execute(STANDING, {"now": now})).one()
    return StoreStanding(row.pending, row.deadlines_due, row.parked, row.waiting, json.loads(row.events))


async def answer(connection: Connection) -> None:
    """Run an empty query, to check that the store answers."""
    await connection.execute(ANSWER)
