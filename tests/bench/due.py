"""Deadlines in number: the scan of many open ones of which few are due, and a burst of many due at once."""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any

import asyncpg

from schemas.topics import REFERRAL
from services.kernel.postgres.database import create_engine
from services.kernel.store import deadlines
from tests.bench.backlog import START
from tests.bench.say import table
from tests.bench.stage import BenchFailed, Stage
from tests.bench.variants import LEADLINE

PARTITIONS = 4
SCANS = 7

DEADLINES = """
    INSERT INTO deadlines (deadline_id, version, state, about, child_id, case_id, kind, rule,
        trigger_at, due_soon_at, due_from, due_at, next_at)
    SELECT md5('deadline' || n)::uuid, 1, 'scheduled', md5('case' || n)::uuid, md5('child' || n)::uuid,
        md5('case' || n)::uuid, 'assessment', '45:working_days:same_day',
        soon, soon, soon + interval '1 day', soon + interval '2 days', soon
    FROM (SELECT $3::timestamptz AS soon) AS moment, generate_series($1::int, $2::int) AS n
"""
SCHEDULED = """
    INSERT INTO journal (event_id, type, subject, sequence, key, time, correlation_id, causation_id, data)
    SELECT md5('event' || about)::uuid, 'deadline.scheduled.v1', deadline_id, 1, child_id, trigger_at,
        about, about, '{}'
    FROM deadlines ORDER BY next_at
"""
"""A deadline's first event is in the journal: what the scanner raises is its second."""

STILL_DUE = "SELECT 1 FROM deadlines WHERE next_at <= $1 ORDER BY next_at LIMIT 1"
"""Costs the same however many are due: a count, twenty times a second, would take half a core."""

RAISED = """
    SELECT (SELECT count(*) FROM deadlines),
        (SELECT count(*) FROM journal AS j JOIN deadlines AS d ON d.deadline_id = j.subject
         WHERE j.sequence = 2 AND d.version = 2 AND d.state = 'due_soon' AND j.type = 'deadline.due_soon.v1')
"""


@dataclass(frozen=True)
class Due:
    """The scan of many open deadlines of which few are due, and a burst of many that are due at once."""

    open_deadlines: int
    scan_ms: float
    burst: int
    burst_per_s: float


async def measure_due(stage: Stage, open_deadlines: int, due: int, burst: int) -> Due:
    """Scan many open deadlines of which `due` are due; let a worker raise `burst` that are due at once."""
    async with stage.store() as store, stage.connection(f"{store}_assessment") as connection:
        past, future = START - timedelta(hours=1), START + timedelta(days=30)
        await connection.execute(DEADLINES, 1, due, past)
        await connection.execute(DEADLINES, due + 1, open_deadlines, future)
        await connection.execute("VACUUM ANALYZE deadlines")
        scan_ms = median([await _scan(stage, store, due) for _ in range(SCANS)])
    async with stage.store() as store, stage.connection(f"{store}_assessment") as connection:
        await connection.execute(DEADLINES, 1, burst, past)
        await connection.execute(SCHEDULED)
        await connection.execute("VACUUM ANALYZE deadlines")
        burst_per_s = burst / await _burst(stage, store, connection)
    return Due(open_deadlines, scan_ms, burst, burst_per_s)


async def _scan(stage: Stage, store: str, due: int) -> float:
    """Return the milliseconds in which the scanner's own statement claims what is due."""
    engine = create_engine(stage.settings(store), "assessment")
    try:
        async with engine.begin() as connection:
            await deadlines.count_due(connection, now=START)  # connected, types known
            begun = time.monotonic()
            claimed = await deadlines.claim_due(connection, now=START, limit=due)
            spent = time.monotonic() - begun
    finally:
        await engine.dispose()
    if len(claimed) != due:
        raise BenchFailed(f"the scan found {len(claimed)} deadlines, {due} are due")
    return spent * 1000


async def _burst(stage: Stage, store: str, connection: "asyncpg.Connection[Any]") -> float:
    """Return the seconds in which a worker, held at the door until it is ready, raises all that is due."""
    await stage.topics(PARTITIONS)
    door = connection.transaction()
    await door.start()
    await connection.execute("LOCK TABLE deadlines IN ACCESS EXCLUSIVE MODE")
    async with stage.processes(LEADLINE.name, LEADLINE.argv, stage.env(store)) as (worker,):
        await stage.joined(LEADLINE.group, 1, PARTITIONS, REFERRAL.name)
        begun = time.monotonic()
        await door.rollback()
        while await connection.fetchval(STILL_DUE, START):
            if worker.exit_code() is not None:
                raise BenchFailed(f"the worker ended: {worker.last_words()}")
            await asyncio.sleep(0.05)
        spent = time.monotonic() - begun
    due, events = await connection.fetchrow(RAISED) or (0, 0)
    if due != events:
        raise BenchFailed(f"{due} deadlines were due, {events} events were raised")
    return spent


def show(due: Due) -> None:
    """Print the scan and the burst."""
    table(
        "deadlines",
        ["what", "measured"],
        [
            [f"scan of {due.open_deadlines:,} open deadlines", f"{due.scan_ms:.1f} ms"],
            [f"burst of {due.burst:,} due at once", f"{due.burst_per_s:,.0f} a second"],
        ],
    )


def figures(due: Due) -> dict[str, Any]:
    """Return the deadlines' part of the report."""
    return {
        "open_deadlines": due.open_deadlines,
        "due_scan_ms": round(due.scan_ms, 1),
        "due_burst": due.burst,
        "due_burst_per_s": round(due.burst_per_s),
    }
