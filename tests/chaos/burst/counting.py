"""How often and how late each deadline was raised: by the store, and by the bus."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg

from tests.bench.percentiles import percentile
from tests.chaos.topic import records_on

ROWS = """
    SELECT d.deadline_id, d.due_from, d.state = 'due' AND d.version = 2 AS due,
        count(j.*) AS events, min(j.time) AS raised_at, bool_and(j.type = 'deadline.due.v1') AS right_type
    FROM deadlines AS d LEFT JOIN journal AS j ON j.subject = d.deadline_id AND j.sequence > 1
    GROUP BY d.deadline_id
"""


@dataclass(frozen=True)
class Counted:
    """What came of a burst. Times are in seconds after the moment at which each deadline was due."""

    deadlines: int
    missing: int
    """Not raised, or raised as something else, or not on the bus."""
    doubled: int
    """Raised more than once. The same event may be on the bus twice: inboxes drop it."""
    early: int
    p50: float
    p99: float
    worst: float
    bus_p99: float
    bus_worst: float


async def counted(
    connection: "asyncpg.Connection[Any]", bootstrap: str, topic: str, partitions: int
) -> Counted:
    """Count what the store at rest and the topic hold."""
    rows = await connection.fetch(ROWS)
    sent = await _first_sent(bootstrap, topic, partitions)
    late = [(row["raised_at"] - row["due_from"]).total_seconds() for row in rows if row["events"]]
    bus = [
        (sent[row["deadline_id"]] - row["due_from"]).total_seconds()
        for row in rows
        if row["deadline_id"] in sent
    ]
    if not late or not bus:
        return Counted(len(rows), len(rows), 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return Counted(
        deadlines=len(rows),
        missing=sum(not (row["right_type"] and row["due"] and row["deadline_id"] in sent) for row in rows),
        doubled=sum(row["events"] > 1 for row in rows),
        early=sum(seconds < 0 for seconds in late),
        p50=percentile(late, 0.5),
        p99=percentile(late, 0.99),
        worst=max(late),
        bus_p99=percentile(bus, 0.99),
        bus_worst=max(bus),
    )


async def _first_sent(bootstrap: str, topic: str, partitions: int) -> dict[UUID, datetime]:
    """Return when the first event about each deadline was sent to the bus."""
    sent: dict[UUID, datetime] = {}
    async for record in records_on(bootstrap, topic, partitions):
        subject = UUID(dict(record.headers)["ce_subject"].decode())
        sent.setdefault(subject, datetime.fromtimestamp(record.timestamp / 1000, UTC))
    return sent
