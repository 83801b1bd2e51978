"""What stays as fast when the store grows: throughput, memory, start, and the scan of the deadlines."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any

import asyncpg

from schemas.topics import REFERRAL
from services.kernel.database import create_engine
from services.kernel.store import deadlines
from tests.bench.backlog import START, backlog, message
from tests.bench.cpu import resident_mb
from tests.bench.run import EVENTS_OF_A_CASE
from tests.bench.say import say, table
from tests.bench.stage import BenchFailed, Stage
from tests.bench.variants import LEADLINE

PARTITIONS = 4
STEPS = 10
FILL_CHUNK = 20_000
SAMPLE_SECONDS = 0.25
PATIENCE_SECONDS = 3600.0
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
class Grown:
    """One worker on a backlog, and how it did in each tenth of it."""

    events: int
    first_commit_seconds: float
    """From the start of the process to its first commit: also the start-up after an outage."""
    speeds: Sequence[float]
    """Events per second in each tenth."""
    memory_mb: Sequence[float]
    """Resident memory of the worker at the end of each tenth."""


@dataclass(frozen=True)
class Due:
    """The scan of many open deadlines of which few are due, and a burst of many that are due at once."""

    open_deadlines: int
    scan_ms: float
    burst: int
    burst_per_s: float


async def measure_growth(stage: Stage, events: int, localities: Sequence[str]) -> Grown:
    """Start one worker on a backlog that grows its store from nothing to `events` open cases."""
    await stage.topics(PARTITIONS)
    referrals = backlog(events, localities)
    await stage.fill(REFERRAL.name, (message(referral) for referral in referrals))
    distinct = len({referral.event_id for referral in backlog(events, localities)})
    published = EVENTS_OF_A_CASE * len({referral.child_id for referral in backlog(events, localities)})
    memory: list[tuple[float, float]] = []
    async with stage.store() as store, stage.connection(f"{store}_assessment") as connection:
        epoch = stage.epoch
        begun = time.monotonic()
        at = stage.now() - epoch
        async with stage.processes(LEADLINE.name, LEADLINE.argv, stage.env(store)) as (worker,):
            # The sequence costs nothing to ask, however long the journal; it is ahead of the last commit.
            while await connection.fetchval("SELECT last_value FROM journal_position_seq") < published or (
                await connection.fetchval("SELECT count(*) FROM inbox") < distinct
            ):
                if worker.exit_code() is not None or time.monotonic() - begun > PATIENCE_SECONDS:
                    raise BenchFailed(f"the worker did not finish: {worker.last_words()}")
                memory.append(((stage.now() - epoch).total_seconds(), resident_mb(worker.pid)))
                await asyncio.sleep(SAMPLE_SECONDS * (1 + len(memory) // 100))
            memory.append(((stage.now() - epoch).total_seconds(), resident_mb(worker.pid)))
        batches = [
            ((moment - START).total_seconds(), count)
            for moment, count in await connection.fetch(
                "SELECT received_at, count(*) FROM inbox GROUP BY received_at ORDER BY received_at"
            )
        ]
    speeds, ends = _tenths(batches, distinct)
    return Grown(
        events=events,
        first_commit_seconds=batches[1][0] - at.total_seconds(),
        speeds=speeds,
        memory_mb=[_at(memory, end) for end in ends],
    )


def _tenths(batches: Sequence[tuple[float, int]], total: int) -> tuple[list[float], list[float]]:
    """Return events per second in each tenth, and the moment of its end.

    `batches` are the moments at which transactions began, with their sizes: when one begins, those before
    it are committed. When the last one ended is not known, so the last tenth goes without it.
    """
    speeds: list[float] = []
    ends: list[float] = []
    done, counted, since = 0, 0, batches[0][0]
    for number, (begun, count) in enumerate(batches):
        last = number == len(batches) - 1
        if (done >= total * (len(speeds) + 1) / STEPS or last) and begun > since:
            speeds.append((done - counted) / (begun - since))
            ends.append(begun)
            since, counted = begun, done
        done += count
    return speeds, ends


def _at(samples: Sequence[tuple[float, float]], moment: float) -> float:
    """Return the last sample before a moment, or the first."""
    return next((value for at, value in reversed(samples) if at <= moment), samples[0][1])


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


def show(grown: Grown) -> None:
    """Print speed and memory by tenth, and how long the start took."""
    rows = [
        [f"{grown.events * number // STEPS:,}", f"{speed:,.0f}", f"{memory:,.0f}"]
        for number, (speed, memory) in enumerate(zip(grown.speeds, grown.memory_mb, strict=True), 1)
    ]
    table("growth: one worker, each tenth of the backlog", ["events so far", "events/s", "MB"], rows)
    say(f"  start of the process to its first commit: {grown.first_commit_seconds:.1f} s")


def show_due(due: Due) -> None:
    """Print the scan and the burst."""
    table(
        "deadlines",
        ["what", "measured"],
        [
            [f"scan of {due.open_deadlines:,} open deadlines", f"{due.scan_ms:.1f} ms"],
            [f"burst of {due.burst:,} due at once", f"{due.burst_per_s:,.0f} a second"],
        ],
    )


def figures(grown: Grown) -> dict[str, Any]:
    """Return the growth's part of the report: `at_100k` is the first tenth, `at_1m` the last."""
    return {
        "events": grown.events,
        "at_100k_events_s": round(grown.speeds[0]),
        "at_1m_events_s": round(grown.speeds[-1]),
        "rss_mb_at_100k": round(grown.memory_mb[0]),
        "rss_mb_at_1m": round(grown.memory_mb[-1]),
        "start_to_first_commit_s": round(grown.first_commit_seconds, 2),
        "tenths": [
            {"events_s": round(speed), "rss_mb": round(memory)}
            for speed, memory in zip(grown.speeds, grown.memory_mb, strict=True)
        ],
    }


def due_figures(due: Due) -> dict[str, Any]:
    """Return the deadlines' part of the report."""
    return {
        "open_deadlines": due.open_deadlines,
        "due_scan_ms": round(due.scan_ms, 1),
        "due_burst": due.burst,
        "due_burst_per_s": round(due.burst_per_s),
    }
