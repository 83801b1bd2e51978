"""Start-up and catch-up after an outage: a worker was away while the county's feed went on."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from schemas.topics import ASSESSMENT, REFERRAL
from services.assessment.pack import AssessmentPack
from services.kernel.kafka.admin import Bus
from tests.bench.recount import recount
from tests.bench.run import Work
from tests.bench.say import table
from tests.bench.stage import BenchFailed, Stage
from tests.bench.variants import LEADLINE

RATE = 50
"""Events a second on `referral-events`, all types together: the rate at which latency is promised. A large
county makes a few thousand events a day, so this outage is a hard one."""

PATIENCE_SECONDS = 900.0
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class CatchUp:
    """How soon a worker that starts is useful, and how soon nothing is left of its absence."""

    away_seconds: float
    events: int
    handled: int
    first_commit_seconds: float
    """From the start of the process to its first commit."""
    caught_up_seconds: float
    """To the moment when every event is acknowledged and all that came of them is on the bus."""
    faults: tuple[str, ...]

    @property
    def figures(self) -> dict[str, Any]:
        """Return the report's part."""
        return {
            "away_s": round(self.away_seconds),
            "events": self.events,
            "events_handled": self.handled,
            "start_to_first_commit_s": round(self.first_commit_seconds, 2),
            "caught_up_s": round(self.caught_up_seconds, 2),
        }


async def measure_catch_up(stage: Stage, work: Work, pack: AssessmentPack, *, away: float) -> CatchUp:
    """Write what came in meanwhile, then start one worker on a store that is ready, and watch it.

    Looking costs the database as little as it can: offsets and the bus are asked, tables only at the end.
    """
    partitions = REFERRAL.partitions
    await stage.topics(partitions)
    await stage.fill(REFERRAL.name, work.messages)
    async with (
        stage.store() as store,
        stage.connection(f"{store}_assessment") as connection,
        Bus(stage.settings(store)) as bus,
    ):
        begun = time.monotonic()
        async with stage.processes(LEADLINE.name, LEADLINE.argv, stage.env(store)) as (worker,):

            async def passed(condition: str) -> float:
                """Wait a moment and return the time; raise when the worker has ended."""
                if worker.exit_code() is not None:
                    raise BenchFailed(f"the worker ended: {worker.last_words()}")
                if time.monotonic() - begun > PATIENCE_SECONDS:
                    raise BenchFailed(f"the worker did not catch up: {condition}")
                await asyncio.sleep(POLL_SECONDS)
                return time.monotonic() - begun

            first = 0.0
            while not await connection.fetchval("SELECT EXISTS (SELECT FROM inbox)"):
                first = await passed("no first commit")
            done = first
            while await stage.committed(LEADLINE.group, REFERRAL.name, partitions) < len(work.messages):
                done = await passed("events are not acknowledged")
            while await stage.ends(bus, ASSESSMENT) < work.published:
                done = await passed("events are not published")
            while await connection.fetchval("SELECT EXISTS (SELECT FROM outbox)"):
                done = await passed("the outbox is not empty")
        faults = await recount(connection, work.referrals, pack)
    return CatchUp(away, len(work.messages), work.distinct, first, done, tuple(faults))


def show(found: CatchUp) -> None:
    """Print how long it took."""
    title = f"after an outage of {found.away_seconds / 60:.0f} minutes at {RATE} events a second (one worker)"
    table(
        title,
        ["what waited", "first commit", "caught up"],
        [
            [
                f"{found.events:,} events, {found.handled:,} of them handled",
                f"{found.first_commit_seconds:.1f} s",
                f"{found.caught_up_seconds:.1f} s",
            ]
        ],
    )
