"""Working days of England and the days of London."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.deadlines.calendar import WorkingCalendar

CALENDAR = WorkingCalendar()
DAYS = st.dates(min_value=date(2010, 1, 1), max_value=date(2040, 12, 31))


@pytest.mark.parametrize(
    ("day", "why"),
    [
        (date(2026, 4, 3), "Good Friday"),
        (date(2026, 4, 6), "Easter Monday"),
        (date(2026, 12, 25), "Christmas Day"),
        (date(2026, 12, 28), "Boxing Day falls on a Saturday and is made up on Monday"),
        (date(2027, 12, 28), "Christmas and Boxing Day fall on a weekend: Tuesday is off as well"),
        (date(2028, 1, 3), "New Year's Day falls on a Saturday"),
        (date(2022, 9, 19), "the funeral of Queen Elizabeth II, a one-off"),
        (date(2026, 7, 4), "a Saturday"),
        (date(2026, 7, 5), "a Sunday"),
    ],
)
def test_nobody_works_on_a_day_off(day: date, why: str) -> None:
    """Weekends, bank holidays, their substitutes and one-off holidays are no working days."""
    assert not CALENDAR.is_working_day(day), why


@pytest.mark.parametrize(
    ("day", "why"),
    [
        (date(2026, 3, 17), "St Patrick's Day is off in Northern Ireland only"),
        (date(2026, 1, 2), "2 January is off in Scotland only"),
        (date(2026, 12, 24), "Christmas Eve"),
        (date(2026, 4, 7), "the Tuesday after Easter"),
    ],
)
def test_holidays_of_the_other_nations_are_working_days(day: date, why: str) -> None:
    """The calendar is England's."""
    assert CALENDAR.is_working_day(day), why


@pytest.mark.parametrize(
    ("day", "count", "expected"),
    [
        (date(2026, 4, 2), 1, date(2026, 4, 7)),  # Maundy Thursday: over Easter
        (date(2026, 4, 4), 1, date(2026, 4, 7)),  # Easter Saturday: the day itself is never counted
        (date(2026, 12, 24), 1, date(2026, 12, 29)),
        (date(2026, 12, 24), 4, date(2027, 1, 4)),  # over the turn of the year
        (date(2026, 3, 2), 300, date(2027, 5, 11)),  # 62 weeks with 11 bank holidays, and a day
        (date(2026, 4, 7), -1, date(2026, 4, 2)),
        (date(2026, 4, 5), -1, date(2026, 4, 2)),
        (date(2027, 1, 4), -4, date(2026, 12, 24)),
        (date(2026, 4, 5), 0, date(2026, 4, 5)),
    ],
)
def test_counted_working_days_skip_days_off(day: date, count: int, expected: date) -> None:
    """Counting starts the day after (or before) and steps over everything that is no working day."""
    assert CALENDAR.add_working_days(day, count) == expected


@given(day=DAYS, count=st.integers(-400, 400))
def test_counting_agrees_with_walking_day_by_day(day: date, count: int) -> None:
    """The table gives what a walk through the days gives."""
    step, left, walked = timedelta(days=1 if count > 0 else -1), abs(count), day
    while left:
        walked += step
        left -= CALENDAR.is_working_day(walked)
    assert CALENDAR.add_working_days(day, count) == walked


@given(day=DAYS)
def test_next_and_previous_keep_a_working_day_and_leave_a_day_off(day: date) -> None:
    """Both answer with the nearest working day on their side, which may be the day itself."""
    after, before = CALENDAR.next_working_day(day), CALENDAR.previous_working_day(day)
    assert CALENDAR.is_working_day(after)
    assert CALENDAR.is_working_day(before)
    assert before <= day <= after
    assert (before == day == after) is CALENDAR.is_working_day(day)
    assert not any(
        CALENDAR.is_working_day(before + timedelta(days=n)) for n in range(1, (after - before).days)
    )


def test_a_one_off_holiday_moves_what_is_counted() -> None:
    """A day off given to the calendar counts for that calendar and for no other."""
    announced = WorkingCalendar(frozenset({date(2026, 6, 15)}))
    assert not announced.is_working_day(date(2026, 6, 15))
    assert announced.add_working_days(date(2026, 6, 12), 1) == date(2026, 6, 16)
    assert CALENDAR.add_working_days(date(2026, 6, 12), 1) == date(2026, 6, 15)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 7, 1, 22, 59, tzinfo=UTC), date(2026, 7, 1)),
        (datetime(2026, 7, 1, 23, 0, tzinfo=UTC), date(2026, 7, 2)),  # summer: London is an hour ahead
        (datetime(2026, 1, 1, 23, 59, tzinfo=UTC), date(2026, 1, 1)),
    ],
)
def test_the_day_is_londons(moment: datetime, day: date) -> None:
    """A summer evening belongs to London's next day an hour before it does in UTC."""
    assert CALENDAR.london_date(moment) == day


def test_a_moment_without_offset_has_no_day() -> None:
    """A naive moment is refused, not guessed."""
    with pytest.raises(ValueError, match="has no offset"):
        CALENDAR.london_date(datetime(2026, 7, 1, 12))  # noqa: DTZ001 - the point of the test


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 3, 30), 24)],
)
def test_a_day_is_as_long_as_london_makes_it(day: date, hours: int) -> None:
    """The clocks change on these days; midnights follow them."""
    start, end = CALENDAR.start_of_day(day), CALENDAR.start_of_day(day + timedelta(days=1))
    assert end - start == timedelta(hours=hours)
    assert CALENDAR.london_date(start) == day
    assert start.tzinfo is UTC
