"""Many deadlines due in the same second, two scanners that share them, and a clock that nobody holds."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from services.kernel.base.clock import SystemClock
from services.kernel.deadlines.policy import Deadline
from services.kernel.deadlines.rules import DeadlineDates as Dates
from services.kernel.postgres.database import create_engine
from services.kernel.processing.due_scanner import DeadlineScanner
from services.kernel.store import deadlines as deadline_store
from services.referral.app import build
from tests.flow.conftest import Bench, MakeBench

pytestmark = pytest.mark.connected

MANY = 2_000
SECOND = timedelta(seconds=1)


@pytest.fixture
async def referral(bench: MakeBench) -> Bench:
    return await bench("referral", build)


def due_at(number: int, moment: datetime) -> datetime:
    """Return when a deadline is due: each at its own moment of the same second."""
    return moment + SECOND * number / MANY


def scheduled(number: int, moment: datetime) -> Deadline:
    due = due_at(number, moment)
    return Deadline(
        UUID(int=number),
        version=1,
        state="scheduled",
        about=UUID(int=MANY + number),
        child_id=UUID(int=2 * MANY + number),
        case_id=None,
        kind="triage_decision",
        rule="1:working_days:next_day",
        trigger_at=moment - timedelta(days=1),
        dates=Dates(due_soon_at=due, due_from=due, due_at=due + timedelta(days=1)),
    )


async def test_a_burst_is_raised_once_each_and_never_early_by_two_scanners(referral: Bench) -> None:
    """They begin to look before anything is due, and go on while the second passes."""
    clock = SystemClock()
    moment = clock.now() + 1.5 * SECOND
    async with referral.engine.begin() as connection:
        await deadline_store.save(connection, [scheduled(number, moment) for number in range(MANY)])
    other = create_engine(referral.settings, "referral")
    one, two = (
        DeadlineScanner(engine, clock, service="referral", calendar=referral.calendar, interval_seconds=0.02)
        for engine in (referral.engine, other)
    )
    try:
        async with one, two, asyncio.timeout(30):
            assert await referral.rows("SELECT 1 FROM journal LIMIT 1") == []
            while await referral.rows("SELECT 1 FROM deadlines WHERE state = 'scheduled' LIMIT 1"):
                await asyncio.sleep(0.02)
    finally:
        await other.dispose()
    raised = await referral.rows("SELECT subject, type, time FROM journal")
    assert sorted(row.subject.int for row in raised) == list(range(MANY))
    assert {row.type for row in raised} == {"deadline.due.v1"}
    assert [row.subject.int for row in raised if row.time < due_at(row.subject.int, moment)] == []
