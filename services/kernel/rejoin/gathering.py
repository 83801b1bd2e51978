"""Gathers the events and messages that a restored store has lost and the bus still holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from schemas.events import Event
from schemas.events.base import REGISTRY
from schemas.topics import Topic
from services.kernel.base.clock import SystemClock
from services.kernel.kafka.producer import partition_of
from services.kernel.messages import envelope as envelopes
from services.kernel.messages import ids
from services.kernel.messages.arrivals import Arrival, Subscriber
from services.kernel.messages.envelope import Envelope
from services.kernel.messages.faults import InvalidMessage
from services.kernel.messages.record import Record
from services.kernel.postgres.connection import Engine
from services.kernel.processing.service import Service
from services.kernel.rejoin import store as rejoin_store
from services.kernel.rejoin.plan import Horizon, Incoming, Own
from services.kernel.rejoin.reading import BusReader, RecordOfTopic
from services.kernel.store import dead_letters
from services.kernel.store.dead_letters import Letter
from services.kernel.store.journal import JournalEntry

ANY_SIZE = 2**31
"""An operator may since have let through an event that was once too large."""

EVERY_LETTER = 1_000_000


@dataclass
class Gathered:
    """The result. For an event that is on the bus several times, the last place counts: republished events
    are in the order of their journal."""

    own: dict[UUID, Own] = field(default_factory=dict)
    incoming: dict[UUID, Incoming] = field(default_factory=dict)
    letters: dict[UUID, Letter] = field(default_factory=dict)
    """The store's own open dead letters, by message."""
    horizons: dict[int, Horizon] = field(default_factory=dict)
    """By partition of the service's own topic, if its first events have left the bus."""
    partitions: int = 0
    contradictions: list[str] = field(default_factory=list)
    """Events whose number the journal has given to another event."""
    unread: list[str] = field(default_factory=list)
    """Records of the service's own topic that this program cannot read as its events."""

    def horizon(self, key: bytes) -> Horizon | None:
        """Return how far back the service's topic reaches for a child; None if it has the child's first
        event."""
        return self.horizons.get(partition_of(key, self.partitions)) if self.horizons else None


class Gathering:
    """Compares the bus with one service's store. Changes nothing."""

    def __init__(self, service: Service[Any], engine: Engine, bus: BusReader) -> None:
        self._service = service
        self._engine = engine
        self._bus = bus
        types = {event_class.wire_type: event_class for event_class in service.handlers}
        self._reception = Subscriber(service.name, types, ANY_SIZE)

    async def gather(self) -> Gathered:
        """Return what the store does not know. Uses memory only for that, not for what it knows.

        Raises KafkaError when the broker stops answering.
        """
        found = Gathered()
        await self._own(found)
        await self._letters(found)
        topics = self._service.reads
        marks = await self._bus.acknowledged(self._service.name, [topic.name for topic in topics])
        for topic in topics:
            async for chunk in self._bus.read(topic.name):
                await self._incoming(found, topic, chunk, marks)
        return found

    async def _own(self, found: Gathered) -> None:
        topic = self._service.publishes
        begins = await self._bus.first_offsets(topic.name)
        found.partitions = len(begins)
        quiet = SystemClock().now() - timedelta(days=topic.retention_days)
        found.horizons = {
            partition: Horizon(None, int(quiet.timestamp() * 1000))
            for partition, begin in begins.items()
            if begin > 0
        }
        async for chunk in self._bus.read(topic.name):
            events = [(read, own_event(read, source=f"/leadline/{self._service.name}")) for read in chunk]
            found.unread += [
                f"{topic.name}/{read.record.partition}/{read.record.offset}"
                for read, event in events
                if event is None
            ]
            for read, event in events:
                partition = read.record.partition
                if event is not None and found.horizons.get(partition, Horizon(event.time, 0)).time is None:
                    found.horizons[partition] = Horizon(event.time, event.published_at)
            await self._lost(found, [event for _, event in events if event is not None])

    async def _lost(self, found: Gathered, events: Sequence[Own]) -> None:
        """Keep the events that are missing from the journal."""
        if not events:
            return
        async with self._engine.connect() as connection:
            known = await rejoin_store.in_journal(connection, [_place(event) for event in events])
        for event in events:
            there = known.get(_place(event))
            if there is None:
                found.own.pop(event.entry.event_id, None)
                found.own[event.entry.event_id] = event
            elif there != event.entry.event_id:
                found.contradictions.append(str(event.entry.event_id))

    async def _letters(self, found: Gathered) -> None:
        """Add those that have since led to an event of this service: they have been replayed."""
        async with self._engine.connect() as connection:
            letters = await dead_letters.list_letters(
                connection, states=["parked", "waiting"], limit=EVERY_LETTER
            )
        found.letters = {letter.message_id: letter for letter in letters}
        causes = {own.entry.causation_id for own in found.own.values()}
        for letter in letters:
            arrival = self._reception.receive(letter.record)
            if arrival is not None and letter.message_id in causes:
                found.incoming[letter.message_id] = _incoming(arrival, 0, acknowledged=True)

    async def _incoming(
        self,
        found: Gathered,
        topic: Topic,
        chunk: Sequence[RecordOfTopic],
        marks: Mapping[tuple[str, int], int],
    ) -> None:
        arrivals = [
            (read, arrival) for read in chunk if (arrival := self._reception.receive(read.record)) is not None
        ]
        if not arrivals:
            return
        async with self._engine.connect() as connection:
            known = await rejoin_store.known_messages(connection, [one.message_id for _, one in arrivals])
        for read, arrival in arrivals:
            if arrival.message_id in known:
                continue
            mark = marks.get((read.record.topic, read.record.partition))
            earlier = found.incoming.pop(arrival.message_id, None)
            found.incoming[arrival.message_id] = _incoming(
                arrival,
                read.published_at,
                acknowledged=(earlier is not None and earlier.acknowledged)
                or mark is None
                or read.record.offset < mark,
                from_partner=topic.owner == "partners",
            )


def own_event(read: RecordOfTopic, *, source: str) -> Own | None:
    """Return the journal entry that a record of the own topic was made from; None when it is not ours."""
    try:
        envelope = envelopes.decode(read.record)
        event_class = REGISTRY.get(envelope.type)
        if envelope.source != source or event_class is None:
            return None
        event = event_class.model_validate_json(envelope.data)
        return Own(_entry(envelope, event), envelope.time.astimezone(UTC), event, read.published_at)
    except (InvalidMessage, ValidationError, ValueError):
        return None


def child_of(arrival: Arrival) -> bytes:
    """Return the key that groups a child's events, even for a message without a key."""
    if arrival.event is not None:
        return str(arrival.event.child_id).encode()
    return key_of(arrival.record)


def key_of(record: Record) -> bytes:
    """Return a record's key in the form of our own events; empty for a record without one."""
    return (record.key or b"").lower()


def _entry(envelope: Envelope, event: Event) -> JournalEntry:
    """Return the entry. Raises ValueError if it lacks something that all our events carry."""
    if envelope.sequence is None:
        message = "an event of ours has a number"
        raise ValueError(message)
    return JournalEntry(
        ids.read(envelope.id),
        envelope.type,
        event.subject,
        envelope.sequence,
        event.child_id,
        ids.read(envelope.correlationid or ""),
        ids.read(envelope.causationid or ""),
        envelope.data.decode(),
    )


def _place(event: Own) -> tuple[UUID, int]:
    return event.entry.subject, event.entry.sequence


def _incoming(
    arrival: Arrival, published_at: int, *, acknowledged: bool, from_partner: bool = False
) -> Incoming:
    try:
        time = envelopes.decode(arrival.record).time
    except InvalidMessage:
        time = datetime.fromtimestamp(published_at / 1000, UTC)
    return Incoming(arrival, time.astimezone(UTC), published_at, acknowledged, from_partner)
