"""The due-scanner on a real store: each state once, never early, however many scan and whatever fails."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from asyncpg import UniqueViolationError

from services.kernel.deadlines.policy import Deadline
from services.kernel.deadlines.rules import DeadlineDates as Dates
from services.kernel.processing.due_scanner import LIMIT, DeadlineScanner, scan_once
from services.kernel.store import deadlines as deadline_store
from services.referral.app import build
from tests.builders import MONDAY
from tests.flow.conftest import Bench, MakeBench

pytestmark = pytest.mark.connected

DAY = timedelta(days=1)
MANY = 50


@pytest.fixture
async def referral(bench: MakeBench) -> Bench:
    return await bench("referral", build)


def scheduled(number: int) -> Deadline:
    """Return a deadline that is due soon `number` seconds after Monday's start."""
    soon = MONDAY + timedelta(seconds=number)
    return Deadline(
        UUID(int=number),
        version=1,
        state="scheduled",
        about=UUID(int=1000 + number),
        child_id=UUID(int=2000 + number),
        case_id=UUID(int=3000 + number),
        kind="triage_decision",
        rule="1:working_days:next_day",
        trigger_at=MONDAY,
        dates=Dates(due_soon_at=soon, due_from=soon + DAY, due_at=soon + 2 * DAY),
    )


async def given(bench: Bench, count: int) -> None:
    """Save so many scheduled deadlines, and move to the last one's moment."""
    async with bench.engine.begin() as connection:
        await deadline_store.save(connection, [scheduled(number) for number in range(1, count + 1)])
    bench.clock.move(MONDAY + timedelta(seconds=count))


async def scan(bench: Bench, *, limit: int = 500) -> int:
    return await scan_once(
        bench.engine, bench.clock, service="referral", calendar=bench.calendar, limit=limit
    )


async def raised(bench: Bench) -> list[tuple[str, int]]:
    """Return what was raised and for which deadline, in order."""
    rows = await bench.rows("SELECT type, subject FROM journal ORDER BY position")
    return [(row[0], row[1].int) for row in rows]


async def test_scanners_share_the_work_and_raise_each_state_once(referral: Bench) -> None:
    """Whatever several scanners claim at the same time, each deadline is raised by one of them."""
    await given(referral, MANY)

    async def scanner() -> None:
        while await scan(referral, limit=3):
            pass

    await asyncio.gather(*(scanner() for _ in range(4)))
    assert sorted(await raised(referral)) == [
        ("deadline.due_soon.v1", number) for number in range(1, MANY + 1)
    ]


async def test_a_burst_is_raised_by_two_transactions_at_a_time_and_each_state_once(referral: Bench) -> None:
    """The scanner of a worker takes all that is due without a pause, then waits for its next look."""
    count = 4 * LIMIT + 7
    await given(referral, count)
    scanner = DeadlineScanner(
        referral.engine, referral.clock, service="referral", calendar=referral.calendar, interval_seconds=3600
    )
    async with scanner, asyncio.timeout(30):
        while len(await raised(referral)) < count:
            await asyncio.sleep(0.02)
    assert sorted(await raised(referral)) == [
        ("deadline.due_soon.v1", number) for number in range(1, count + 1)
    ]


async def test_a_scanner_passes_over_what_another_one_holds(referral: Bench) -> None:
    """It neither waits for those deadlines nor raises them; they are raised when the other one dies."""
    await given(referral, 5)

    async def holds_two_and_dies() -> None:
        async with referral.engine.begin() as connection:
            held = await deadline_store.claim_due(connection, now=referral.clock.now(), limit=2)
            assert [deadline.deadline_id.int for deadline in held] == [1, 2]
            assert await scan(referral) == 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await holds_two_and_dies()
    assert await scan(referral) == 2
    assert [number for _, number in await raised(referral)] == [3, 4, 5, 1, 2]


async def test_what_is_due_first_is_raised_first(referral: Bench) -> None:
    """When there is more than one transaction takes, the earliest go first."""
    await given(referral, 5)
    while await scan(referral, limit=2):
        pass
    assert [number for _, number in await raised(referral)] == [1, 2, 3, 4, 5]


async def test_nothing_is_raised_a_moment_early(referral: Bench) -> None:
    """The last one's moment has not come: only the others are raised."""
    await given(referral, 5)
    referral.clock.move(-timedelta(microseconds=1))
    await referral.scan()
    assert [number for _, number in await raised(referral)] == [1, 2, 3, 4]


async def test_a_scan_that_fails_leaves_every_deadline_as_it_was(referral: Bench) -> None:
    """State, journal and outbox stand or fall together: the next scan raises all of it."""
    await given(referral, 3)
    tables = ("deadlines", "journal", "outbox")
    await referral.rows("""
        INSERT INTO journal (event_id, type, subject, sequence, key, time, correlation_id, causation_id, data)
        SELECT deadline_id, 'deadline.met.v1', deadline_id, 2, child_id, trigger_at, about, about, '{}'
        FROM deadlines WHERE deadline_id = '00000000-0000-0000-0000-000000000003'
    """)
    before = [await referral.rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables]
    with pytest.raises(UniqueViolationError):
        await scan(referral)
    assert [await referral.rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables] == before
    await referral.rows("DELETE FROM journal")
    assert await scan(referral) == 3


async def test_raising_changes_how_far_a_deadline_has_come_and_nothing_else(referral: Bench) -> None:
    """What it is about and its dates are as they were; state, version and next moment go on."""
    await given(referral, 1)
    await referral.scan()
    async with referral.engine.begin() as connection:
        after = await deadline_store.load(connection, [UUID(int=1)])
    (row,) = await referral.rows("SELECT next_at FROM deadlines")
    before = scheduled(1)
    assert before.dates is not None
    assert row.next_at == before.dates.due_from
    assert after[UUID(int=1)] == Deadline(
        before.deadline_id,
        version=2,
        state="due_soon",
        about=before.about,
        child_id=before.child_id,
        case_id=before.case_id,
        kind=before.kind,
        rule=before.rule,
        trigger_at=before.trigger_at,
        dates=before.dates,
    )


async def test_a_scanner_that_was_away_raises_each_state_in_order(referral: Bench) -> None:
    """After days away "due" comes before "overdue", and each deadline ends where it should."""
    await given(referral, 2)
    referral.clock.move(7 * DAY)
    await referral.scan()
    assert await raised(referral) == [
        (name, number) for number in (1, 2) for name in ("deadline.due.v1", "deadline.overdue.v1")
    ]
    assert await referral.rows("SELECT DISTINCT state, version, next_at FROM deadlines") == [
        ("overdue", 3, None)
    ]
