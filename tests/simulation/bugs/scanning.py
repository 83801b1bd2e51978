"""Mistakes of a due-scanner: too early, too often, not at all."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from unittest.mock import patch

from services.kernel.deadlines import policy as deadlines
from services.kernel.deadlines.policy import Deadline, DeadlineEvent
from services.kernel.postgres.connection import Connection
from services.kernel.postgres.database import is_transient
from services.kernel.processing import due_scanner as scanner
from services.kernel.processing.due_scanner import DeadlineScanner
from services.kernel.processing.publication import deadline_entries
from services.kernel.processing.service import Context
from services.kernel.store import deadlines as deadline_store
from services.kernel.store.journal import JournalEntry

GRACE = timedelta(minutes=10)


def raised_without_marking() -> AbstractContextManager[object]:
    """Raises a state and does not write how far the deadline has come."""

    async def save_raised(_: Connection, _deadlines: Sequence[Deadline]) -> None:
        return

    return patch.object(deadline_store, "save_raised", save_raised)


def marked_without_raising() -> AbstractContextManager[object]:
    """Writes how far a deadline has come and tells nobody."""

    def silent(
        deadline: Deadline, events: Sequence[DeadlineEvent], context: Context
    ) -> tuple[Deadline, list[JournalEntry]]:
        after, _ = deadline_entries(deadline, events, context)
        return after, []

    return patch.object(scanner, "deadline_entries", silent)


@contextmanager
def raised_early() -> Iterator[None]:
    """Counts the minutes up to its next look as passed."""
    claim_due, raise_due = deadline_store.claim_due, deadlines.raise_due

    async def claim(connection: Connection, *, now: datetime, limit: int) -> list[Deadline]:
        return await claim_due(connection, now=now + GRACE, limit=limit)

    def raised(deadline: Deadline, *, now: datetime) -> list[DeadlineEvent]:
        return [event.model_copy(update={"raised_at": now}) for event in raise_due(deadline, now=now + GRACE)]

    with patch.object(deadline_store, "claim_due", claim), patch.object(deadlines, "raise_due", raised):
        yield


def missed_state_skipped() -> AbstractContextManager[object]:
    """Raises only where a deadline stands now: a scanner that was away leaves out what came before."""
    raise_due = deadlines.raise_due

    def last(deadline: Deadline, *, now: datetime) -> list[DeadlineEvent]:
        return raise_due(deadline, now=now)[-1:]

    return patch.object(deadlines, "raise_due", last)


def given_up_after_a_failure() -> AbstractContextManager[object]:
    """Looks no more once the database was away."""
    raise_all = DeadlineScanner._raise_all
    given_up: list[DeadlineScanner] = []

    async def look(self: DeadlineScanner) -> None:
        if any(each is self for each in given_up):
            return
        try:
            await raise_all(self)
        except Exception as error:
            if is_transient(error):
                given_up.append(self)
            raise

    return patch.object(DeadlineScanner, "_raise_all", look)
