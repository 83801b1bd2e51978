"""When a run's time begins: with some seeds in a week in which England's clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.chaos import feed
from tests.chaos.run import SPAN

ENGLAND = ZoneInfo("Europe/London")


def offset(moment: datetime) -> timedelta | None:
    return moment.astimezone(ENGLAND).utcoffset()


@pytest.mark.parametrize(("seed", "hours"), [(0, 0), (1, 1), (2, -1), (3, 0), (7, 0)])
def test_the_clocks_change_within_the_span_of_some_seeds(seed: int, hours: int) -> None:
    """Forward in spring, back in autumn, and with the others not at all."""
    begin, end = offset(feed.start_of(seed)), offset(feed.start_of(seed) + SPAN)
    assert begin is not None
    assert end is not None
    assert end - begin == timedelta(hours=hours)


@pytest.mark.parametrize("seed", range(4))
def test_a_working_day_ends_within_every_span(seed: int) -> None:
    """What arrives first becomes due, and late: the day after its own is a working day, and over by then."""
    start = feed.start_of(seed)
    following = start + timedelta(days=1)
    assert following.weekday() < 5
    assert start + SPAN > datetime(following.year, following.month, following.day, tzinfo=UTC) + timedelta(
        days=1
    )
