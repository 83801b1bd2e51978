"""The parts of the return: the columns they need, and the words in their files' names."""

import re
from collections.abc import Mapping
from typing import Literal, get_args

Kind = Literal["header", "episodes", "reviews", "missing"]
KINDS: tuple[Kind, ...] = get_args(Kind)

NEEDED: Mapping[Kind, tuple[str, ...]] = {
    "header": ("CHILD", "SEX", "DOB", "ETHNIC"),
    "episodes": ("CHILD", "DECOM", "RNE", "LS", "CIN", "PLACE", "DEC", "REC"),
    "reviews": ("CHILD", "REVIEW", "REVIEW_CODE"),
    "missing": ("CHILD", "MISSING", "MIS_START", "MIS_END"),
}
"""Columns that a file must have. Postcodes and pupil numbers are not among them."""

READ = frozenset().union(*NEEDED.values()) | {"PLACE_PROVIDER", "REASON_PLACE_CHANGE"}
"""Every column whose values are read."""

TELLING: Mapping[Kind, str] = {
    "header": "ETHNIC",
    "episodes": "DECOM",
    "reviews": "REVIEW",
    "missing": "MIS_START",
}
"""The column that no other part of the return has, including parts that are not imported."""

NAMES: Mapping[str, Kind] = {
    "header": "header",
    "headers": "header",
    "episodes": "episodes",
    "episode": "episodes",
    "reviews": "reviews",
    "review": "reviews",
    "missing": "missing",
}
OTHER_PARTS = frozenset(
    {
        "ad",
        "adoption",
        "dolo",
        "oc",
        "perm",
        "permanence",
        "socialworker",
        "sw",
        "swepisodes",
        "uasc",
        "worker",
    }
)
"""Words in the names of parts that this import leaves out: `2026-oc2.csv`, `sw_episodes.csv`."""

WORDS = re.compile(r"[a-z]+|\d+")
YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)")
SPAN = re.compile(r"(?<!\d)\d{4}[-_. ]{1,3}\d{2}(?!\d)")
"""`2025-26`, which may be a span of years or the beginning of a date."""


def words_of(name: str) -> frozenset[str]:
    """Return the words and numbers of a file's name, in lower case: `SSDA903_2026` is ssda, 903 and 2026."""
    return frozenset(WORDS.findall(name.lower()))


def kinds_named(name: str) -> frozenset[Kind]:
    """Return the parts that a file's name mentions; none when it mentions one that is not imported."""
    words = words_of(name)
    return frozenset() if words & OTHER_PARTS else frozenset(NAMES[word] for word in words & NAMES.keys())


def names_the_return(name: str) -> bool:
    """Return whether a file's name says that it is the return, or an imported part of it."""
    words = words_of(name)
    return not words & OTHER_PARTS and bool(words & (NAMES.keys() | {"903", "ssda"}))


def may_hold_the_return(name: str) -> bool:
    """Return whether a workbook or an archive of this name may well be the return: `2026.xlsx`."""
    words = words_of(name)
    return not words & OTHER_PARTS and bool(
        words & (NAMES.keys() | {"903", "ssda", "return", "returns"}) or YEAR.search(name)
    )


def kinds_with(columns: tuple[str, ...]) -> frozenset[Kind]:
    """Return the parts that a file's columns belong to."""
    return frozenset(kind for kind in KINDS if TELLING[kind] in columns)


def year_named(name: str) -> int | None:
    """Return the year in a file's name, None when there is none. Raises ValueError when there are several."""
    years = set(YEAR.findall(name))
    if len(years) > 1 or SPAN.search(name):
        raise ValueError
    return int(years.pop()) if years else None
