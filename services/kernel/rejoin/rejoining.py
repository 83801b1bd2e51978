"""A store that was restored to an earlier moment, or is empty, rejoins the others without loss or duplicates.

Its own events come back from the bus with their ids, numbers and times, and the aggregates evolve by them;
nothing is published or decided twice (docs/backup-and-restore.md, record 0015).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic
from uuid import UUID

import structlog

from schemas.events import EventParked
from services.kernel.base.clock import Clock
from services.kernel.base.settings import Settings
from services.kernel.deadlines import policy as rules
from services.kernel.deadlines.policy import Deadline, DeadlineEvent
from services.kernel.messages.faults import Refused
from services.kernel.messages.ids import derived
from services.kernel.postgres.connection import Connection, Engine
from services.kernel.postgres.database import is_transient
from services.kernel.processing.batches import BatchProcessor, letter_of
from services.kernel.processing.service import B, Context, Service, Unpublished
from services.kernel.rejoin import store as rejoin_store
from services.kernel.rejoin.gathering import Gathered, Gathering, child_of, key_of
from services.kernel.rejoin.plan import Incoming, Learn, Own, Plan, Step, TakeBack, headless, plan
from services.kernel.rejoin.reading import BusReader
from services.kernel.rejoin.recall import Loss, Recall
from services.kernel.store import dead_letters, inbox
from services.kernel.store import deadlines as deadline_store
from services.kernel.store.dead_letters import Letter
from services.kernel.store.relaying import Relaying

log = structlog.get_logger()

BY = "rejoin"
"""Recorded as the person who settled a dead letter whose outcome is on the bus."""

APPLICATION = "leadline-rejoin"


@dataclass
class RejoinReport:
    """The outcome of a rejoin. `losses` is empty when the store is as if nothing had happened."""

    taken_back: Counter[str] = field(default_factory=Counter)
    """Own events by wire type."""
    learned: int = 0
    """Messages that had been handled and are again in the inbox."""
    delivered: int = 0
    """Messages without evidence of a handled outcome: delivered as usual."""
    losses: list[Loss] = field(default_factory=list)

    def lose(self, what: str, ids: Iterable[object]) -> None:
        """Record a loss, if there is one."""
        found = tuple(sorted(map(str, ids)))
        if found:
            self.losses.append(Loss(what, found))


class Rejoin(Generic[B]):
    """Lets one service's store rejoin. May be interrupted and run again: no step is done twice."""

    def __init__(
        self, service: Service[B], recall: Recall[B], settings: Settings, engine: Engine, clock: Clock
    ) -> None:
        self._service = service
        self._recall = recall
        self._settings = settings
        self._engine = engine
        self._clock = clock
        self._report = RejoinReport()
        self._failed: dict[str, str] = {}
        self._requests: set[UUID] = set()
        self._held_up: set[bytes] = set()

    async def run(self) -> RejoinReport:
        """Bring the store up to date with the bus; return what was done and what is missing.

        The store must be migrated and not in use: raises Refused while the service's worker or web process is
        connected. Takes back one child per transaction, then delivers the remaining messages like a worker.
        """
        address = self._settings.database_of(self._service.name)
        async with Relaying(address, self._service.publishes.name) as relaying:
            await self._alone(relaying)
            async with BusReader(self._settings) as bus:
                found = await Gathering(self._service, self._engine, bus).gather()
            found.own = {
                event_id: own._replace(event=self._recall.as_today(own))
                for event_id, own in found.own.items()
            }
            await self._say_what_has_left_the_bus(found)
            await self._take_back_parked(found)
            await self._deliver(await self._take_back(found))
            await self._count_losses()
        return self._report

    async def _alone(self, relaying: Relaying) -> None:
        """Refuse to run alongside the service; its relay cannot start while we hold its lock."""
        name = self._service.name
        async with self._engine.connect() as connection:
            others = await rejoin_store.at_work(connection, f"leadline-{name}")
        if others or not await relaying.try_lock():
            raise Refused(
                f"The {name} service is connected to its store: stop its workers and the web process first."
            )

    async def _say_what_has_left_the_bus(self, found: Gathered) -> None:
        """Report where own events may be missing without a trace."""
        self._report.lose("own events that contradict the journal", found.contradictions)
        self._report.lose("records of the own topic that this program cannot read", found.unread)
        async with self._engine.connect() as connection:
            last = await rejoin_store.last_written(connection)
        cut = [
            f"{self._service.publishes.name}/{partition}"
            for partition, horizon in found.horizons.items()
            if last is None or horizon.time is None or last < horizon.time
        ]
        self._report.lose("partitions whose first events left the bus after the backup", cut)

    async def _take_back_parked(self, found: Gathered) -> None:
        """Park again the messages that were parked, unless they have been replayed since."""
        alarms = [(own, own.event) for own in found.own.values() if isinstance(own.event, EventParked)]
        causes = {
            own.entry.causation_id for own in found.own.values() if not isinstance(own.event, EventParked)
        }
        gone, again = [], []
        for own, alarm in alarms:
            del found.own[own.entry.event_id]
            message = own.entry.causation_id
            incoming = found.incoming.get(message)
            async with self._engine.begin() as connection:
                now = self._clock.now()
                await rejoin_store.restore(connection, [(own.entry, own.time)])
                if incoming is not None:
                    letter = letter_of(incoming.arrival, state="parked")
                    await inbox.claim(connection, [message], now=now)
                    await dead_letters.park(connection, [_as_told(letter, alarm)], now=now)
                    found.letters[message] = letter
            self._report.taken_back[own.entry.type] += 1
            if incoming is None:
                gone.append(own.entry.subject)
            elif message not in causes:
                again.append(own.entry.subject)
                del found.incoming[message]
        self._report.lose("dead letters whose event has left the bus", gone)
        self._report.lose("dead letters to be settled again, if they were discarded", again)
        self._held_up = {
            key_of(letter.record) for message, letter in found.letters.items() if message not in causes
        }

    async def _take_back(self, found: Gathered) -> list[Incoming]:
        """Take back child by child; return the messages that remain to be delivered."""
        async with self._engine.connect() as connection:
            subjects = {own.entry.subject for own in found.own.values()}
            rested_on = (self._recall.rests_on(own.event) for own in found.own.values())
            known = await rejoin_store.lengths(connection, subjects.union(filter(None, rested_on)))
        own_of, incoming_of = defaultdict[bytes, list[Own]](list), defaultdict[bytes, list[Incoming]](list)
        for own in found.own.values():
            own_of[str(own.entry.key).encode()].append(own)
        for incoming in found.incoming.values():
            incoming_of[child_of(incoming.arrival)].append(incoming)
        broken: set[UUID] = set()
        left: list[Incoming] = []
        for child in {**own_of, **incoming_of}:
            cut = headless(own_of[child], known, rests_on=self._recall.rests_on)
            broken |= cut
            answered = {own.entry.causation_id for own in own_of[child] if own.entry.subject in cut}
            made = plan(
                [own for own in own_of[child] if own.entry.subject not in cut],
                incoming_of[child],
                answered=frozenset(answered),
                horizon=found.horizon(child),
                held_up=child in self._held_up,
            )
            if await self._carry_out(child, made, found):
                left += made.deliver
        self._report.lose("aggregates whose beginning has left the bus", broken)
        return left

    async def _carry_out(self, child: bytes, made: Plan, found: Gathered) -> bool:
        """Take back a child's events, all or nothing; return whether this succeeded."""
        if not made.steps:
            return True
        try:
            async with self._engine.begin() as connection:
                requests = [await self._step(connection, step, found) for step in made.steps]
        except Exception as error:
            if is_transient(error):
                raise
            # The type alone: a message can quote a value.
            self._failed[child.decode(errors="replace")] = type(error).__name__
            log.warning("a child could not be taken back", error=type(error).__name__)
            return False
        self._requests.update(*requests)
        for step in made.steps:
            events = () if isinstance(step, Learn) else step.events
            self._report.taken_back.update(own.entry.type for own in events)
            self._report.learned += not isinstance(step, TakeBack)
        return True

    async def _step(self, connection: Connection, step: Step, found: Gathered) -> set[UUID]:
        """Carry out one step; return the requests that caused it."""
        events = () if isinstance(step, Learn) else step.events
        message = None if isinstance(step, TakeBack) else step.incoming.arrival
        now = self._clock.now()
        told = [own.event for own in events if not isinstance(own.event, DeadlineEvent)]
        book = await self._recall.load(connection, told, None if message is None else message.event)
        if message is not None and message.event is not None:
            context = Context(now, message.message_id, message.correlation, self._service.calendar)
            # Only its data: today's decision might differ from the recorded one.
            produced = self._service.handlers[type(message.event)](book, message.event, context)
            for item in produced:
                if isinstance(item, Unpublished):
                    item.change(book)
        for own in events:
            if not isinstance(own.event, DeadlineEvent) and book.apply(own.event) != own.entry.sequence:
                raise Contradiction
        await self._service.store.save(connection, book)
        await self._recall.saved(connection, told)
        await _evolve_deadlines(connection, events)
        await rejoin_store.restore(connection, [(own.entry, own.time) for own in events])
        if message is not None:
            await inbox.claim(connection, [message.message_id], now=now)
            if self._service.project is not None and message.event is not None:
                await self._service.project(connection, [message])
            if message.message_id in found.letters:
                letter_id = derived(message.message_id, "dead letter")
                await dead_letters.settle(connection, letter_id, state="replayed", by=BY, now=now)
            return set()
        if self._recall.is_unasked(told):
            return set()
        causes = {own.entry.causation_id for own in events}
        # Events that time brought to an aggregate have its own id as their cause.
        requests = causes - (await rejoin_store.lengths(connection, causes)).keys()
        await rejoin_store.take_back_requests(connection, requests, now=now)
        return requests

    async def _deliver(self, left: Sequence[Incoming]) -> None:
        """Deliver the remaining messages like a worker."""
        delivery = BatchProcessor(
            self._service,
            self._engine,
            self._clock,
            calendar=self._service.calendar,
            max_value_bytes=self._settings.max_value_bytes,
            parking_limit=self._settings.parking_limit,
        )
        for begin in range(0, len(left), self._settings.batch):
            part = left[begin : begin + self._settings.batch]
            await delivery.deliver([incoming.arrival.record for incoming in part])
        self._report.delivered = len(left)

    async def _count_losses(self) -> None:
        self._report.lose("children who could not be taken back", self._failed)
        self._report.lose("answers to requests, by what their events name as cause", self._requests)
        async with self._engine.connect() as connection:
            self._report.losses += await self._recall.losses(connection)


async def _evolve_deadlines(connection: Connection, events: Sequence[Own]) -> None:
    """Evolve the deadlines by their own events; states already raised are not raised again."""
    told = [(own.entry, own.event) for own in events if isinstance(own.event, DeadlineEvent)]
    known: dict[UUID, Deadline] = await deadline_store.load(connection, [entry.subject for entry, _ in told])
    for entry, event in told:
        known[entry.subject] = rules.evolve(known[entry.subject], event)
        if known[entry.subject].version != entry.sequence:
            raise Contradiction
    await deadline_store.save(connection, list(known.values()))


def _as_told(letter: Letter, alarm: EventParked) -> Letter:
    """Return the letter with the reason from its alarm; its other details are lost."""
    if letter.reason == alarm.reason:
        return letter
    return replace(letter, reason=alarm.reason, words="set aside before the store was restored")


class Contradiction(Exception):  # noqa: N818 - a finding, not a fault
    """An event's number does not match its aggregate's version."""
