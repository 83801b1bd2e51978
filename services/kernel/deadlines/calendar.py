"""England's working days and London's midnights: the definition of a day for every deadline."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

LONDON = ZoneInfo("Europe/London")
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class WorkingCalendar:
    """Monday to Friday without the bank holidays of England, and without `extra_holidays`.

    `extra_holidays` are one-off days off that the `holidays` library does not know yet. Two calendars with
    the same extra days are equal and share their tables, which are built once per year; a look-up costs about
    a microsecond.
    """

    extra_holidays: frozenset[date] = frozenset()

    def is_working_day(self, day: date) -> bool:
        """Return whether `day` is a working day."""
        return (
            day.weekday() < _SATURDAY
            and day not in _bank_holidays(day.year)
            and day not in self.extra_holidays
        )

    def add_working_days(self, day: date, count: int) -> date:
        """Return the `count`-th working day after `day`; before it when negative; `day` itself for 0.

        `day` need not be a working day and is never counted: one working day after a Saturday is Monday.
        """
        if count == 0:
            return day
        year, days = day.year, _working_days(day.year, self.extra_holidays)
        if count > 0:
            index = bisect_right(days, day) + count - 1
            while index >= len(days):
                index -= len(days)
                year += 1
                days = _working_days(year, self.extra_holidays)
            return days[index]
        index = bisect_left(days, day) + count
        while index < 0:
            year -= 1
            days = _working_days(year, self.extra_holidays)
            index += len(days)
        return days[index]

    def next_working_day(self, day: date) -> date:
        """Return `day` if it is a working day, else the first one after it."""
        return day if self.is_working_day(day) else self.add_working_days(day, 1)

    def previous_working_day(self, day: date) -> date:
        """Return `day` if it is a working day, else the last one before it."""
        return day if self.is_working_day(day) else self.add_working_days(day, -1)

    def london_date(self, moment: datetime) -> date:
        """Return the London date at `moment`. Raises ValueError for a moment without an offset."""
        if moment.tzinfo is None:
            message = f"{moment.isoformat()} has no offset: its London date is unknown"
            raise ValueError(message)
        return moment.astimezone(LONDON).date()

    def start_of_day(self, day: date) -> datetime:
        """Return the instant (UTC) of the London midnight at which `day` begins."""
        return _midnight(day)


@lru_cache(maxsize=512)
def _bank_holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("GB", subdiv="ENG", years=year))


@lru_cache(maxsize=512)
def _working_days(year: int, extra_holidays: frozenset[date]) -> tuple[date, ...]:
    off = _bank_holidays(year) | extra_holidays
    first = date(year, 1, 1).toordinal()
    days = map(date.fromordinal, range(first, date(year, 12, 31).toordinal() + 1))
    return tuple(day for day in days if day.weekday() < _SATURDAY and day not in off)


@lru_cache(maxsize=4096)
def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=LONDON).astimezone(UTC)
