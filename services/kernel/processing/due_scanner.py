"""The due scanner: raises each state of each deadline once, however many scanners run."""

import asyncio
from collections import Counter

from mode import Service

from services.kernel.base import metrics
from services.kernel.base.clock import Clock
from services.kernel.deadlines import policy as deadlines
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.postgres.connection import Engine
from services.kernel.processing.loops import Waiting, keep_doing, worst
from services.kernel.processing.publication import deadline_entries
from services.kernel.processing.service import Context
from services.kernel.store import deadlines as deadline_store
from services.kernel.store import journal

LIMIT = 500
"""Deadlines per transaction."""

SIDE_BY_SIDE = 2
"""Concurrent transactions while many deadlines are due; each uses a connection from the pool."""


async def scan_once(
    engine: Engine, clock: Clock, *, service: str, calendar: WorkingCalendar, limit: int = LIMIT
) -> int:
    """Raise the due states of up to `limit` deadlines in one transaction; return how many deadlines were due.

    Rows are claimed with SKIP LOCKED, so that two scanners share the work and never raise one twice.
    """
    now = clock.now()
    async with engine.begin() as connection:
        claimed = await deadline_store.claim_due(connection, now=now, limit=limit)
        raised, changed, entries = [], [], []
        for deadline in claimed:
            # The cause of a raised state is the deadline itself, so a second run makes the same id.
            context = Context(now, deadline.deadline_id, deadline.deadline_id, calendar)
            events = deadlines.raise_due(deadline, now=now)
            after, fresh = deadline_entries(deadline, events, context)
            raised.extend(events)
            changed.append(after)
            entries.extend(fresh)
        await deadline_store.save_raised(connection, changed)
        await journal.append(connection, entries, now=now)
    for name, count in Counter(event.name for event in raised).items():
        metrics.DEADLINES_RAISED.labels(service, name.removeprefix("deadline.")).inc(count)
    return len(claimed)


class DeadlineScanner(Service):
    """Scans the deadlines every `interval_seconds` of real time, without a pause while many are due."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        *,
        service: str,
        calendar: WorkingCalendar,
        interval_seconds: float,
    ) -> None:
        super().__init__()
        self._engine = engine
        self._clock = clock
        self._service = service
        self._calendar = calendar
        self._interval = interval_seconds

    @Service.task
    async def _scan(self) -> None:
        waiting = Waiting("database unavailable, deadlines wait")
        await keep_doing(
            self, self._raise_all, pause_seconds=self._interval, waiting=waiting, clock=self._clock
        )

    async def _raise_all(self) -> None:
        """Raise what is due. The database works on one transaction while we prepare another."""
        if await self._scan_once() < LIMIT:
            return
        ended = await asyncio.gather(*(self._drain() for _ in range(SIDE_BY_SIDE)), return_exceptions=True)
        if error := worst(ended):
            raise error

    async def _drain(self) -> None:
        while not self.should_stop and await self._scan_once():
            pass

    async def _scan_once(self) -> int:
        return await scan_once(self._engine, self._clock, service=self._service, calendar=self._calendar)
