"""What the kernel relies on in a database: the same on the fake and on PostgreSQL."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import pytest
from asyncpg import (
    DeadlockDetectedError,
    InFailedSQLTransactionError,
    InterfaceError,
    PostgresError,
    UniqueViolationError,
)

from services.kernel.deadlines.policy import Deadline
from services.kernel.deadlines.rules import DeadlineDates as Dates
from services.kernel.messages.record import Record
from services.kernel.postgres.connection import Connection
from services.kernel.store import dead_letters, deadlines, inbox, journal
from services.kernel.store.dead_letters import Letter
from services.kernel.store.journal import JournalEntry
from services.kernel.store.relaying import Mark
from tests.simulation.contract.conftest import Store

NOW = datetime(2026, 9, 7, 9, 0, tzinfo=UTC)
ONE, TWO, THREE = (UUID(int=number) for number in (1, 2, 3))

T = TypeVar("T")


async def waits(working: "asyncio.Task[T]") -> bool:
    """Return whether a task is still at it after a while."""
    done, _ = await asyncio.wait([working], timeout=0.2)
    return not done


def started(work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    return asyncio.create_task(work)


def entry(subject: UUID, sequence: int) -> JournalEntry:
    event_id = UUID(int=subject.int * 1000 + sequence)
    return JournalEntry(event_id, "plan.reviewed.v1", subject, sequence, subject, ONE, ONE, "{}")


async def claim(store: Store, *ids: UUID, fails: bool = False) -> set[UUID]:
    """Claim in a transaction of its own."""
    async with store.engine.begin() as connection:
        claimed = await inbox.claim(connection, ids, now=NOW)
        if fails:
            raise KeyboardInterrupt
    return claimed


async def append(store: Store, *entries: JournalEntry) -> None:
    async with store.engine.begin() as connection:
        await journal.append(connection, entries, now=NOW)


async def pending(store: Store, limit: int = 100) -> list[tuple[int, int]]:
    """Return subject and number of what is not yet published, in order."""
    async with store.relaying() as relaying:
        return [(UUID(row.subject).int, row.sequence) for row in await relaying.pending(limit)]


class Held:
    """A transaction that stays open until it is told how to end."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._end: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._open: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._hold())

    async def connection(self) -> Connection:
        """Return its connection."""
        return await self._open

    async def end(self, *, commit: bool) -> None:
        """Commit or roll back."""
        self._end.set_result(commit)
        await self._task

    async def _hold(self) -> None:
        try:
            async with self._store.engine.begin() as connection:
                self._open.set_result(connection)
                if not await self._end:
                    raise LookupError
        except LookupError:
            pass


async def test_a_message_is_claimed_once(store: Store) -> None:
    """In one call, in a later one, and by whoever else asks: new ones only."""
    assert await claim(store, ONE, TWO, ONE) == {ONE, TWO}
    assert await claim(store, TWO, THREE) == {THREE}


@pytest.mark.parametrize(("commits", "left"), [(True, set()), (False, {ONE})])
async def test_a_claim_waits_for_the_outcome_of_another_one(
    store: Store, commits: bool, left: set[UUID]
) -> None:
    """It gets the message when the other one's transaction fails, and only then."""
    held = Held(store)
    assert await inbox.claim(await held.connection(), [ONE], now=NOW) == {ONE}
    second = started(claim(store, ONE))
    assert await waits(second)
    await held.end(commit=commits)
    assert await second == left


async def test_claims_that_cross_are_told_apart_as_a_deadlock(store: Store) -> None:
    """One of the two fails and can be tried again; the other goes on."""
    first, second = Held(store), Held(store)
    await inbox.claim(await first.connection(), [ONE], now=NOW)
    await inbox.claim(await second.connection(), [TWO], now=NOW)
    crossing = [
        started(inbox.claim(await first.connection(), [TWO], now=NOW)),
        started(inbox.claim(await second.connection(), [ONE], now=NOW)),
    ]
    # An aborted transaction lets go of its locks at once: the winner may be through by then, too.
    done, _ = await asyncio.wait(crossing, timeout=10, return_when=asyncio.FIRST_EXCEPTION)
    (error,) = [task.exception() for task in done if task.exception() is not None]
    assert isinstance(error, DeadlockDetectedError)
    loses_first = crossing[0].done() and crossing[0].exception() is error
    await (first if loses_first else second).end(commit=False)
    assert await crossing[1 if loses_first else 0] == {ONE if loses_first else TWO}
    await (second if loses_first else first).end(commit=True)


async def test_what_is_rolled_back_never_was(store: Store) -> None:
    """The claim, the journal and the outbox go together."""
    with pytest.raises(KeyboardInterrupt):
        await claim(store, ONE, fails=True)
    assert await claim(store, ONE) == {ONE}
    held = Held(store)
    await journal.append(await held.connection(), [entry(ONE, 1)], now=NOW)
    assert await pending(store) == []
    await held.end(commit=False)
    assert await pending(store) == []


async def test_an_aggregate_has_one_event_of_each_number(store: Store) -> None:
    """A second one is refused, and with it everything its transaction did."""
    await append(store, entry(ONE, 1))
    with pytest.raises(UniqueViolationError):
        await append(store, entry(TWO, 1), entry(ONE, 1))
    assert await pending(store) == [(1, 1)]


@pytest.mark.parametrize("commits", [True, False])
async def test_a_number_that_another_transaction_takes_is_waited_for(store: Store, commits: bool) -> None:
    """Its outcome decides."""
    held = Held(store)
    await journal.append(await held.connection(), [entry(ONE, 1)], now=NOW)
    second = started(append(store, entry(ONE, 1)))
    assert await waits(second)
    await held.end(commit=commits)
    if commits:
        with pytest.raises(UniqueViolationError):
            await second
    else:
        await second
    assert await pending(store) == [(1, 1)]


async def test_after_a_statement_that_failed_nothing_more_is_done(store: Store) -> None:
    """Who swallows the error and commits has written nothing, and is not told so."""
    await append(store, entry(ONE, 1))
    async with store.engine.begin() as connection:
        await inbox.claim(connection, [TWO], now=NOW)
        with pytest.raises(UniqueViolationError):
            await journal.append(connection, [entry(ONE, 1)], now=NOW)
        with pytest.raises(InFailedSQLTransactionError):
            await inbox.claim(connection, [THREE], now=NOW)
    assert await claim(store, TWO, THREE) == {TWO, THREE}


async def test_a_connection_takes_one_statement_at_a_time(store: Store) -> None:
    """The second one is refused while the first is under way."""
    blocker = Held(store)
    await inbox.claim(await blocker.connection(), [ONE], now=NOW)
    held = Held(store)
    first = started(inbox.claim(await held.connection(), [ONE], now=NOW))
    assert await waits(first)
    with pytest.raises(InterfaceError):
        await inbox.claim(await held.connection(), [TWO], now=NOW)
    await blocker.end(commit=True)
    assert await first == set()
    await held.end(commit=True)


async def test_positions_are_not_given_back_and_may_become_visible_out_of_order(store: Store) -> None:
    """What was appended first and is committed last has the lower position all the same."""
    held = Held(store)
    await journal.append(await held.connection(), [entry(ONE, 1)], now=NOW)
    await append(store, entry(TWO, 1))
    assert await pending(store) == [(2, 1)]
    await held.end(commit=True)
    assert await pending(store) == [(1, 1), (2, 1)]
    assert await pending(store, limit=1) == [(1, 1)]


async def test_who_listens_is_woken_by_a_commit_and_by_nothing_else(store: Store) -> None:
    """Neither the statement nor a rollback wakes anybody."""
    woken = asyncio.Event()
    async with store.relaying() as relaying:
        await relaying.listen(woken.set)
        for commits in (False, True):
            held = Held(store)
            await journal.append(await held.connection(), [entry(ONE, 1)], now=NOW)
            await asyncio.sleep(0.1)
            assert not woken.is_set()
            await held.end(commit=commits)
            if not commits:
                await asyncio.sleep(0.1)
                assert not woken.is_set()
        async with asyncio.timeout(5):
            await woken.wait()


@pytest.mark.parametrize("breaks", [True, False])
async def test_one_relay_holds_the_lock_until_its_connection_ends(store: Store, breaks: bool) -> None:
    """However it ends: another one gets it then."""
    async with store.relaying() as second:
        with suppress(LookupError):
            async with store.relaying() as first:
                assert await first.try_lock()
                assert not await second.try_lock()
                if breaks:
                    raise LookupError
        async with asyncio.timeout(5):
            while not await second.try_lock():
                await asyncio.sleep(0.02)


async def test_what_is_sent_leaves_the_outbox_with_its_marks(store: Store) -> None:
    """In one statement; a later mark replaces an earlier one."""
    await append(store, entry(ONE, 1), entry(ONE, 2), entry(ONE, 3))
    async with store.relaying() as relaying:
        rows = await relaying.pending(2)
        await relaying.sent([row.position for row in rows], {0: 2, 3: 7}, cluster_id="a")
        assert [row.sequence for row in await relaying.pending(9)] == [3]
        await relaying.sent([], {0: 9}, cluster_id="b")
        assert await relaying.marks() == {0: Mark("b", 9), 3: Mark("a", 7)}


async def test_the_whole_journal_can_be_made_pending_again(store: Store) -> None:
    """What is pending already is not counted, and the marks are forgotten."""
    await append(store, entry(ONE, 1), entry(ONE, 2))
    async with store.relaying() as relaying:
        (first, _) = await relaying.pending(9)
        await relaying.sent([first.position], {0: 1}, cluster_id="a")
        assert await relaying.requeue_all() == 1
        assert [row.sequence for row in await relaying.pending(9)] == [1, 2]
        assert await relaying.marks() == {}
        assert await relaying.count_pending() == 2


def deadline(number: int) -> Deadline:
    """Return a deadline that is due soon `number` minutes after NOW."""
    soon = NOW + timedelta(minutes=number)
    child = UUID(int=100 + number)
    dates = Dates(soon, soon + timedelta(days=1), soon + timedelta(days=2))
    return Deadline(UUID(int=number), 1, "scheduled", child, child, None, "kind", "1", NOW, dates)


async def given_deadlines(store: Store, *numbers: int) -> None:
    async with store.engine.begin() as connection:
        await deadlines.save(connection, [deadline(number) for number in numbers])


async def due(connection: Connection, limit: int = 9) -> list[int]:
    claimed = await deadlines.claim_due(connection, now=NOW + timedelta(minutes=4), limit=limit)
    return [found.deadline_id.int for found in claimed]


async def test_due_deadlines_are_shared_and_the_first_come_first(store: Store) -> None:
    """What another scanner holds is passed over without waiting; what is not due is left."""
    await given_deadlines(store, 3, 1, 5, 2)
    held = Held(store)
    assert await due(await held.connection(), limit=2) == [1, 2]
    async with store.engine.begin() as connection:
        assert await due(connection) == [3]
    await held.end(commit=False)
    async with store.engine.begin() as connection:
        assert await due(connection) == [1, 2, 3]


async def test_a_locked_deadline_is_waited_for_and_read_as_it_then_is(store: Store) -> None:
    """Who loads it later sees what the one before has written."""
    await given_deadlines(store, 1)
    held = Held(store)
    before = (await deadlines.load(await held.connection(), [ONE]))[ONE]
    assert before == deadline(1)

    async def version() -> int:
        async with store.engine.begin() as connection:
            return (await deadlines.load(connection, [ONE]))[ONE].version

    second = started(version())
    assert await waits(second)
    raised = Deadline(ONE, 2, "due_soon", before.about, dates=before.dates)
    await deadlines.save_raised(await held.connection(), [raised])
    await held.end(commit=True)
    assert await second == 2


async def test_saving_again_keeps_what_a_deadline_is_about(store: Store) -> None:
    """Its dates and state change; its child and kind stay."""
    await given_deadlines(store, 1)
    other = Deadline(ONE, 2, "met", TWO, TWO, THREE, "another kind", "2", NOW, deadline(2).dates)
    async with store.engine.begin() as connection:
        await deadlines.save(connection, [other])
        found = (await deadlines.load(connection, [ONE, TWO]))[ONE]
        assert await due(connection) == []
    expected = deadline(1)
    assert (found.about, found.child_id, found.kind) == (expected.about, expected.child_id, "kind")
    assert (found.version, found.state, found.dates, found.case_id) == (2, "met", other.dates, THREE)


def letter(
    number: int, state: dead_letters.State, key: bytes = b"a", handled_before: int | None = None
) -> Letter:
    record = Record("topic", 0, number, key, b"{}", (("h", b"\xff"), ("n", None)))
    message_id = UUID(int=900 + number)
    return Letter(
        UUID(int=number), state, record, message_id, "t", "failed", "words", handled_before=handled_before
    )


async def test_letters_are_set_aside_once_and_hold_up_their_case(store: Store) -> None:
    """The second time only the new one is; keys without an open letter are free."""
    async with store.engine.begin() as connection:
        assert await dead_letters.park(connection, [letter(1, "parked")], now=NOW) == {ONE}
    async with store.engine.begin() as connection:
        both = [letter(1, "parked"), letter(2, "waiting")]
        assert await dead_letters.park(connection, both, now=NOW) == {TWO}
        assert await dead_letters.blocked(connection, [b"a", b"b"]) == {b"a"}
        await dead_letters.settle(connection, ONE, state="discarded", by="tester", now=NOW)
        await dead_letters.settle(connection, TWO, state="replayed", by="tester", now=NOW)
        assert await dead_letters.blocked(connection, [b"a"]) == set()


async def test_what_waits_is_released_in_order_up_to_the_next_parked_one(store: Store) -> None:
    """In the order of arrival; a record comes back as it was."""
    letters = [letter(1, "parked"), letter(2, "waiting"), letter(3, "waiting", b"b"), letter(4, "waiting")]
    async with store.engine.begin() as connection:
        await dead_letters.park(connection, letters, now=NOW)
        assert await dead_letters.waiting_behind(connection, b"a") == []
        await dead_letters.settle(connection, ONE, state="discarded", by="tester", now=NOW)
        behind = await dead_letters.waiting_behind(connection, b"a")
        assert [found.record for found in behind] == [letters[1].record, letters[3].record]
        await dead_letters.failed_again(connection, TWO, reason="failed", words="again", traceback=None)
        assert await dead_letters.waiting_behind(connection, b"a") == []
        found = await dead_letters.get(connection, TWO)
        assert found is not None
        assert (found.state, found.attempts, found.words) == ("parked", 2, "again")


async def test_failures_that_count_are_told_of_until_they_are_settled_or_old(store: Store) -> None:
    """The latest first and no more than asked; not what waits, nor what was never counted."""
    letters = [
        letter(1, "parked", b"a", 7),
        letter(2, "waiting", b"a"),
        letter(3, "parked", b"b", 0),
        letter(4, "parked", b"c"),
        letter(5, "parked", b"d", 2),
        letter(6, "parked", b"e", 3),
    ]
    before, after = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)
    async with store.engine.begin() as connection:
        await dead_letters.park(connection, letters, now=NOW)
        found = await dead_letters.failed_since(connection, before, limit=10)
        assert [(key, handled) for _, key, _, handled in found] == [
            (b"e", 3),
            (b"d", 2),
            (b"b", 0),
            (b"a", 7),
        ]
        assert found[0][0::2] == ("topic", "words")
        assert await dead_letters.failed_since(connection, before, limit=2) == found[:2]
        assert await dead_letters.failed_since(connection, after, limit=10) == []
        await dead_letters.settle(connection, UUID(int=5), state="replayed", by="tester", now=NOW)
        await dead_letters.failed_again(connection, ONE, reason="rejected", words="no", traceback=None)
        left = await dead_letters.failed_since(connection, before, limit=10)
        assert [key for _, key, _, _ in left] == [b"e", b"b"]


async def test_a_cancelled_statement_leaves_its_transaction_to_be_rolled_back(store: Store) -> None:
    """And its connection is as good as new for whoever gets it next."""
    held = Held(store)
    await inbox.claim(await held.connection(), [ONE], now=NOW)
    second = started(claim(store, TWO, ONE))
    assert await waits(second)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await held.end(commit=False)
    assert await claim(store, ONE, TWO) == {ONE, TWO}


async def test_what_fails_is_one_of_the_driver_s_errors(store: Store) -> None:
    """Callers tell errors apart by asyncpg's classes, on either stage."""
    await append(store, entry(ONE, 1))
    with pytest.raises(PostgresError) as caught:
        await append(store, entry(ONE, 1))
    assert caught.value.sqlstate == "23505"
