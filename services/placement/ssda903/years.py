"""Which reporting year a file is about: the year in its name may be the one in which it begins or ends."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from services.placement.ssda903.reading import ReturnFile, ReturnsUnreadable

Naming = Literal["beginning", "ending"]

NOTICEABLE = 0.05
"""A share of episodes too large for typing errors; a single episode never counts."""

FIRST_YEAR, LAST_YEAR = 1992, 2100
"""Years in which a reporting year can end; `ReturnYear` of the events has the same."""

LAST_MONTH, LAST_DAY = 3, 31
"""The reporting year runs from 1 April to 31 March."""

OVER_MIDNIGHT = timedelta(days=1)
"""Some systems write an end at midnight of the last day as the day after."""


@dataclass(frozen=True, slots=True)
class ReturnYears:
    """The year in which each file's reporting year ends, and how that was found, in words."""

    by_file: dict[str, int]
    words: str


def last_day(year: int) -> date:
    """Return the last day of the reporting year that ends in `year`."""
    return date(year, LAST_MONTH, LAST_DAY)


def year_of(day: date) -> int:
    """Return the year in which the reporting year of a day ends."""
    return day.year if day <= last_day(day.year) else day.year + 1


def find_years(
    files: Iterable[ReturnFile], begun: Iterable[tuple[str, date]], *, naming: Naming | None
) -> ReturnYears:
    """Return the reporting year of every file.

    `begun` holds, for each episode with readable dates, its file's name and its first day. A return cannot
    report an episode that has not begun. So if more episodes than typing errors explain began after 31 March
    of the year in the file's name, the reporting year begins in that year. `naming`, if given, decides
    instead. Without a year in the name it is the latest year in which a noticeable share of the episodes
    began. Raises ReturnsUnreadable when neither name nor episodes show the year.
    """
    files, begun = list(files), list(begun)
    named = {file.name: file.year for file in files if file.year is not None}
    if not named:
        year = _latest(begun)
        return ReturnYears({file.name: year for file in files}, f"one year, which ends on 31 March {year}")
    if naming is None:
        late = sum(year_of(day) > named[name] for name, day in begun)
        naming = "beginning" if late > max(1, len(begun) * NOTICEABLE) else "ending"
    shift = 1 if naming == "beginning" else 0
    if not all(_possible(year + shift) for year in named.values()):
        raise ReturnsUnreadable(
            f"A file's name gives a year in which no return ends: they end from {FIRST_YEAR} to {LAST_YEAR}."
        )
    words = f"the year in a file's name is the one {naming} the reporting year"
    return ReturnYears({name: year + shift for name, year in named.items()}, words)


def _possible(year: int) -> bool:
    return FIRST_YEAR <= year <= LAST_YEAR


def _latest(begun: list[tuple[str, date]]) -> int:
    counts = Counter(year_of(day) for _, day in begun)
    for year in sorted(counts, reverse=True):
        if _possible(year) and counts[year] > len(begun) * NOTICEABLE:
            return year
    raise ReturnsUnreadable(
        "It is not clear which year this return is about: name its files like 2026-episodes.csv."
    )
