"""One burst: deadlines are laid down, workers wait for their moment, and what they made of it is counted."""

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from deploy.embedded.processes import Child
from schemas.topics import ASSESSMENT, REFERRAL
from tests.bench.due import SCHEDULED
from tests.bench.stage import BenchFailed, Stage, until
from tests.bench.variants import LEADLINE
from tests.chaos.burst.counting import Counted, counted

PARTITIONS = 4
LEAD_SECONDS = 60.0
"""From the beginning to the moment: the rows are to be written by then, and the workers to be ready."""

READY_SECONDS = 2.0
"""So long before the moment, at the latest."""

KILL_SHARE = 0.4
"""A worker is killed when so many have been raised."""

PATIENCE_SECONDS = 300.0
LOOK_SECONDS = 0.05

DEADLINES = """
    INSERT INTO deadlines (deadline_id, version, state, about, child_id, case_id, kind, rule,
        trigger_at, due_soon_at, due_from, due_at, next_at)
    SELECT md5('deadline' || n)::uuid, 1, 'scheduled', md5('case' || n)::uuid, md5('child' || n)::uuid,
        md5('case' || n)::uuid, 'assessment', '45:working_days:same_day',
        due - interval '45 days', due, due, due + interval '1 day', due
    FROM (
        SELECT n, $2::timestamptz + (n - 1) * interval '1 second' / $1::int AS due
        FROM generate_series(1, $1::int) AS n
    ) AS moments
"""
"""All within one second, each at its own moment."""

POSITION = "SELECT last_value FROM journal_position_seq"
LEFT = "SELECT EXISTS (SELECT FROM deadlines WHERE state = 'scheduled') OR EXISTS (SELECT FROM outbox)"


@dataclass(frozen=True)
class Burst:
    """Who is there when the moment comes."""

    name: str
    workers: int
    kill: bool = False
    """Whether one of them is killed in the middle."""


BURSTS = (
    Burst("one worker", 1),
    Burst("two workers", 2),
    Burst("two workers, one is killed", 2, kill=True),
)


@dataclass(frozen=True)
class Played:
    """One burst and what came of it."""

    burst: Burst
    counted: Counted
    raised_when_killed: int | None = None
    """How many were raised or being raised when a worker was killed."""


async def play(stage: Stage, burst: Burst, count: int) -> Played:
    """Let the workers of a burst wait for the moment and raise everything; count.

    Raises BenchFailed when they are not ready in time, or never done.
    """
    await stage.topics(PARTITIONS)
    async with stage.store() as store, stage.connection(f"{store}_assessment") as connection:
        moment = (stage.now() + timedelta(seconds=LEAD_SECONDS)).replace(microsecond=0)
        await connection.execute(DEADLINES, count, moment)
        await connection.execute(SCHEDULED)
        await connection.execute("VACUUM ANALYZE deadlines, journal")
        written = await connection.fetchval(POSITION)
        processes = stage.processes(
            "burst", LEADLINE.argv, _by_the_systems_clock(stage, store), count=burst.workers
        )
        async with processes as workers:
            await stage.joined(LEADLINE.group, burst.workers, PARTITIONS, REFERRAL.name)
            await _moment_comes(stage, moment, connection, written)
            killed = None
            if burst.kill:
                killed = await _killed_in_the_middle(workers[0], connection, written, count)
            await _done(connection, workers[1:] if burst.kill else workers)
        found = await counted(connection, stage.engines.kafka, ASSESSMENT.name, PARTITIONS)
    return Played(burst, found, killed)


def _by_the_systems_clock(stage: Stage, store: str) -> dict[str, str]:
    env = stage.env(store)
    return {name: value for name, value in env.items() if not name.startswith("LEADLINE_CLOCK")}


async def _moment_comes(
    stage: Stage, moment: datetime, connection: "asyncpg.Connection[Any]", written: int
) -> None:
    """Return shortly before the moment. Raises BenchFailed when it has passed, or was not waited for."""
    left = (moment - stage.now()).total_seconds() - READY_SECONDS
    if left < 0:
        raise BenchFailed("the workers were not ready in time: the machine is busy")
    await asyncio.sleep(left)
    if await connection.fetchval(POSITION) != written:
        raise BenchFailed("something was raised before anything was due")


async def _killed_in_the_middle(
    worker: Child, connection: "asyncpg.Connection[Any]", written: int, count: int
) -> int:
    """Kill a worker when its share is raised; return how many were raised by then, or being raised."""

    async def in_the_middle() -> bool:
        return bool(await connection.fetchval(POSITION) >= written + KILL_SHARE * count)

    await until(in_the_middle, "many deadlines are raised", within=PATIENCE_SECONDS)
    os.kill(worker.pid, signal.SIGKILL)
    raised = int(await connection.fetchval(POSITION)) - written
    if raised >= count:
        raise BenchFailed("all deadlines were raised before the worker was killed")
    return raised


async def _done(connection: "asyncpg.Connection[Any]", workers: list[Child]) -> None:
    """Return when everything is raised and published."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while await connection.fetchval(LEFT):
        ended = next((worker for worker in workers if worker.exit_code() is not None), None)
        if ended is not None:
            raise BenchFailed(f"a worker ended: {ended.last_words()}")
        if time.monotonic() > give_up:
            raise BenchFailed(f"not everything was raised and published within {PATIENCE_SECONDS:.0f} s")
        await asyncio.sleep(LOOK_SECONDS)
