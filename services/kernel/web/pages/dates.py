"""Dates as people enter them: day, month and year in separate fields, the month as a number or word."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Self

from services.kernel.deadlines.wording import day_words

PARTS = ("day", "month", "year")
LONGEST = 20
"""The most characters in one field."""

MONTHS: Mapping[str, int] = {f"{date(2000, number, 1):%B}".lower(): number for number in range(1, 13)}

_EARLIEST, _LATEST = date(2000, 1, 1), date(2100, 1, 1)


@dataclass(frozen=True, slots=True)
class EnteredDay:
    """One date exactly as it was entered."""

    day: str = ""
    month: str = ""
    year: str = ""

    @classmethod
    def read(cls, field: Callable[[str], str], name: str) -> Self:
        """Return the content of the fields `name-day`, `name-month` and `name-year`."""
        return cls(*(field(f"{name}-{part}").strip()[:LONGEST] for part in PARTS))

    @classmethod
    def of(cls, day: date | None) -> Self:
        """Return a date as its fields show it; empty fields for None."""
        return cls() if day is None else cls(str(day.day), str(day.month), str(day.year))

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was entered."""
        return not (self.day or self.month or self.year)

    @property
    def value(self) -> date | None:
        """Return the date; None if it is invalid, or implausibly early or late."""
        try:
            found = date(_number(self.year), _month(self.month), _number(self.day))
        except (ValueError, OverflowError):
            return None
        return found if _EARLIEST <= found <= _LATEST else None

    @property
    def words(self) -> str:
        """Return the date as people read it; empty if it is invalid."""
        return "" if self.value is None else day_words(self.value)


NOTHING = EnteredDay()


def _month(entered: str) -> int:
    """Return the number of a month; three letters of its name are enough. Raises ValueError for others."""
    if len(entered) > 2:
        for name, number in MONTHS.items():
            if name.startswith(entered.lower()):
                return number
    return _number(entered)


def _number(entered: str) -> int:
    """Return a number written in plain digits. Raises ValueError for other forms that Python would accept."""
    if not (entered.isascii() and entered.isdigit()):
        message = "no digits"
        raise ValueError(message)
    return int(entered)
