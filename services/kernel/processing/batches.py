"""Delivery: a poll's records become one transaction. At least once in, exactly once in effect.

`deliver` returns when every record is committed or parked. If it can do neither, or if our own code fails on
too many records, it raises, and the worker stops without acknowledging anything.
"""

import asyncio
import time
import traceback
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, NamedTuple
from uuid import UUID

import structlog

from schemas.events import EventParked
from schemas.topics import LARGEST_EVENT_BYTES
from services.kernel.base import metrics
from services.kernel.base.clock import Clock
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.messages.arrivals import Arrival, Subscriber
from services.kernel.messages.faults import InvalidMessage
from services.kernel.messages.ids import derived
from services.kernel.messages.record import Record
from services.kernel.postgres.connection import Connection, Engine
from services.kernel.postgres.database import is_conflict, is_transient
from services.kernel.processing import parking
from services.kernel.processing.outgoing import NOBODY
from services.kernel.processing.parking import Failure, TooManyFailed
from services.kernel.processing.publication import Numbered, Publication, number
from services.kernel.processing.service import B, Context, Produced, Service
from services.kernel.store import dead_letters, inbox
from services.kernel.store.dead_letters import Letter

log = structlog.get_logger()

PART = 125
"""Events of a batch that are decided before the results go to the journal. The database writes one part while
the next is being decided. A batch of this size or smaller is written in one piece."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 0.5
"""The pause between two attempts to reach an unavailable database. A worker has only one batch to retry."""


@dataclass
class Tally:
    """How many records had which outcome, by wire type."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    handled_since: int = 0
    """Events of our own services handled since the last one that failed."""

    def add(self, arrival: Arrival, outcome: str) -> None:
        """Count one record. Unknown types are counted together: partners could invent many."""
        known = arrival.type if arrival.event is not None and arrival.type is not None else "other"
        self.counts[known, outcome] += 1

    def handled(self, types: Set[str]) -> int:
        """Return how many events of the given wire types were handled."""
        return sum(
            count
            for (wire_type, outcome), count in self.counts.items()
            if outcome == "handled" and wire_type in types
        )

    def report(self, service: str) -> None:
        """Add the counts to the metrics."""
        for (wire_type, outcome), count in self.counts.items():
            metrics.MESSAGES.labels(service, wire_type, outcome).inc(count)


class Prepared(NamedTuple):
    """A poll's records, decoded. `begun` is the `time.monotonic()` at which decoding began."""

    arrivals: Sequence[Arrival]
    skipped: int
    begun: float


class BatchProcessor(Generic[B]):
    """Delivers records to one service's handlers.

    `parking_limit` is the share of the latest events of our own services that may fail in our code.
    """

    def __init__(
        self,
        service: Service[B],
        engine: Engine,
        clock: Clock,
        *,
        calendar: WorkingCalendar,
        max_value_bytes: int = LARGEST_EVENT_BYTES,
        retry_seconds: float = 60.0,
        parking_limit: float = parking.LIMIT,
    ) -> None:
        self.service = service
        self._engine = engine
        self._clock = clock
        self._calendar = calendar
        self._retry_seconds = retry_seconds
        self._parking_limit = parking_limit
        self._handled_since = 0
        """The tally's count, for committed batches only."""
        self._batch_events = metrics.BATCH_EVENTS.labels(service.name)
        self._batch_seconds = metrics.BATCH_SECONDS.labels(service.name)
        types = {event_class.wire_type: event_class for event_class in service.handlers}
        self._reception = Subscriber(service.name, types, max_value_bytes)

    def prepare(self, records: Sequence[Record]) -> Prepared:
        """Decode records. Those that do not concern this service are only counted. Changes nothing."""
        begun = time.monotonic()
        receive = self._reception.receive
        arrivals = [arrival for record in records if (arrival := receive(record)) is not None]
        return Prepared(arrivals, len(records) - len(arrivals), begun)

    async def deliver(self, records: Sequence[Record]) -> None:
        """Process records in order: `prepare`, then `settle`."""
        await self.settle(self.prepare(records))

    async def settle(self, prepared: Prepared) -> None:
        """Process decoded records in order. Returns when all are committed or parked.

        Raises when the database is unavailable for longer than `retry_seconds`, and TooManyFailed when
        parking would exceed the limit. Events beyond the limit are not parked, because they can be handled as
        soon as the code is fixed.
        """
        tally = Tally()
        tally.counts["other", "skipped"] = prepared.skipped
        if prepared.arrivals:
            try:
                await self._settle(prepared.arrivals, tally)
            except TooManyFailed as failed:
                log.error(str(failed))
                raise
            self._batch_events.observe(len(prepared.arrivals))
            self._batch_seconds.observe(time.monotonic() - prepared.begun)
        tally.report(self.service.name)

    async def _settle(self, arrivals: Sequence[Arrival], tally: Tally, *, again: bool = False) -> None:
        """Commit the arrivals. If the database refuses them for good, halve the batch to isolate the culprit.

        Another transaction may meanwhile have written the same unique value. The culprit is therefore retried
        once, with that row in its book, before it is parked.
        """
        try:
            counts = await self._retrying(arrivals)
        except Exception as error:
            if is_transient(error) or isinstance(error, TooManyFailed):
                raise  # unknown errors are parked below, never logged and skipped
            if len(arrivals) == 1 and is_conflict(error) and not again:
                await self._settle(arrivals, tally, again=True)
                return
            if len(arrivals) == 1:
                culprit = _at_fault(arrivals[0], error)
                tally.counts.update((await self._retrying([culprit])).counts)
                return
            middle = len(arrivals) // 2
            await self._settle(arrivals[:middle], tally)
            await self._settle(arrivals[middle:], tally)
        else:
            tally.counts.update(counts.counts)

    async def _retrying(self, arrivals: Sequence[Arrival]) -> Tally:
        """Commit the arrivals in one transaction, retrying while the database is unavailable or busy."""
        give_up = time.monotonic() + self._retry_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with self._engine.begin() as connection:
                    tally = await self._work(connection, arrivals)
            except Exception as error:
                if not is_transient(error) or time.monotonic() > give_up:
                    raise
                log.warning("database unavailable, retrying", error=type(error).__name__, pause_seconds=pause)
            else:
                self._handled_since = tally.handled_since
                return tally
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _work(self, connection: Connection, arrivals: Sequence[Arrival]) -> Tally:
        now = self._clock.now()
        tally = Tally()
        fresh = self._first(
            arrivals,
            await inbox.claim(connection, [arrival.message_id for arrival in arrivals], now=now),
            tally,
        )
        blocked = await dead_letters.blocked(connection, filter(None, map(self._case, fresh)))
        events = [arrival.event for arrival in fresh if arrival.event is not None]
        book = await self.service.store.load(connection, events)
        letters: list[Letter] = []
        async with Publication(connection, now=now) as publication:
            for begin in range(0, len(fresh), PART):
                part = fresh[begin : begin + PART]
                await publication.add(self._decide_all(book, part, blocked, letters, tally, now=now))
                if begin + PART < len(fresh):
                    await publication.write()
            await publication.written()
            letters = await self._within_limit(connection, fresh, letters, tally, now=now)
            await self.service.store.save(connection, book)
            await publication.add(await self._park(connection, letters, now=now))
            await publication.finish()
        if self.service.project is not None:
            # After decisions have taken all their locks: projections may make one transaction wait for
            # another.
            set_aside = {letter.message_id for letter in letters}
            handled = [arrival for arrival in fresh if arrival.message_id not in set_aside]
            await self.service.project(connection, handled)
        return tally

    def _decide_all(
        self,
        book: B,
        arrivals: Sequence[Arrival],
        blocked: set[bytes],
        letters: list[Letter],
        tally: Tally,
        *,
        now: datetime,
    ) -> list[Numbered]:
        """Decide on each arrival in turn. Failed arrivals and those that wait behind them become letters."""
        produced: list[Numbered] = []
        for arrival in arrivals:
            case = self._case(arrival)
            if case is not None and case in blocked:
                letters.append(letter_of(arrival, state="waiting"))
                tally.add(arrival, "waiting")
                continue
            fault = arrival.fault
            if fault is None:
                context = Context(now, arrival.message_id, arrival.correlation, self._calendar)
                try:
                    decided = self._decide(book, arrival, context)
                except Exception as error:  # noqa: BLE001 - unknown errors are parked with their traceback
                    arrival = _at_fault(arrival, error)  # noqa: PLW2901 - the same arrival, now with a fault
                    fault = arrival.fault
                else:
                    # Outside the try: a book that fails half-way is unusable, so the batch is halved.
                    produced.extend(number(book, decided, context))
            tally.add(arrival, "handled" if fault is None else "parked")
            if fault is not None:
                letters.append(letter_of(arrival, state="parked"))
                if case is not None:
                    blocked.add(case)
        return produced

    async def _within_limit(
        self,
        connection: Connection,
        fresh: Sequence[Arrival],
        letters: list[Letter],
        tally: Tally,
        *,
        now: datetime,
    ) -> list[Letter]:
        """Return the letters to park. Raises TooManyFailed if they exceed the limit."""
        if not any(map(parking.counts, letters)):
            tally.handled_since = self._handled_since + tally.handled(parking.OUR_TYPES)
            return letters
        messages = ((arrival.message_id, arrival.record.topic) for arrival in fresh)
        letters, tally.handled_since = parking.numbered(messages, letters, before=self._handled_since)
        earlier = await dead_letters.failed_since(connection, now - parking.RECENT, limit=parking.LOOK)
        parking.judge(
            [*parking.failures_of(letters), *map(Failure._make, earlier)],
            handled_after=tally.handled_since,
            limit=self._parking_limit,
            service=self.service.name,
        )
        return letters

    async def _park(
        self, connection: Connection, letters: Sequence[Letter], *, now: datetime
    ) -> list[Numbered]:
        """Park letters; return the alarms for the new ones."""
        parked = await dead_letters.park(connection, letters, now=now)
        return [
            self._alarm(letter, now)
            for letter in letters
            if letter.dead_letter_id in parked and letter.state == "parked" and raises_alarm(letter)
        ]

    def _first(self, arrivals: Sequence[Arrival], claimed: set[UUID], tally: Tally) -> list[Arrival]:
        """Return the first delivery of each claimed message; count the others as duplicates."""
        fresh = []
        for arrival in arrivals:
            if arrival.message_id in claimed:
                claimed.discard(arrival.message_id)
                fresh.append(arrival)
            else:
                tally.add(arrival, "duplicate")
        return fresh

    def _case(self, arrival: Arrival) -> bytes | None:
        """Return the key behind which later events wait; None if they do not wait."""
        return None if arrival.record.topic in self.service.lets_pass else arrival.record.key

    def _decide(self, book: B, arrival: Arrival, context: Context) -> Sequence[Produced]:
        assert arrival.event is not None  # noqa: S101 - an arrival without a fault has an event
        return self.service.handlers[type(arrival.event)](book, arrival.event, context)

    def _alarm(self, letter: Letter, now: datetime) -> Numbered:
        metrics.DEAD_LETTERS.labels(self.service.name, letter.reason).inc()
        log.warning(
            "event parked",
            dead_letter_id=str(letter.dead_letter_id),
            topic=letter.record.topic,
            partition=letter.record.partition,
            offset=letter.record.offset,
            reason=letter.reason,
        )
        event = parked_event(letter, service=self.service.name, now=now)
        return Numbered(event, 1, Context(now, letter.message_id, letter.message_id, self._calendar))


def letter_of(arrival: Arrival, *, state: dead_letters.State) -> Letter:
    """Return the dead letter of an arrival that has a fault or waits behind one."""
    cause = arrival.fault.__cause__ if arrival.fault is not None else None
    return Letter(
        dead_letter_id=derived(arrival.message_id, "dead letter"),
        state=state,
        record=arrival.record,
        message_id=arrival.message_id,
        type=arrival.type,
        reason=arrival.fault.reason if arrival.fault is not None else "waiting",
        words=arrival.fault.words if arrival.fault is not None else "waits behind a parked event of its case",
        traceback=None if cause is None else frames(cause),
    )


def frames(error: BaseException) -> str:
    """Return the frames of an error without its message, which could quote a value."""
    return "".join(traceback.format_tb(error.__traceback__)) + type(error).__qualname__


def parked_event(letter: Letter, *, service: str, now: datetime) -> EventParked:
    """Return the alarm for a parked dead letter; a waiting one is not announced."""
    if letter.reason == "waiting":
        message = f"dead letter {letter.dead_letter_id} is only waiting: there is nothing to announce"
        raise ValueError(message)
    try:
        child_id = UUID((letter.record.key or b"").decode())
    except ValueError:
        child_id = NOBODY
    return EventParked(
        child_id=child_id,
        dead_letter_id=letter.dead_letter_id,
        service=service,
        topic=letter.record.topic,
        partition=letter.record.partition,
        offset=letter.record.offset,
        reason=letter.reason,
        parked_at=now,
    )


def raises_alarm(letter: Letter) -> bool:
    """Return whether a dead letter is announced. A failed announcement is not itself announced."""
    return letter.type is None or not letter.type.startswith(EventParked.name)


def _at_fault(arrival: Arrival, error: Exception) -> Arrival:
    fault = error if isinstance(error, InvalidMessage) else InvalidMessage("failed", type(error).__qualname__)
    if fault is not error:
        fault.__cause__ = error
    return Arrival(
        record=arrival.record,
        message_id=arrival.message_id,
        correlation=arrival.correlation,
        type=arrival.type,
        fault=fault,
    )
