"""Mistakes about transactions: what belongs into one, and what is known when its commit was not answered."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any
from unittest.mock import patch
from uuid import UUID
from weakref import WeakKeyDictionary

from services.kernel.deadlines.policy import Deadline
from services.kernel.messages.arrivals import Arrival
from services.kernel.postgres.connection import Connection, Engine
from services.kernel.postgres.database import is_transient
from services.kernel.processing.batches import BatchProcessor, Tally
from services.kernel.processing.publication import Publication
from services.kernel.store import inbox, journal
from services.kernel.store.journal import JournalEntry

_engine: ContextVar[Engine | None] = ContextVar("_engine", default=None)
"""The store of the delivery at work: a statement that leaves its transaction needs another connection."""


@contextmanager
def _engine_known() -> Iterator[None]:
    work = BatchProcessor._work

    async def noted(self: BatchProcessor[Any], connection: Connection, arrivals: Sequence[Arrival]) -> Tally:
        before = _engine.set(self._engine)
        try:
            return await work(self, connection, arrivals)
        finally:
            _engine.reset(before)

    with patch.object(BatchProcessor, "_work", noted):
        yield


@contextmanager
def claim_outside_the_transaction() -> Iterator[None]:
    """Commits the claim first: what fails after it counts as handled for ever."""
    claim = inbox.claim

    async def claim_first(connection: Connection, ids: Sequence[UUID], *, now: datetime) -> set[UUID]:
        engine = _engine.get()
        if engine is None:
            return await claim(connection, ids, now=now)
        async with engine.begin() as own:
            return await claim(own, ids, now=now)

    with _engine_known(), patch.object(inbox, "claim", claim_first):
        yield


@contextmanager
def journal_outside_the_transaction() -> Iterator[None]:
    """Commits journal and outbox first: what is then rolled back has been published."""
    append = journal.append

    async def append_first(connection: Connection, entries: Sequence[JournalEntry], *, now: datetime) -> None:
        engine = _engine.get()
        if engine is None:
            await append(connection, entries, now=now)
            return
        async with engine.begin() as own:
            await append(own, entries, now=now)

    with _engine_known(), patch.object(journal, "append", append_first):
        yield


def commit_taken_for_granted() -> AbstractContextManager[object]:
    """Takes a commit whose answer was lost for done: where it was not, everything in it is gone."""
    retrying = BatchProcessor._retrying

    async def once(self: BatchProcessor[Any], arrivals: Sequence[Arrival]) -> Tally:
        done: Tally | None = None
        try:
            async with self._engine.begin() as connection:
                done = await self._work(connection, arrivals)
        except Exception as error:
            if not is_transient(error):
                raise
            if done is None:
                return await retrying(self, arrivals)
        return done

    return patch.object(BatchProcessor, "_retrying", once)


@contextmanager
def deadlines_from_memory() -> Iterator[None]:
    """Remembers deadlines and their numbers instead of reading them: also what was rolled back since."""
    begin = Publication.__init__
    memories: WeakKeyDictionary[Engine, dict[UUID, Deadline]] = WeakKeyDictionary()

    def remember(self: Publication, connection: Connection, *, now: datetime) -> None:
        begin(self, connection, now=now)
        engine = _engine.get()
        if engine is not None:
            self._known = memories.setdefault(engine, {})

    with _engine_known(), patch.object(Publication, "__init__", remember):
        yield
