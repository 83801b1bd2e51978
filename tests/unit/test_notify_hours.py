"""Working hours, quiet hours and digests as arithmetic: London's, also when the clocks change."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.deadlines.calendar import LONDON, WorkingCalendar
from services.notify.preferences.hours import after_working_hours, next_digest, peace_ends

CALENDAR = WorkingCalendar()
NINE, FIVE = time(9), time(17)


def london(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=LONDON).astimezone(UTC)


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        (london(2026, 9, 7, 10), 4, london(2026, 9, 7, 14)),
        (london(2026, 9, 7, 9), 8, london(2026, 9, 7, 17)),  # the day's last moment still counts
        (london(2026, 9, 7, 15), 4, london(2026, 9, 8, 11)),
        (london(2026, 9, 7, 22), 1, london(2026, 9, 8, 10)),  # at night nobody works
        (london(2026, 9, 11, 16), 2, london(2026, 9, 14, 10)),  # over a weekend
        (
            london(2026, 12, 24, 16),
            2,
            london(2026, 12, 29, 10),
        ),  # over Christmas
        (london(2026, 9, 12, 12), 1, london(2026, 9, 14, 10)),  # from a Saturday on
        (london(2026, 10, 23, 16), 2, london(2026, 10, 26, 10)),  # the clocks go back in between
        (london(2026, 9, 7, 9), 40, london(2026, 9, 11, 17)),
    ],
)
def test_working_hours_pass_while_people_are_at_work(start: datetime, hours: float, end: datetime) -> None:
    """Nine to five on working days, in London's time."""
    assert after_working_hours(start, hours, begins=NINE, ends=FIVE, calendar=CALENDAR) == end


moments = st.integers(0, 2 * 365 * 24 * 60).map(lambda each: london(2026, 1, 1) + timedelta(minutes=each))


@given(moments, st.floats(0.1, 60), st.floats(0, 48))
def test_starting_later_never_ends_earlier(start: datetime, hours: float, later: float) -> None:
    """Nor does it end before it starts, or outside working hours."""
    first = after_working_hours(start, hours, begins=NINE, ends=FIVE, calendar=CALENDAR)
    second = after_working_hours(
        start + timedelta(hours=later), hours, begins=NINE, ends=FIVE, calendar=CALENDAR
    )
    assert start <= first <= second
    local = first.astimezone(LONDON)
    assert CALENDAR.is_working_day(local.date())
    assert NINE <= local.time() <= FIVE


@pytest.mark.parametrize(
    ("now", "end"),
    [
        (london(2026, 9, 7, 18, 59), None),
        (london(2026, 9, 7, 19), london(2026, 9, 8, 7, 30)),
        (london(2026, 9, 8, 3), london(2026, 9, 8, 7, 30)),
        (london(2026, 9, 8, 7, 30), None),
    ],
)
def test_quiet_hours_run_through_midnight(now: datetime, end: datetime | None) -> None:
    """The first moment is quiet, the last one is not."""
    assert peace_ends(now, quiet_from=time(19), quiet_until=time(7, 30)) == end


def test_quiet_hours_may_lie_within_a_day() -> None:
    """Somebody who works at night sleeps by day."""
    noon = london(2026, 9, 7, 12)
    assert peace_ends(noon, quiet_from=time(8), quiet_until=time(16)) == london(2026, 9, 7, 16)
    assert peace_ends(london(2026, 9, 7, 20), quiet_from=time(8), quiet_until=time(16)) is None


def test_same_time_twice_means_no_quiet_hours() -> None:
    """Whoever wants to be told at any hour says so with it."""
    for hour in range(24):
        assert peace_ends(london(2026, 9, 7, hour), quiet_from=NINE, quiet_until=NINE) is None


@given(moments, st.times(), st.times())
def test_peace_ends_within_a_day_and_never_in_the_past(now: datetime, begin: time, end: time) -> None:
    """Whatever somebody chooses, nothing is held for more than a day and the hour of the clocks."""
    over = peace_ends(now, quiet_from=begin, quiet_until=end)
    assert over is None or now <= over <= now + timedelta(hours=25)


@pytest.mark.parametrize(
    ("now", "working_days_only", "due"),
    [
        (london(2026, 9, 7, 8), True, london(2026, 9, 7, 8, 30)),
        (london(2026, 9, 7, 8, 30), True, london(2026, 9, 8, 8, 30)),  # it has just gone
        (london(2026, 9, 11, 9), True, london(2026, 9, 14, 8, 30)),
        (london(2026, 9, 11, 9), False, london(2026, 9, 12, 8, 30)),
        (london(2026, 12, 24, 9), True, london(2026, 12, 29, 8, 30)),
        (london(2026, 10, 24, 9), False, london(2026, 10, 25, 8, 30)),  # the clocks go back that night
    ],
)
def test_digest_comes_at_its_time_on_every_day_or_on_working_days(
    now: datetime, working_days_only: bool, due: datetime
) -> None:
    """The next one, never the one that is just going out."""
    digest = next_digest(now, digest_at=time(8, 30), working_days_only=working_days_only, calendar=CALENDAR)
    assert digest == due
