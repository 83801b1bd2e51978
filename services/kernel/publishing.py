"""From what handlers produced to journal entries: numbers, ids and deadlines, in one transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from schemas.events import Event
from services.kernel import deadlines
from services.kernel.connection import Connection
from services.kernel.deadlines import (
    Deadline,
    DeadlineEvent,
    Extend,
    Intent,
    Meet,
    Pause,
    Schedule,
    Waive,
)
from services.kernel.ids import derived
from services.kernel.service import Book, Occasion, Produced
from services.kernel.store import deadlines as deadline_store
from services.kernel.store import journal
from services.kernel.store.journal import Entry

INTENTS = (Schedule, Meet, Waive, Extend, Pause)
"""For `isinstance`: far cheaper than asking whether something is an Event, which pydantic answers."""


class Numbered(NamedTuple):
    """An event with its aggregate's version, or an intent, and the occasion that produced it."""

    item: Event | Intent
    sequence: int
    occasion: Occasion


def number(book: Book, produced: Sequence[Produced], occasion: Occasion) -> list[Numbered]:
    """Apply what a handler produced to the book and number its events."""
    return [
        Numbered(item, 0 if isinstance(item, INTENTS) else book.apply(item), occasion) for item in produced
    ]


async def publish(connection: Connection, produced: Sequence[Numbered], *, now: datetime) -> list[Event]:
    """Turn intents into deadline events, keep the deadlines table, append everything to the journal.

    Returns the events in the order in which they were appended.
    """
    if not produced:
        return []
    ids = [deadlines.id_of(each.item) for each in produced if isinstance(each.item, INTENTS)]
    known = await deadline_store.load(connection, ids) if ids else {}
    changed: dict[UUID, Deadline] = {}
    entries: list[Entry] = []
    events: list[Event] = []
    following = iter(ids)
    for item, sequence, occasion in produced:
        if not isinstance(item, INTENTS):
            events.append(item)
            entries.append(entry(item, sequence, occasion))
            continue
        deadline = known[next(following)]
        for event in deadlines.decide(deadline, item, now=occasion.now):
            deadline = deadlines.evolve(deadline, event)
            events.append(event)
            entries.append(entry(event, deadline.version, occasion))
            changed[deadline.deadline_id] = known[deadline.deadline_id] = deadline
    await deadline_store.save(connection, list(changed.values()))
    await journal.append(connection, entries, now=now)
    return events


def entry(event: Event, sequence: int, occasion: Occasion) -> Entry:
    """Return the journal entry of an event. Its id follows from the cause, so a second run makes the same."""
    subject, wire_type = event.subject, event.wire_type
    return Entry(
        derived(occasion.cause, f"{wire_type}/{subject}/{sequence}"),
        wire_type,
        subject,
        sequence,
        event.child_id,
        occasion.correlation,
        occasion.cause,
        event.encode().decode(),
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
