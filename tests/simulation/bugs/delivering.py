"""Mistakes of a delivery: what counts as new, what is parked, and who waits."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any
from unittest.mock import patch
from uuid import UUID

from services.kernel.messages.arrivals import Arrival, Subscriber
from services.kernel.messages.record import Record
from services.kernel.postgres.connection import Connection
from services.kernel.postgres.database import is_transient
from services.kernel.processing import batches as delivery
from services.kernel.processing.batches import BatchProcessor, Tally
from services.kernel.processing.publication import Numbered
from services.kernel.store import dead_letters, inbox
from services.kernel.store.dead_letters import Letter


def claim_disabled() -> AbstractContextManager[object]:
    """Writes into the inbox as ever and takes every record for new."""
    claim = inbox.claim

    async def all_are_new(connection: Connection, ids: Sequence[UUID], *, now: datetime) -> set[UUID]:
        await claim(connection, ids, now=now)
        return set(ids)

    return patch.object(inbox, "claim", all_are_new)


def duplicates_of_one_batch_kept() -> AbstractContextManager[object]:
    """Asks the inbox about other batches only: what comes twice in one poll is handled twice."""

    def first(
        _: BatchProcessor[Any], arrivals: Sequence[Arrival], claimed: set[UUID], _tally: Tally
    ) -> list[Arrival]:
        return [arrival for arrival in arrivals if arrival.message_id in claimed]

    return patch.object(BatchProcessor, "_first", first)


def invalid_messages_skipped() -> AbstractContextManager[object]:
    """Passes over what it cannot read instead of setting it aside: nobody will ever look at it."""
    receive = Subscriber.receive

    def sound_or_nothing(self: Subscriber, record: Record) -> Arrival | None:
        arrival = receive(self, record)
        return None if arrival is None or arrival.fault is not None else arrival

    return patch.object(Subscriber, "receive", sound_or_nothing)


def refused_event_swallowed() -> AbstractContextManager[object]:
    """Logs that the database refused an event, and goes on with the next."""

    async def settle(
        self: BatchProcessor[Any], arrivals: Sequence[Arrival], tally: Tally, *, again: bool = False
    ) -> None:
        try:
            tally.counts.update((await self._retrying(arrivals)).counts)
        except Exception as error:
            if is_transient(error):
                raise
            if len(arrivals) > 1:
                middle = len(arrivals) // 2
                await self._settle(arrivals[:middle], tally)
                await self._settle(arrivals[middle:], tally)

    return patch.object(BatchProcessor, "_settle", settle)


def one_lost_in_halving() -> AbstractContextManager[object]:
    """Halves a batch and leaves out the event in the middle."""
    settle_whole = BatchProcessor._settle

    async def settle(
        self: BatchProcessor[Any], arrivals: Sequence[Arrival], tally: Tally, *, again: bool = False
    ) -> None:
        if len(arrivals) == 1:
            await settle_whole(self, arrivals, tally, again=again)
            return
        try:
            tally.counts.update((await self._retrying(arrivals)).counts)
        except Exception as error:
            if is_transient(error):
                raise
            middle = len(arrivals) // 2
            for half in (arrivals[:middle], arrivals[middle + 1 :]):
                if half:
                    await self._settle(half, tally)

    return patch.object(BatchProcessor, "_settle", settle)


def letters_not_written() -> AbstractContextManager[object]:
    """Counts what it parks, and keeps none of it."""

    async def park(_: Connection, _letters: Sequence[Letter], *, now: datetime) -> set[UUID]:
        return set()

    return patch.object(dead_letters, "park", park)


def nobody_waits() -> AbstractContextManager[object]:
    """Does not ask which cases have an event set aside: later polls overtake it."""

    async def blocked(_: Connection, _keys: Iterable[bytes]) -> set[bytes]:
        return set()

    return patch.object(dead_letters, "blocked", blocked)


class _Fixed(set[bytes]):
    """Takes in nothing more."""

    def add(self, _: bytes) -> None:
        return


def nobody_waits_in_one_batch() -> AbstractContextManager[object]:
    """Knows who must wait as of the batch's beginning: what fails within it is overtaken within it."""
    decide_all = BatchProcessor._decide_all

    def decide(
        self: BatchProcessor[Any],
        book: Any,
        arrivals: Sequence[Arrival],
        blocked: set[bytes],
        letters: list[Letter],
        tally: Tally,
        *,
        now: datetime,
    ) -> list[Numbered]:
        return decide_all(self, book, arrivals, _Fixed(blocked), letters, tally, now=now)

    return patch.object(BatchProcessor, "_decide_all", decide)


def busy_database_taken_for_poison() -> AbstractContextManager[object]:
    """Parks events because the database was away for a moment."""
    return patch.object(delivery, "is_transient", lambda _: False)


def refusal_taken_for_a_busy_database() -> AbstractContextManager[object]:
    """Tries what the database refuses again and again: one event holds up all that come after it."""
    return patch.object(delivery, "is_transient", lambda _: True)
