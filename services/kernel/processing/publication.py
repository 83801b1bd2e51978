"""Turns the results of handlers into journal entries: numbers, ids and deadlines, in one transaction."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import NamedTuple, Self
from uuid import UUID

from schemas.events import Event
from schemas.topics import LARGEST_EVENT_BYTES
from services.kernel.deadlines import policy as deadlines
from services.kernel.deadlines.policy import (
    Deadline,
    DeadlineEvent,
    Extend,
    Intent,
    Meet,
    Pause,
    Schedule,
    Waive,
)
from services.kernel.messages.faults import InvalidMessage
from services.kernel.messages.ids import derived
from services.kernel.postgres.connection import Connection
from services.kernel.processing.service import B, Book, Context, Produced, Store, Unpublished
from services.kernel.store import deadlines as deadline_store
from services.kernel.store import journal
from services.kernel.store.journal import JournalEntry

INTENTS = (Schedule, Meet, Waive, Extend, Pause)
"""For `isinstance`: far cheaper than `isinstance` with Event, which pydantic evaluates."""


class Numbered(NamedTuple):
    """An event with its aggregate's version, or an intent, with the context in which it was decided."""

    item: Event | Intent
    sequence: int
    context: Context


def number(book: Book, produced: Sequence[Produced], context: Context) -> list[Numbered]:
    """Apply a handler's results to the book; return those to publish, with events numbered."""
    numbered = []
    for item in produced:
        if isinstance(item, INTENTS):
            numbered.append(Numbered(item, 0, context))
        elif isinstance(item, Unpublished):
            item.change(book)
        else:
            numbered.append(Numbered(item, book.apply(item), context))
    return numbered


class Publication:
    """The events that one transaction publishes. The database writes a part while the next is decided.

    A context manager: however it exits, none of its statements is still running. Call `finish` at its end.
    """

    def __init__(self, connection: Connection, *, now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._known: dict[UUID, Deadline] = {}
        self._changed: dict[UUID, Deadline] = {}
        self._begun: set[UUID] = set()
        self._entries: list[JournalEntry] = []
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the running statement: the connection cannot roll back before it ends."""
        if self._writing is not None:
            self._writing.cancel()
            # Its own exception, if any, is not what ended the transaction.
            await asyncio.gather(self._writing, return_exceptions=True)

    async def add(self, produced: Sequence[Numbered]) -> list[Event]:
        """Turn intents into deadline events, and keep all events for the journal, in order; return them."""
        ids = await self._deadlines_of(produced)
        events: list[Event] = []
        for item, sequence, context in produced:
            if not isinstance(item, INTENTS):
                events.append(item)
                self._entries.append(entry(item, sequence, context))
                continue
            deadline = self._known[next(ids)]
            for event in deadlines.decide(deadline, item, now=context.now):
                deadline = deadlines.evolve(deadline, event)
                events.append(event)
                self._entries.append(entry(event, deadline.version, context))
                self._changed[deadline.deadline_id] = self._known[deadline.deadline_id] = deadline
        return events

    async def write(self) -> None:
        """Send what was added to the journal; return while the database is still writing."""
        await self.written()
        entries, self._entries = self._entries, []
        self._writing = asyncio.create_task(journal.append(self._connection, entries, now=self._now))
        await asyncio.sleep(0)  # the task sends its statement now, not after the caller's next decisions

    async def written(self) -> None:
        """Return when the connection is free again. Raises the running statement's exception, if any."""
        if self._writing is not None:
            await self._writing
            self._writing = None

    async def finish(self) -> None:
        """Write the deadlines and the remaining journal entries."""
        await self.written()
        await deadline_store.save(self._connection, list(self._changed.values()))
        await journal.append(self._connection, self._entries, now=self._now)

    async def _deadlines_of(self, produced: Sequence[Numbered]) -> Iterator[UUID]:
        """Load every deadline that the intents concern; return their ids, in order."""
        # A new aggregate cannot have deadlines yet, so they are not queried. If one existed all the same, the
        # journal would refuse a second first event, and so the transaction.
        self._begun |= {item.subject for item, sequence, _ in produced if sequence == 1}  # type: ignore[union-attr]
        intents = [item for item, _, _ in produced if isinstance(item, INTENTS)]
        ids = [deadlines.id_of(intent) for intent in intents]
        unknown = {}
        for deadline_id, intent in zip(ids, intents, strict=True):
            if deadline_id in self._known:
                continue
            if intent.about in self._begun:
                self._known[deadline_id] = Deadline(deadline_id)
            else:
                unknown[deadline_id] = intent
        if unknown:
            await self.written()
            self._known |= await deadline_store.load(self._connection, unknown)
        return iter(ids)


async def publish(connection: Connection, produced: Sequence[Numbered], *, now: datetime) -> list[Event]:
    """Turn intents into deadline events, keep the deadlines table, append everything to the journal.

    Returns the events in the order in which they were appended.
    """
    async with Publication(connection, now=now) as publication:
        events = await publication.add(produced)
        await publication.finish()
        return events


async def write(
    connection: Connection, store: Store[B], book: B, produced: Sequence[Numbered], *, now: datetime
) -> list[Event]:
    """Write a decision as one unit of work: the book's new state, then its events.

    Returns the events as they were appended. The caller commits.
    """
    await store.save(connection, book)
    return await publish(connection, produced, now=now)


def entry(event: Event, sequence: int, context: Context) -> JournalEntry:
    """Return the journal entry of an event. Its id is derived from the cause, so a second run makes the same.

    Raises InvalidMessage for an event too large for its readers, so that its cause is refused or parked
    before anything is committed.
    """
    subject, wire_type, data = event.subject, event.wire_type, event.encode()
    if len(data) > LARGEST_EVENT_BYTES:
        words = f"{wire_type} would have {len(data)} bytes, {LARGEST_EVENT_BYTES} are allowed"
        raise InvalidMessage("too_large", words)
    return JournalEntry(
        derived(context.cause, f"{wire_type}/{subject}/{sequence}"),
        wire_type,
        subject,
        sequence,
        event.child_id,
        context.correlation,
        context.cause,
        data.decode(),
    )


def deadline_entries(
    deadline: Deadline, events: Iterable[DeadlineEvent], context: Context
) -> tuple[Deadline, list[JournalEntry]]:
    """Return a deadline after its events, and their journal entries."""
    entries = []
    for event in events:
        deadline = deadlines.evolve(deadline, event)
        entries.append(entry(event, deadline.version, context))
    return deadline, entries
