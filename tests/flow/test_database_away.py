"""A database that was away: how soon a delivery that waits for it goes on."""

import time
from contextlib import AbstractAsyncContextManager

import pytest

from services.kernel.postgres.connection import Connection
from tests.flow import ledger
from tests.flow.conftest import Bench, MakeBench
from tests.flow.test_delivery import accepted, children_done

pytestmark = pytest.mark.connected

AWAY_SECONDS = 3.2
"""With pauses that went on doubling, the next attempt would be two seconds later."""


@pytest.fixture
async def assessment(bench: MakeBench) -> Bench:
    return await bench("assessment", ledger.build)


async def test_a_database_that_was_away_for_seconds_is_asked_again_soon_after_it_is_back(
    assessment: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longer it was away, the more there is to catch up with: half a second later at the most."""
    begin, back = assessment.engine.begin, time.monotonic() + AWAY_SECONDS

    def begin_when_back() -> AbstractAsyncContextManager[Connection]:
        if time.monotonic() < back:
            raise ConnectionRefusedError
        return begin()

    monkeypatch.setattr(assessment.engine, "begin", begin_when_back)
    await assessment.deliver(accepted(1))
    assert time.monotonic() - back < 1.2
    assert await children_done(assessment) == [1]
