"""When a far side is left alone, and for how long."""

from datetime import UTC, datetime, timedelta

from services.notify.delivery.channels.breaker import FAILURES_IN_A_ROW, FIRST_PAUSE, LONGEST_PAUSE, Breaker

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


def opened() -> Breaker:
    """A breaker that has just opened."""
    breaker = Breaker()
    for _ in range(FAILURES_IN_A_ROW):
        breaker.fail(NOW)
    return breaker


def test_some_failures_in_a_row_open_it_and_fewer_do_not() -> None:
    """One bad answer is no pattern."""
    breaker = Breaker()
    for _ in range(FAILURES_IN_A_ROW - 1):
        breaker.fail(NOW)
    assert not breaker.is_open(NOW)
    breaker.fail(NOW)
    assert breaker.is_open(NOW)
    assert breaker.is_open(NOW + FIRST_PAUSE - MOMENT)
    assert not breaker.is_open(NOW + FIRST_PAUSE)


def test_success_in_between_starts_the_count_again() -> None:
    """Failures that alternate with successes never open it."""
    breaker = Breaker()
    for _ in range(5 * FAILURES_IN_A_ROW):
        breaker.fail(NOW)
        breaker.succeed()
    assert not breaker.is_open(NOW)
    assert not breaker.is_probing


def test_one_message_tries_and_its_failure_opens_it_for_twice_as_long() -> None:
    """Up to the longest pause, however long the far side stays away."""
    breaker, now, pauses = opened(), NOW, []
    for _ in range(12):
        begun = now
        while breaker.is_open(now):
            now += timedelta(seconds=1)
        pauses.append(now - begun)
        assert breaker.is_probing
        breaker.fail(now)
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE


def test_success_of_the_try_closes_it_and_forgets_the_pauses() -> None:
    """The next trouble begins with a short pause."""
    breaker = opened()
    breaker.fail(NOW + FIRST_PAUSE)
    breaker.succeed()
    assert not breaker.is_probing
    assert breaker.trip(NOW) == FIRST_PAUSE


def test_pause_that_the_far_side_names_is_kept_and_does_not_grow() -> None:
    """A limit by the minute is over when it is over."""
    breaker = Breaker()
    for _ in range(4):
        assert breaker.trip(NOW, timedelta(seconds=5)) == timedelta(seconds=5)
    assert breaker.is_open(NOW + timedelta(seconds=4))
    assert not breaker.is_open(NOW + timedelta(seconds=5))
