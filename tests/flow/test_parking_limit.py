"""The limit on parking on the real store: a bad deploy stops its worker, and no restart gets past it."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import cast
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from schemas.events import Event, ReferralAccepted, ReferralMade
from services.kernel.processing.batches import BatchProcessor
from services.kernel.processing.parking import CHILDREN, TooManyFailed
from services.kernel.processing.service import Context, Handler, Produced
from tests.builders import referral_made
from tests.flow import ledger
from tests.flow.conftest import Bench, MakeBench
from tests.flow.test_delivery import DATABASE_REFUSES, HANDLER_BREAKS, HANDLER_FAILS, accepted, children_done

pytestmark = pytest.mark.connected

GOOD = 1


@pytest.fixture
async def assessment(bench: MakeBench) -> Bench:
    return await bench("assessment", ledger.build)


def bad(*children: int) -> list[ReferralAccepted]:
    return [accepted(child, level=HANDLER_BREAKS) for child in children]


async def parked(bench: Bench) -> int:
    ((count,),) = await bench.rows("SELECT count(*) FROM dead_letters WHERE state = 'parked'")
    return int(count)


async def stops(bench: Bench, *events: Event) -> str:
    """Deliver events that stop the worker; return what it says."""
    with capture_logs() as lines, pytest.raises(TooManyFailed) as caught:
        await bench.deliver(*events)
    assert [line["event"] for line in lines if line["log_level"] == "error"] == [str(caught.value)]
    return str(caught.value)


def start_again(bench: Bench) -> None:
    """Let a new worker take over: it knows what the store knows."""
    bench.delivery = BatchProcessor(
        bench.service, bench.engine, bench.clock, calendar=bench.calendar, retry_seconds=5
    )


def mend(bench: Bench) -> None:
    """Roll the deploy back."""

    def works(_book: object, event: Event, context: Context) -> Sequence[Produced]:
        return [ledger.reviewed(event.child_id, GOOD, context.now)]

    cast("dict[type[Event], Handler]", bench.service.handlers)[ReferralAccepted] = works


async def test_a_batch_on_which_our_code_fails_stops_the_worker_and_leaves_no_trace(
    assessment: Bench,
) -> None:
    """Nothing is parked that a rollback makes good: the batch is delivered again then."""
    said = await stops(assessment, *bad(*range(1, 31)), accepted(31))
    assert said == (
        "The assessment worker stops: its own code failed on 10 of the last 11 events of referral-events"
        " (LookupError 10). Roll back the deploy, then run"
        " `leadline dead-letters replay --all --service assessment`."
    )
    for table in ("inbox", "dead_letters", "journal"):
        assert await assessment.rows(f"SELECT * FROM {table}") == [], table


@pytest.mark.parametrize("level", [HANDLER_BREAKS, DATABASE_REFUSES])
async def test_restarts_do_not_get_past_the_limit(assessment: Bench, level: int) -> None:
    """However small its batches are, no worker parks more than the first one did."""
    events = [accepted(child, level=level) for child in range(1, 31)]
    for event in events[: CHILDREN - 1]:
        await assessment.deliver(event)
    for _ in range(5):
        await stops(assessment, events[CHILDREN - 1])
        start_again(assessment)
        await stops(assessment, *events[CHILDREN - 1 :])
        start_again(assessment)
    assert await parked(assessment) == CHILDREN - 1
    assert len(await assessment.journal_types()) == CHILDREN - 1  # an alarm for each


async def test_what_the_database_refuses_stops_the_worker_within_one_batch(assessment: Bench) -> None:
    """The batch is halved until each culprit is alone, and each is parked in a transaction of its own."""
    await stops(assessment, *(accepted(child, level=DATABASE_REFUSES) for child in range(1, 31)))
    assert await parked(assessment) == CHILDREN - 1


async def test_after_the_rollback_everything_is_handled_once(assessment: Bench) -> None:
    """What was not parked comes again by itself, what was is replayed."""
    events = bad(*range(1, 31))
    await assessment.deliver(*events[:4], accepted(1, referral=5000))
    await assessment.deliver(*events[4 : CHILDREN - 1])
    await stops(assessment, *events[CHILDREN - 1 :])
    mend(assessment)
    start_again(assessment)
    await assessment.deliver(*events[CHILDREN - 1 :])
    rows = await assessment.rows("SELECT dead_letter_id FROM dead_letters WHERE state = 'parked'")
    for (letter_id,) in rows:
        settled = await assessment.replay.replay(letter_id, by="A. Operator")
        assert {one.outcome for one in settled} == {"replayed"}
    assert sorted(await children_done(assessment)) == [1, *range(1, 31)]


async def test_letters_that_somebody_has_settled_do_not_count(assessment: Bench) -> None:
    """After the replay one more failure is one, and not the tenth."""
    await assessment.deliver(*bad(*range(1, CHILDREN)))
    for (letter_id,) in await assessment.rows("SELECT dead_letter_id FROM dead_letters"):
        await assessment.replay.discard(letter_id, by="A. Operator")
    await assessment.deliver(*bad(*range(101, 101 + CHILDREN - 1)))
    assert await parked(assessment) == CHILDREN - 1


async def test_what_failed_days_ago_does_not_count(assessment: Bench) -> None:
    """Letters that nobody has settled must not make one failure of today the last straw."""
    await assessment.deliver(*bad(*range(1, CHILDREN)))
    assessment.clock.move(timedelta(days=1))
    await assessment.deliver(*bad(*range(101, 101 + CHILDREN - 1)))
    assert await parked(assessment) == 2 * (CHILDREN - 1)


async def test_a_few_failures_among_many_stop_nobody(assessment: Bench) -> None:
    """One in ten, in large batches and in small ones, and after a start: each letter knows what went well."""
    events = [accepted(child, level=HANDLER_BREAKS if child % 10 == 0 else GOOD) for child in range(1, 401)]
    for begin, size in ((0, 100), (100, 7), (150, 100), (250, 1)):
        end = {0: 100, 100: 150, 150: 250, 250: 300}[begin]
        for first in range(begin, end, size):
            await assessment.deliver(*events[first : min(first + size, end)])
    start_again(assessment)
    await assessment.deliver(*events[300:])
    assert await parked(assessment) == 40


async def test_one_child_whose_data_our_code_cannot_take_stops_nobody(bench: MakeBench) -> None:
    """Where later events pass, each of the child's may fail: still it is one child."""
    passing = await bench("assessment", partial(ledger.build, waits=False))
    await passing.deliver(*(accepted(1, level=HANDLER_BREAKS, referral=number) for number in range(1, 51)))
    assert await parked(passing) == 50


async def test_what_a_rule_rejects_stops_nobody(assessment: Bench) -> None:
    """The code does what it should."""
    await assessment.deliver(*(accepted(child, level=HANDLER_FAILS) for child in range(1, 31)))
    assert await parked(assessment) == 30


async def test_partners_stop_no_worker(assessment: Bench) -> None:
    """Whatever they send, and although our code fails on it: one agency must not hold up the others."""

    def breaks(_book: object, _event: Event, _context: Context) -> Sequence[Produced]:
        raise LookupError

    cast("dict[type[Event], Handler]", assessment.service.handlers)[ReferralMade] = breaks
    made = [referral_made(UUID(int=child)) for child in range(1, 51)]
    for event in made[:20]:
        await assessment.deliver(event)
    await assessment.deliver(*made[20:], *bad(*range(101, 101 + CHILDREN - 1)))
    assert await parked(assessment) == 50 + CHILDREN - 1


async def test_nothing_is_asked_of_the_store_while_nothing_fails(
    assessment: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for good events nor for those that are parked for another reason."""

    async def asked(*_: object, **__: object) -> list[object]:
        raise AssertionError("asked")

    monkeypatch.setattr("services.kernel.store.dead_letters.failed_since", asked)
    await assessment.deliver(accepted(1), accepted(2, level=HANDLER_FAILS))
    assert await children_done(assessment) == [1]
