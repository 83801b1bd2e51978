"""A store that grows: speed and memory from its first event to its last, then beside a small one in turns."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from schemas.topics import REFERRAL
from tests.bench.backlog import START, backlog, message
from tests.bench.cpu import resident_mb
from tests.bench.run import EVENTS_OF_A_CASE
from tests.bench.say import say, table
from tests.bench.sizes import PARTITIONS, Turns, in_turns
from tests.bench.stage import BenchFailed, Stage
from tests.bench.variants import LEADLINE

STEPS = 10
SAMPLE_SECONDS = 0.25
PATIENCE_SECONDS = 3600.0


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


async def measure_growth(
    stage: Stage, events: int, localities: Sequence[str], *, rounds: int, round_events: int
) -> tuple[Grown, Turns]:
    """Grow a store from nothing to `events` open cases, another to a tenth of them; compare them in turns.

    The topics stay as they are meanwhile: each worker begins where the one before has acknowledged.
    """
    await stage.topics(PARTITIONS)
    async with stage.store() as large, stage.store() as small:
        grown = await _grow(stage, large, events, localities)
        await _grow(stage, small, events // STEPS, localities, seed=43)
        turns = await in_turns(stage, small, large, localities, rounds=rounds, events=round_events)
    return grown, turns


async def _grow(stage: Stage, store: str, events: int, localities: Sequence[str], *, seed: int = 42) -> Grown:
    """Start one worker on a backlog that grows an empty store to `events` open cases."""
    referrals = backlog(events, localities, seed=seed)
    await stage.fill(REFERRAL.name, (message(referral) for referral in referrals))
    distinct = len({referral.event_id for referral in backlog(events, localities, seed=seed)})
    children = {referral.child_id for referral in backlog(events, localities, seed=seed)}
    published = EVENTS_OF_A_CASE * len(children)
    memory: list[tuple[float, float]] = []
    async with stage.connection(f"{store}_assessment") as connection:
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


def show(grown: Grown, turns: Turns) -> None:
    """Print speed and memory by tenth, how long the start took, and both sizes in turns."""
    rows = [
        [f"{grown.events * number // STEPS:,}", f"{speed:,.0f}", f"{memory:,.0f}"]
        for number, (speed, memory) in enumerate(zip(grown.speeds, grown.memory_mb, strict=True), 1)
    ]
    table("growth: one worker, each tenth of the backlog", ["events so far", "events/s", "MB"], rows)
    say(f"  start of the process to its first commit: {grown.first_commit_seconds:.1f} s")
    tenth, sizes = grown.events // STEPS, (turns.small, turns.large)
    table(
        f"the same worker on {turns.events:,} further events, on both stores in turns",
        ["open cases before", "events/s", "spread"],
        [
            [f"{size:,}", f"{median(speeds):,.0f}", f"{min(speeds):,.0f}-{max(speeds):,.0f}"]
            for size, speeds in zip((tenth, grown.events), sizes, strict=True)
        ],
    )
    say(f"  speed kept on the large one: {turns.kept:.0%} (median of {len(turns.small)} rounds)")


def figures(grown: Grown, turns: Turns) -> dict[str, Any]:
    """Return the growth's part of the report: `at_100k` and `at_1m` are medians of the turns."""
    return {
        "events": grown.events,
        "at_100k_events_s": round(median(turns.small)),
        "at_1m_events_s": round(median(turns.large)),
        "kept": round(turns.kept, 3),
        "rounds": {
            "small": [round(each) for each in turns.small],
            "large": [round(each) for each in turns.large],
        },
        "rss_mb_at_100k": round(grown.memory_mb[0]),
        "rss_mb_at_1m": round(grown.memory_mb[-1]),
        "start_to_first_commit_s": round(grown.first_commit_seconds, 2),
        "tenths": [
            {"events_s": round(speed), "rss_mb": round(memory)}
            for speed, memory in zip(grown.speeds, grown.memory_mb, strict=True)
        ],
    }
