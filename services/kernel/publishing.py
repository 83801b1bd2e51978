"""From what handlers produced to journal entries: numbers, ids and deadlines, in one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from schemas.events import Event
from services.kernel import deadlines
from services.kernel.connection import Connection
from services.kernel.deadlines import Deadline, DeadlineEvent, Intent
from services.kernel.service import Book, Occasion, Produced
from services.kernel.store import deadlines as deadline_store
from services.kernel.store import journal
from services.kernel.store.journal import Entry


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event with its aggregate's version, or an intent, and the occasion that produced it."""

    item: Event | Intent
    sequence: int
    occasion: Occasion


def number(book: Book, produced: Sequence[Produced], occasion: Occasion) -> list[Numbered]:
    """Apply what a handler produced to the book and number its events."""
    return [Numbered(item, book.apply(item) if isinstance(item, Event) else 0, occasion) for item in produced]


async def publish(connection: Connection, produced: Sequence[Numbered], *, now: datetime) -> list[Event]:
    """Turn intents into deadline events, keep the deadlines table, append everything to the journal.

    Returns the events in the order in which they were appended.
    """
    if not produced:
        return []
    intents = [numbered.item for numbered in produced if not isinstance(numbered.item, Event)]
    known = await deadline_store.load(connection, map(deadlines.id_of, intents)) if intents else {}
    changed: dict[UUID, Deadline] = {}
    entries: list[Entry] = []
    events: list[Event] = []
    for numbered in produced:
        if isinstance(numbered.item, Event):
            events.append(numbered.item)
            entries.append(entry(numbered.item, numbered.sequence, numbered.occasion))
            continue
        deadline = known[deadlines.id_of(numbered.item)]
        for event in deadlines.decide(deadline, numbered.item, now=numbered.occasion.now):
            deadline = deadlines.evolve(deadline, event)
            events.append(event)
            entries.append(entry(event, deadline.version, numbered.occasion))
            changed[deadline.deadline_id] = known[deadline.deadline_id] = deadline
    await deadline_store.save(connection, list(changed.values()))
    await journal.append(connection, entries, now=now)
    return events


def entry(event: Event, sequence: int, occasion: Occasion) -> Entry:
    """Return the journal entry of an event. Its id follows from the cause, so a second run makes the same."""
    return Entry(
        event_id=uuid5(occasion.cause, f"{event.wire_type}/{event.subject}/{sequence}"),
        type=event.wire_type,
        subject=event.subject,
        sequence=sequence,
        key=event.child_id,
        correlation_id=occasion.correlation,
        causation_id=occasion.cause,
        data=event.encode().decode(),
    )


def deadline_entries(
    deadline: Deadline, events: Iterable[DeadlineEvent], occasion: Occasion
) -> tuple[Deadline, list[Entry]]:
    """Return a deadline after its events, and their journal entries."""
    entries = []
    for event in events:
        deadline = deadlines.evolve(deadline, event)
        entries.append(entry(event, deadline.version, occasion))
    return deadline, entries
