"""A small store and a large one in turns: what size costs, whatever else the machine is doing meanwhile.

Tenths of one long run are minutes apart, and a shared machine changes more between them than a store does.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from schemas.topics import REFERRAL
from tests.bench.backlog import backlog
from tests.bench.run import Work
from tests.bench.stage import BenchFailed, Stage
from tests.bench.variants import LEADLINE

PARTITIONS = 4
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 600.0


@dataclass(frozen=True)
class Turns:
    """Events per second of one worker, by round."""

    events: int
    """Of one round, on each store."""
    small: Sequence[float]
    large: Sequence[float]

    @property
    def kept(self) -> float:
        """Return which share of its speed a worker keeps on the large store: the median of the rounds."""
        return median(large / small for small, large in zip(self.small, self.large, strict=True))


async def in_turns(
    stage: Stage, small: str, large: str, localities: Sequence[str], *, rounds: int, events: int
) -> Turns:
    """Let a worker work off fresh backlogs of the same size, now on one store, now on the other."""
    speeds: dict[str, list[float]] = {small: [], large: []}
    for number in range(rounds):
        order = (small, large) if number % 2 else (large, small)
        for turn, store in enumerate(order):
            seed = 1000 + 2 * number + turn
            work = Work(list(backlog(events, localities, seed=seed)))
            speeds[store].append(await _work_off(stage, store, work))
    return Turns(events, speeds[small], speeds[large])


async def _work_off(stage: Stage, store: str, work: Work) -> float:
    """Return events committed per second by a worker, held at the door until its backlog is written."""
    async with (
        stage.connection(f"{store}_assessment") as connection,
        stage.processes(LEADLINE.name, LEADLINE.argv, stage.env(store)) as (worker,),
    ):
        await stage.joined(LEADLINE.group, 1, PARTITIONS, REFERRAL.name)
        published = work.published + await connection.fetchval("SELECT last_value FROM journal_position_seq")
        distinct = work.distinct + await connection.fetchval("SELECT count(*) FROM inbox")
        door = connection.transaction()
        await door.start()
        await connection.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
        await stage.fill(REFERRAL.name, work.messages)
        begun = time.monotonic()
        await door.rollback()
        # The sequence costs nothing to ask, however long the journal; the count has the last word.
        while await connection.fetchval("SELECT last_value FROM journal_position_seq") < published or (
            await connection.fetchval("SELECT count(*) FROM inbox") < distinct
        ):
            if worker.exit_code() is not None or time.monotonic() - begun > PATIENCE_SECONDS:
                raise BenchFailed(f"the worker did not finish: {worker.last_words()}")
            await asyncio.sleep(POLL_SECONDS)
        return len(work.messages) / (time.monotonic() - begun)
