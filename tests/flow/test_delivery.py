"""Delivery: at least once in, exactly once in effect; the poison is parked, the rest flows, in order."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import cast
from uuid import UUID

import pytest
from asyncpg import CannotConnectNowError, UniqueViolationError

from schemas.events import Event, EventParked, PlanReviewed, ReferralAccepted
from services.kernel.messages.record import Record
from services.kernel.processing import publication
from services.kernel.processing.batches import PART, letter_of
from services.kernel.processing.service import Context, Handler, Produced
from services.kernel.store import dead_letters
from tests.builders import a_child, referral_accepted
from tests.flow import ledger
from tests.flow.conftest import Bench, MakeBench

pytestmark = pytest.mark.connected

NOW = datetime(2026, 9, 7, 9, 0, tzinfo=UTC)
HANDLER_FAILS, HANDLER_BREAKS, DATABASE_REFUSES = 3, 2, 4


def accepted(number: int, *, level: int = 1, referral: int | None = None) -> ReferralAccepted:
    """Return a referral that the ledger takes, unless its level is one of those above."""
    referral_id = None if referral is None else UUID(int=referral)
    return referral_accepted(a_child(number), referral_id=referral_id, level=level)


@pytest.fixture
async def bench_(bench: MakeBench) -> Bench:
    return await bench("assessment", ledger.build)


async def children_done(bench: Bench) -> list[int]:
    return [event.child_id.int for event in await bench.journal() if isinstance(event, PlanReviewed)]


async def letters(bench: Bench) -> list[tuple[str, str]]:
    rows = await bench.rows("SELECT state, reason FROM dead_letters ORDER BY arrived")
    return [(row[0], row[1]) for row in rows]


async def test_a_batch_with_duplicates_has_each_event_in_effect_once(bench_: Bench) -> None:
    """Duplicates inside a poll and across polls change nothing."""
    events = [accepted(child) for child in range(1, 11)]
    await bench_.deliver(*events, *events)
    await bench_.deliver(*reversed(events))
    assert await children_done(bench_) == list(range(1, 11))


@pytest.mark.parametrize(
    ("level", "reason"),
    [(HANDLER_FAILS, "rejected"), (HANDLER_BREAKS, "failed"), (DATABASE_REFUSES, "failed")],
)
@pytest.mark.parametrize("place", [0, 37, 99])
async def test_one_poison_event_is_parked_and_all_others_are_handled(
    bench_: Bench, level: int, reason: str, place: int
) -> None:
    """Whether the handler or the database refuses it, wherever it stands in the batch."""
    events = [accepted(child, level=level if child == place + 1 else 1) for child in range(1, 101)]
    await bench_.deliver(*events)
    assert sorted(await children_done(bench_)) == [child for child in range(1, 101) if child != place + 1]
    assert await letters(bench_) == [("parked", reason)]
    alarms = [event for event in await bench_.journal() if isinstance(event, EventParked)]
    assert [(alarm.child_id.int, alarm.reason) for alarm in alarms] == [(place + 1, reason)]


@pytest.mark.parametrize("level", [HANDLER_FAILS, HANDLER_BREAKS, DATABASE_REFUSES])
@pytest.mark.parametrize("place", [0, PART - 1, PART, 3 * PART - 1])
async def test_a_batch_that_is_written_in_parts_is_still_one_transaction(
    bench_: Bench, level: int, place: int
) -> None:
    """A poison event in any part, found after earlier parts were sent: one letter, the rest once in order."""
    count = 3 * PART
    events = [accepted(child, level=level if child == place + 1 else 1) for child in range(1, count + 1)]
    await bench_.deliver(*events, accepted(place + 1, referral=5000), *events[:5])
    assert await children_done(bench_) == [child for child in range(1, count + 1) if child != place + 1]
    assert [state for state, _ in await letters(bench_)] == ["parked", "waiting"]
    await bench_.deliver(*events)
    assert len(await children_done(bench_)) == count - 1


async def test_a_redelivered_poison_event_is_parked_once(bench_: Bench) -> None:
    """Its letter and its alarm are there once."""
    for _ in range(3):
        await bench_.deliver(accepted(1, level=HANDLER_FAILS))
    assert await letters(bench_) == [("parked", "rejected")]
    assert await bench_.journal_types() == ["event.parked.v1"]


async def test_later_events_of_the_case_wait_and_others_flow(bench_: Bench) -> None:
    """The state of a case never runs ahead of its parked event, in the same poll and in later ones."""
    await bench_.deliver(accepted(1, level=HANDLER_FAILS), accepted(1, referral=2), accepted(2))
    await bench_.deliver(accepted(1, referral=3))
    assert await children_done(bench_) == [2]
    assert [state for state, _ in await letters(bench_)] == ["parked", "waiting", "waiting"]


async def test_where_events_may_pass_they_do_not_wait(bench: MakeBench) -> None:
    """A service that lets events pass handles the later ones at once."""
    passing = await bench("assessment", partial(ledger.build, waits=False))
    await passing.deliver(accepted(1, level=HANDLER_FAILS), accepted(1, referral=2))
    assert await children_done(passing) == [1]


async def test_discarding_the_parked_event_releases_the_waiting_ones_in_order(bench_: Bench) -> None:
    """What waited is handled as if it had just come, in the order of its arrival."""
    await bench_.deliver(
        accepted(1, level=HANDLER_FAILS), accepted(1, referral=2), accepted(1, referral=3), accepted(2)
    )
    ((letter_id,),) = await bench_.rows("SELECT dead_letter_id FROM dead_letters WHERE state = 'parked'")
    settled = await bench_.replay.discard(letter_id, by="tester")
    assert [one.outcome for one in settled] == ["discarded", "replayed", "replayed"]
    assert await children_done(bench_) == [2, 1, 1]
    await bench_.deliver(accepted(1, referral=4))
    assert await children_done(bench_) == [2, 1, 1, 1]


async def test_a_replay_that_fails_again_stays_parked_and_keeps_the_others_waiting(bench_: Bench) -> None:
    """Order is kept until somebody mends the cause; the attempts are counted."""
    await bench_.deliver(accepted(1, level=HANDLER_BREAKS), accepted(1, referral=2))
    ((letter_id,),) = await bench_.rows("SELECT dead_letter_id FROM dead_letters WHERE state = 'parked'")
    settled = await bench_.replay.replay(letter_id, by="tester")
    assert [one.outcome for one in settled] == ["failed again"]
    assert await bench_.rows("SELECT attempts FROM dead_letters WHERE state = 'parked'") == [(2,)]
    assert await children_done(bench_) == []


async def test_a_replay_after_the_cause_was_mended_handles_the_event_and_those_behind_it(
    bench_: Bench,
) -> None:
    """Parked, mended, replayed: the same state as if nothing had happened, and again once only."""
    await bench_.deliver(accepted(1, level=HANDLER_BREAKS), accepted(1, referral=2), accepted(1, referral=3))
    handlers = cast("dict[type[Event], Handler]", bench_.service.handlers)

    def mended(_book: object, event: Event, occasion: Context) -> list[Produced]:
        return [ledger.reviewed(event.child_id, 1, occasion.now)]

    handlers[ReferralAccepted] = mended
    ((letter_id,),) = await bench_.rows("SELECT dead_letter_id FROM dead_letters WHERE state = 'parked'")
    settled = await bench_.replay.replay(letter_id, by="tester")
    assert [one.outcome for one in settled] == ["replayed"] * 3
    await bench_.deliver(accepted(1, level=HANDLER_BREAKS), accepted(1, referral=2))
    assert await children_done(bench_) == [1, 1, 1]


def header(record: Record, name: str, value: bytes | None) -> Record:
    kept = tuple((key, old) for key, old in record.headers if key != name)
    return record._replace(headers=kept if value is None else (*kept, (name, value)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda record: record._replace(value=b"{not json"), "malformed"),
        (lambda record: record._replace(value=b""), "malformed"),
        (lambda record: record._replace(value=b'{"child_id": "Jane Doe"}'), "malformed"),
        (lambda record: header(record, "ce_id", None), "malformed"),
        (lambda record: header(record, "ce_time", b"yesterday"), "malformed"),
        (lambda record: header(record, "ce_specversion", b"9"), "malformed"),
        (lambda record: header(record, "ce_source", b"\xff\xfe"), "malformed"),
        (lambda record: record._replace(key=b"another-child"), "malformed"),
        (lambda record: header(record, "ce_type", b"referral.accepted.v9"), "unknown_version"),
        (lambda record: record._replace(value=b'"' + b"x" * 2_000_000 + b'"'), "too_large"),
    ],
    ids=[
        "not json",
        "no value",
        "wrong fields",
        "no id",
        "no time",
        "version 9 of the envelope",
        "not text",
        "another key",
        "version 9 of the event",
        "two megabytes",
    ],
)
async def test_what_is_no_event_of_ours_is_parked_with_the_reason(
    bench_: Bench, change: object, reason: str
) -> None:
    """Each fault has its reason; the words never quote a value; the rest of the poll flows."""
    assert callable(change)
    await bench_.delivery.deliver([bench_.record(accepted(1)), change(bench_.record(accepted(2)))])
    assert await letters(bench_) == [("parked", reason)]
    assert await children_done(bench_) == [1]
    ((words,),) = await bench_.rows("SELECT words FROM dead_letters")
    assert "Jane" not in words


async def test_a_type_nobody_here_handles_is_skipped_on_our_own_topics(bench_: Bench) -> None:
    """A newer producer's event is not ours to judge."""
    record = header(bench_.record(accepted(1)), "ce_type", b"referral.praised.v1")
    await bench_.delivery.deliver([record])
    assert await letters(bench_) == []


async def test_a_crash_before_commit_leaves_no_trace(bench_: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim, the aggregate and the journal stand or fall together."""
    await bench_.deliver(accepted(1))

    async def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bench_.service.store, "save", crash)
        with pytest.raises(KeyboardInterrupt):
            await bench_.deliver(accepted(2))
    assert await children_done(bench_) == [1]
    await bench_.deliver(accepted(2))
    assert await children_done(bench_) == [1, 2]


async def test_a_database_that_is_away_for_a_moment_is_waited_for(
    bench_: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transient failures retry; nothing is parked."""
    save, failures = bench_.service.store.save, iter(range(2))

    async def away(connection: object, book: object) -> None:
        if next(failures, None) is not None:
            raise CannotConnectNowError("starting up")
        await save(connection, book)

    monkeypatch.setattr(bench_.service.store, "save", away)
    await bench_.deliver(accepted(1), accepted(2))
    assert await children_done(bench_) == [1, 2]
    assert await letters(bench_) == []


@pytest.mark.parametrize(("conflicts", "parked"), [(1, []), (2, [("parked", "failed")])])
async def test_an_event_that_meets_somebody_else_s_write_looks_once_more_before_it_is_parked(
    bench_: Bench, monkeypatch: pytest.MonkeyPatch, conflicts: int, parked: list[tuple[str, str]]
) -> None:
    """A unique key taken meanwhile by another process is seen at the second look."""
    save, failures = bench_.service.store.save, iter(range(conflicts))

    async def taken(connection: object, book: object) -> None:
        if next(failures, None) is not None:
            raise UniqueViolationError("taken")
        await save(connection, book)

    monkeypatch.setattr(bench_.service.store, "save", taken)
    await bench_.deliver(accepted(1))
    assert await letters(bench_) == parked


async def test_nothing_is_left_to_wait_for_a_letter_that_is_being_settled(bench_: Bench) -> None:
    """A delivery has seen the parked event and will wait behind it: it cannot be settled in between."""
    record = bench_.record(accepted(1))
    await bench_.delivery.deliver([record._replace(value=b"{}")])
    ((parked,),) = await bench_.rows("SELECT dead_letter_id FROM dead_letters")
    arrived = bench_.delivery.prepare([bench_.record(accepted(1, referral=2))]).arrivals[0]
    async with bench_.engine.begin() as connection:
        assert await dead_letters.blocked(connection, [record.key or b""]) == {record.key}
        settling = asyncio.create_task(bench_.replay.discard(parked, by="A. Operator"))
        async with asyncio.timeout(30):
            while not await bench_.rows(LOCK_IS_WAITED_FOR):
                await asyncio.sleep(0.01)
        await dead_letters.park(connection, [letter_of(arrived, state="waiting")], now=NOW)
    assert [one.outcome for one in await settling] == ["discarded", "replayed"]
    assert sorted(await letters(bench_)) == [("discarded", "malformed"), ("replayed", "waiting")]
    assert await children_done(bench_) == [1]


LOCK_IS_WAITED_FOR = """
    SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def test_an_event_that_is_too_large_for_its_readers_is_never_committed(
    bench_: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would lead to it is parked, and the rest of the batch is handled; the relay never meets it."""
    usual = len(ledger.reviewed(UUID(int=1), 1, NOW).encode())
    monkeypatch.setattr(publication, "LARGEST_EVENT_BYTES", usual + 55)
    too_much = accepted(2).model_copy(update={"decided_by": "W-" + "9" * 60})
    await bench_.deliver(accepted(1), too_much, accepted(3))
    assert await letters(bench_) == [("parked", "too_large")]
    assert await children_done(bench_) == [1, 3]
