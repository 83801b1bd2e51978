"""From a file's bytes to columns and rows, whichever program saved them; `checking.py` interprets them.

Spreadsheets leave things behind: byte order marks, UTF-16, the code page of Windows, semicolons or tabs, a
line that names the separator, titles above the columns, empty rows below the data and empty cells beside it.
They say nothing about a child, so they change nothing here.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from services.placement.ssda903.parts import READ

LARGEST_BYTES = 100_000_000
"""No part of a return is nearly as large: the largest council's episodes of ten years are a tenth of it."""

LOOKED_AT_BYTES = 4096
"""How much of an XML file is looked at to tell whether it is the return."""

TITLE_ROWS = 10
"""How far down the row of column names may be."""

SEPARATORS = ",;\t|"
SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"\0]|\t)"?\s*[\r\n]', re.IGNORECASE)
"""The first line that tells Excel the separator."""

WORKBOOK = "it is an Excel workbook: save its sheet as CSV UTF-8, under a name like 2026-episodes.csv"
XML = "it is XML, which is not read: export the return as CSV, a file for each part, like 2026-episodes.csv"
MAGIC: Mapping[bytes, str] = {
    b"PK\x03\x04": WORKBOOK,
    b"\xd0\xcf\x11\xe0": WORKBOOK,
    b"<?xml": XML,
    b"\xef\xbb\xbf<?xml": XML,
}
"""How files of other formats begin that are named like a CSV file."""

MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


class NotATable(Exception):  # noqa: N818 - a finding, not a mistake
    """A file cannot be read. The text, which follows the file's name, says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class ReturnRow:
    """One row of a file: its values by upper-case column, stripped; cells that it lacks are empty."""

    line: int
    values: Mapping[str, str]
    fields: int
    """How many cells the row has, not counting empty ones beyond the last column."""


@dataclass(frozen=True, slots=True)
class ReturnTable:
    """The columns of a file and its rows; both are empty when the file is."""

    columns: tuple[str, ...]
    rows: tuple[ReturnRow, ...]
    named: bool
    """Whether a row of column names was found; otherwise the first row took its place."""


def read_table(path: Path) -> ReturnTable:
    """Return what a CSV file holds. Rows without a value are left out. Raises NotATable."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise NotATable("it is larger than 100 MB, and no part of a return is: is it the right file?")
        content = path.read_bytes()
    except OSError as error:
        raise NotATable(f"it cannot be opened: {error.strerror}") from None
    for magic, reason in MAGIC.items():
        if content.startswith(magic):
            raise NotATable(reason)
    return _table(_text(content))


def begins_with_the_return(path: Path) -> bool:
    """Return whether a file of XML names the return in its first lines. Raises NotATable."""
    try:
        with path.open("rb") as stream:
            return b"SSDA903" in stream.read(LOOKED_AT_BYTES)
    except OSError as error:
        raise NotATable(f"it cannot be opened: {error.strerror}") from None


def _text(content: bytes) -> str:
    """Decode a file's content.

    Bytes that are not text in any encoding become marks that are in no code list, so that only their row is
    refused, not the file.
    """
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if content[1:2] == b"\0":
        return content.decode("utf-16-le", "replace")
    if content[:1] == b"\0":
        return content.decode("utf-16-be", "replace")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _table(text: str) -> ReturnTable:
    told = SEPARATOR_LINE.match(text)
    separators = SEPARATORS + (told[1] if told else "")
    # The row of column names is the one with the most known names, under the separator that finds most.
    found, skipped, separator = 0, 0, separators[0]
    for candidate in separators:
        for number, cells in enumerate(_top(text, candidate)):
            known = len(READ.intersection(map(str.upper, cells)))
            if known > max(found, 1):  # a single one may be a code: there is a reason called CHILD
                found, skipped, separator = known, number, candidate
    rows = _rows(text, separator)
    for _ in islice(rows, skipped):
        pass
    _, cells = next(rows, (0, []))
    names = [cell.upper() for cell in cells]
    while names and not names[-1]:
        names.pop()
    columns = tuple(names)
    return ReturnTable(columns, tuple(_row(line, cells, columns) for line, cells in rows), named=found > 0)


def _top(text: str, separator: str) -> list[list[str]]:
    """Return the first rows under a separator; none when they cannot be read with it."""
    try:
        return [cells for _, cells in islice(_rows(text, separator), TITLE_ROWS)]
    except NotATable:
        return []


def _rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield every row with a value, and the line on which it ends."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield reader.line_num, stripped
    except csv.Error as error:
        raise NotATable(f"it is not a CSV file after line {reader.line_num}: {error}") from None


def _row(line: int, cells: list[str], columns: tuple[str, ...]) -> ReturnRow:
    while len(cells) > len(columns) and not cells[-1]:
        cells.pop()
    values = dict(zip(columns, cells + [""] * (len(columns) - len(cells)), strict=False))
    return ReturnRow(line, values, len(cells))
