"""When throughput is back after a trouble of the database: worked out from the moments of batches alone."""

from collections.abc import Callable, Iterator

import pytest

from tests.chaos.database.throughput import (
    Baseline,
    baseline,
    course,
    rate,
    recovery,
    windows,
)

BATCH = 50


def batches(speed: Callable[[float], float], until: float) -> Iterator[tuple[float, int]]:
    """Yield batches of a worker whose speed, in events per second, depends on the time. With 0 it stands."""
    now = 0.0
    while now < until:
        if speed(now) > 0:
            yield now, BATCH
            now += BATCH / speed(now)
        else:
            now += 0.01


def test_a_batch_counts_when_the_next_one_begins() -> None:
    """Of the last one nothing is known but that the others were done before it."""
    samples = course([(0.0, 500), (1.0, 300), (3.0, 200)])
    assert [(sample.at, sample.events) for sample in samples] == [(0.0, 0), (1.0, 500), (3.0, 800)]


def test_throughput_between_two_moments_takes_parts_of_batches() -> None:
    """Half of the first batch and a third of the second, in 1.5 seconds."""
    samples = course([(0.0, 600), (1.0, 900), (4.0, 1)])
    assert rate(samples, 0.5, 2.0) == pytest.approx((300 + 300) / 1.5)


def test_windows_lie_wholly_between_the_moments() -> None:
    """Of 1.25 seconds: three windows of a second; of less than a second: none."""
    samples = course(batches(lambda _: 1000, 5))
    assert [round(end, 2) for end, _ in windows(samples, 1.0, 2.25)] == [2.0, 2.1, 2.2]
    assert windows(samples, 1.0, 1.9) == []


def test_the_baseline_is_the_median_and_knows_its_spread() -> None:
    """A worker that is fast for most of the time: the slow part shows in the spread alone."""
    samples = course(batches(lambda now: 600 if 3 <= now < 5 else 1000, 12))
    normal = baseline(samples, 10.0)
    assert normal.events_s == pytest.approx(1000, rel=0.02)
    assert normal.low == pytest.approx(600, rel=0.05)
    assert normal.high == pytest.approx(1000, rel=0.02)


NORMAL = Baseline(events_s=1000.0, low=930.0, high=1050.0)


def test_throughput_is_back_at_the_end_of_the_first_full_window_that_stays() -> None:
    """It stands until 12, healed at 10: the window from 12 to 13 is the first with 95 %, near its end."""
    samples = course(batches(lambda now: 0 if 8 <= now < 12 else 1000, 20))
    found = recovery(samples, 10.0, NORMAL)
    assert found is not None
    assert 2.9 <= found.seconds <= 3.1
    assert found.after == pytest.approx(1000, rel=0.02)


def test_one_lucky_window_is_no_recovery() -> None:
    """A second at full speed, then long at half of it, then well: only the last counts."""
    samples = course(batches(lambda now: 500 if 11.2 <= now < 18 else 1000, 30))
    found = recovery(samples, 10.0, NORMAL)
    assert found is not None
    assert found.seconds > 7.5


def test_what_stays_within_the_normal_spread_has_stayed() -> None:
    """After a window of 95 % a speed of 94 % is no setback where 93 % is normal; else it is one."""
    samples = course(batches(lambda now: 940 if now >= 11.3 else 1000, 30))
    assert recovery(samples, 10.0, NORMAL) is not None
    assert recovery(samples, 10.0, Baseline(events_s=1000.0, low=960.0, high=1050.0)) is None


def test_a_worker_that_stays_slow_is_never_back() -> None:
    """However long it is watched."""
    samples = course(batches(lambda now: 900 if now >= 10 else 1000, 60))
    assert recovery(samples, 10.0, NORMAL) is None
