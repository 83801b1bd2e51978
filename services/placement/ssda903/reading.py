"""From a directory to the files of a statutory return; `checking.py` checks their rows.

A file's columns show which part it is, its name which year it is about. An unreadable file that looks like
part of the return is never skipped: it is returned with a sentence that says what to do.
"""

from dataclasses import dataclass
from pathlib import Path

from services.placement.ssda903.parts import (
    KINDS,
    NEEDED,
    READ,
    Kind,
    kinds_named,
    kinds_with,
    may_hold_the_return,
    names_the_return,
    year_named,
)
from services.placement.ssda903.report import LeftOut
from services.placement.ssda903.tables import (
    WORKBOOK,
    XML,
    NotATable,
    ReturnRow,
    ReturnTable,
    begins_with_the_return,
    read_table,
)

TABLES = frozenset({".csv", ".txt", ".tsv", ".tab", ""})
WORKBOOKS = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"})
ARCHIVES = frozenset({".zip", ".gz", ".7z", ".rar"})

REPORT_COLUMNS = ("FILE", "LINE", "REASON")
"""The columns of the `--report` file, which may be in the same directory as the return."""


class ReturnsUnreadable(Exception):  # noqa: N818 - a finding, not a mistake
    """There is nothing to import here, or it is unclear what; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ReturnFile:
    """One file of the return of one year."""

    name: str
    kind: Kind
    year: int | None
    """The year in the file's name; None when it has none."""
    columns: tuple[str, ...]
    rows: tuple[ReturnRow, ...]


@dataclass(frozen=True, slots=True)
class Returns:
    """The files of one or more years, and the names of the files that are not imported."""

    files: tuple[ReturnFile, ...]
    left_out: tuple[LeftOut, ...]
    """Files that look like part of the return but are not read, each with what to do."""
    not_read: tuple[str, ...]
    """Parts of the return that this import leaves out, and unrelated tables."""


def read_returns(directory: Path) -> Returns:
    """Return the files of a directory, the oldest year first.

    A table with the columns of a part is that part, and its name gives the year: `2026-episodes.csv`,
    `SSDA903_2026_episodes.csv`, `2026 episodes final.csv`, or `episodes.csv` for a single year. Empty rows
    are ignored. Raises ReturnsUnreadable when nothing can be read, when two files are the same part
    of one year, and when only some files name their year.
    """
    if not directory.is_dir():
        raise ReturnsUnreadable(
            f"{directory} is not a directory: name the one that holds the return's files."
        )
    files: dict[tuple[int | None, Kind], ReturnFile] = {}
    left_out, not_read = [], []
    for path in sorted(each for each in directory.iterdir() if each.is_file() and each.name[0] not in ".~"):
        try:
            file = _read(path)
        except NotATable as finding:
            left_out.append(LeftOut(path.name, str(finding)))
            continue
        if file is None:
            if path.suffix.lower() == ".csv":
                not_read.append(path.name)
            continue
        twin = files.setdefault((file.year, file.kind), file)
        if twin is not file:
            raise ReturnsUnreadable(f"{twin.name} and {file.name} are the same part of the return: keep one.")
    if not files:
        raise ReturnsUnreadable(
            " ".join(f"{each.file} was not read: {each.reason}." for each in left_out)
            or f"{directory} holds no file of the return, such as 2026-episodes.csv."
        )
    _all_or_none_name_their_year(list(files.values()))
    ordered = sorted(files.values(), key=lambda file: (file.year or 0, KINDS.index(file.kind)))
    return Returns(tuple(ordered), tuple(left_out), tuple(not_read))


def _all_or_none_name_their_year(files: list[ReturnFile]) -> None:
    without = [file.name for file in files if file.year is None]
    if without and len(without) < len(files):
        raise ReturnsUnreadable(
            f"Some files name their year and some do not ({', '.join(without)}): name it in all of them."
        )


def _read(path: Path) -> ReturnFile | None:
    """Return a file of the return; None for any other file. Raises NotATable."""
    if path.suffix.lower() not in TABLES:
        _refuse_other_formats(path)
        return None
    try:
        table = read_table(path)
    except NotATable:
        if may_hold_the_return(path.stem):
            raise
        return None
    kind = _kind(path.stem, table)
    if kind is None:
        return None
    try:
        year = year_named(path.stem)
    except ValueError:
        raise NotATable(
            f"its name gives more than one year: name it by one, like 2026-{kind}.csv for 2025/26"
        ) from None
    return ReturnFile(path.name, kind, year, table.columns, table.rows)


def _refuse_other_formats(path: Path) -> None:
    """Raise NotATable for a file that may be the return in an unsupported format."""
    suffix = path.suffix.lower()
    if suffix in WORKBOOKS and may_hold_the_return(path.stem):
        raise NotATable(WORKBOOK)
    if suffix in ARCHIVES and may_hold_the_return(path.stem):
        raise NotATable("it is an archive: unpack it")
    if suffix == ".xml" and (may_hold_the_return(path.stem) or begins_with_the_return(path)):
        raise NotATable(XML)


def _kind(name: str, table: ReturnTable) -> Kind | None:
    """Return which part of the return a table is, None when it is none. Raises NotATable for damage."""
    shown, named = kinds_with(table.columns), kinds_named(name)
    if not shown and (not names_the_return(name) or table.columns == REPORT_COLUMNS):
        return None
    if len(shown) > 1:
        raise NotATable(f"it has the columns of {' and '.join(sorted(shown))}: make one file of each")
    if not shown and len(named) != 1:
        raise NotATable("its columns match no part of the return: is it the right file?")
    (kind,) = shown or named
    if table.columns:
        _check_columns(kind, table)
    if named and kind not in named:
        raise NotATable(
            f"its name says {' and '.join(sorted(named))}, its columns say {kind}:"
            f" name it like 2026-{kind}.csv if that is right"
        )
    return kind


def _check_columns(kind: Kind, table: ReturnTable) -> None:
    if not table.named:
        raise NotATable(
            f"its first rows do not name the columns: put {', '.join(NEEDED[kind])} above the data"
        )
    lacking = [column for column in NEEDED[kind] if column not in table.columns]
    if lacking:
        raise NotATable(f"it lacks columns of {kind} that are needed: add {' and '.join(lacking)}")
    twice = sorted(column for column in READ if table.columns.count(column) > 1)
    if twice:
        raise NotATable(f"it has the column {' and '.join(twice)} twice: keep one")
