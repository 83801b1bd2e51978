"""From a directory to the rows of a statutory return's files; what they mean is checked elsewhere."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Kind = Literal["header", "episodes", "reviews", "missing"]
KINDS: tuple[Kind, ...] = get_args(Kind)

FILE_NAME = re.compile(r"(?:(?P<year>\d{4})[-_ ])?(?P<kind>\w+)\.csv", re.IGNORECASE)


class ReturnsUnreadable(Exception):  # noqa: N818 - a finding, not a mistake
    """There is nothing to import here, or it is not clear what; the sentence says what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: its values by upper-case column, stripped."""

    line: int
    values: Mapping[str, str]
    fields: int
    """How many fields the row has; it is torn when that is not the number of columns."""


@dataclass(frozen=True, slots=True)
class ReturnFile:
    """One file of the return of one year."""

    name: str
    kind: Kind
    year: int | None
    """The year in the file's name; None when it has none."""
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Returns:
    """The files of one or more years, and the names of those that are left alone."""

    files: tuple[ReturnFile, ...]
    not_read: tuple[str, ...]


def read_returns(directory: Path) -> Returns:
    """Return the files of a directory, the oldest year first.

    Files are `<year>-header.csv`, `<year>-episodes.csv`, `<year>-reviews.csv` and `<year>-missing.csv`, in
    any case, or the same without a year for a single year. Blank lines are no rows. Raises ReturnsUnreadable.
    """
    if not directory.is_dir():
        raise ReturnsUnreadable(
            f"{directory} is not a directory: name the one that holds the return's files."
        )
    files: dict[tuple[int | None, str], ReturnFile] = {}
    not_read = []
    for path in sorted(directory.iterdir()):
        match = FILE_NAME.fullmatch(path.name)
        kind = _kind(match["kind"]) if match else None
        if match is None or kind is None:
            if path.suffix.lower() == ".csv":
                not_read.append(path.name)
            continue
        file = _read(path, kind, int(match["year"]) if match["year"] else None)
        twin = files.setdefault((file.year, kind), file)
        if twin is not file:
            raise ReturnsUnreadable(f"{twin.name} and {file.name} are the same part of the return: keep one.")
    if not files:
        raise ReturnsUnreadable(f"{directory} holds no file of the return, such as 2026-episodes.csv.")
    if len({file.year is None for file in files.values()}) > 1:
        raise ReturnsUnreadable("Some files name their year and some do not: name it in all of them.")
    ordered = sorted(files.values(), key=lambda file: (file.year or 0, KINDS.index(file.kind)))
    return Returns(tuple(ordered), tuple(not_read))


def _kind(name: str) -> Kind | None:
    for kind in KINDS:
        if kind == name.lower():
            return kind
    return None


def _read(path: Path, kind: Kind, year: int | None) -> ReturnFile:
    # Bytes that are no text become marks that no code list knows: the row is refused, not the file.
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        reader = csv.reader(stream)
        try:
            columns = tuple(column.strip().upper() for column in next(_filled(reader), []))
            rows = tuple(
                Row(reader.line_num, dict(zip(columns, map(str.strip, fields), strict=False)), len(fields))
                for fields in _filled(reader)
            )
        except csv.Error as error:
            raise ReturnsUnreadable(
                f"{path.name} is no CSV file after line {reader.line_num}: {error}."
            ) from None
    return ReturnFile(path.name, kind, year, columns, rows)


def _filled(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    return (fields for fields in reader if fields)
