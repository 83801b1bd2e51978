"""From rows to facts or refusals: pure, and every row is one or the other.

Only real errors are refused: unreadable values, a code that the return's year did not have, a contradiction
of another row of the same return, and facts that cannot have been known when the return was made. Three
things are accepted although the guide discourages them: a reason for the end of an episode that has not
ended (it is ignored: an open episode has no end), events before the reporting year, and an end on the day
after the reporting year.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID, uuid5

from schemas import events as e
from services.placement.ssda903 import codes
from services.placement.ssda903.codes import CodeList
from services.placement.ssda903.overlaps import Stay, overlapping
from services.placement.ssda903.parts import KINDS, NEEDED, Kind
from services.placement.ssda903.reading import ReturnFile
from services.placement.ssda903.report import FileCount, Refusal
from services.placement.ssda903.tables import ReturnRow
from services.placement.ssda903.years import OVER_MIDNIGHT, Naming, ReturnYears, find_years, last_day

CHILDREN = UUID("0d2b7f6a-6a0c-5f0e-9a53-3d1f0c0f9030")
"""Namespace of the ids of children whom a return names."""

DATE = re.compile(r"\d{2}/\d{2}/\d{4}")

Reported = (
    e.LookedAfterChildReported
    | e.LookedAfterEpisodeReported
    | e.LookedAfterReviewReported
    | e.MissingEpisodeReported
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One accepted row: its place in the files, and the event that it becomes."""

    file: str
    line: int
    event: Reported
    on: date
    """The day of the fact: events are published in this order."""


@dataclass(frozen=True, slots=True)
class Checked:
    """All rows of some returns, each a fact or a refusal."""

    facts: tuple[Fact, ...]
    refusals: tuple[Refusal, ...]
    files: tuple[FileCount, ...]
    years: ReturnYears


class _Wrong(Exception):  # noqa: N818 - leaves a row's check with the reason
    """The row is refused."""


def child_id_of(local_authority: str, child: str) -> UUID:
    """Return the id of a child whom the council's return calls `child`."""
    return uuid5(CHILDREN, f"{local_authority}/{child}")


def check(files: Iterable[ReturnFile], *, local_authority: str, naming: Naming | None = None) -> Checked:
    """Check the rows of one or more years. The same files always give the same facts and ids.

    Episodes of one child are checked against each other across all the years given, not against earlier
    imports. Raises ReturnsUnreadable when a file's year cannot be determined.
    """
    files = tuple(files)
    years = find_years(files, _first_days(files), naming=naming)
    headers = {
        years.by_file[file.name]: {row.values.get("CHILD", "") for row in file.rows}
        for file in files
        if file.kind == "header"
    }
    facts: list[Fact] = []
    refusals: list[Refusal] = []
    for file in files:
        year = years.by_file[file.name]
        checker = _FileChecker(file, year, local_authority, headers.get(year))
        for row in file.rows:
            try:
                facts.append(checker.fact(row))
            except _Wrong as wrong:
                refusals.append(Refusal(file.name, row.line, str(wrong)))
    facts, late = _without_overlaps(facts)
    refusals.extend(late)
    place = {file.name: number for number, file in enumerate(files)}
    refusals.sort(key=lambda refusal: (place[refusal.file], refusal.line))
    facts.sort(key=lambda fact: (fact.event.return_year, fact.on, KINDS.index(_kind_of(fact)), fact.line))
    refused = Counter(refusal.file for refusal in refusals)
    counts = tuple(
        FileCount(file.name, len(file.rows), len(file.rows) - refused[file.name], refused[file.name])
        for file in files
    )
    return Checked(tuple(facts), tuple(refusals), counts, years)


class _FileChecker:
    """Checks the rows of one file, in order."""

    def __init__(self, file: ReturnFile, year: int, local_authority: str, children: set[str] | None) -> None:
        self._file = file
        self._year = year
        self._local_authority = local_authority
        self._children = children
        self._seen_rows: dict[tuple[str, ...], int] = {}
        self._seen_subjects: dict[tuple[UUID, UUID], int] = {}
        self._fewest = 1 + max(map(file.columns.index, NEEDED[file.kind])) if file.columns else 0

    def fact(self, row: ReturnRow) -> Fact:
        """Return the row's fact; raises _Wrong with the reason."""
        # Excel omits empty cells at the end of a row, which does no harm where none is required.
        if not self._fewest <= row.fields <= len(self._file.columns):
            raise _Wrong(f"the row is torn: {row.fields} fields and {len(self._file.columns)} columns")
        earlier = self._seen_rows.setdefault(tuple(row.values.values()), row.line)
        if earlier != row.line:
            raise _Wrong(f"the row is in the file already: line {earlier}")
        child = row.values["CHILD"]
        if not child:
            raise _Wrong("CHILD is empty")
        if self._children is not None and child not in self._children:
            raise _Wrong("the child is not in the header file of the year")
        event, on = self._read(row.values, child_id_of(self._local_authority, child))
        subject = (event.child_id, event.subject)
        earlier = self._seen_subjects.setdefault(subject, row.line)
        if earlier != row.line:
            raise _Wrong(f"{_SAME_AGAIN[self._file.kind]}: line {earlier}")
        return Fact(self._file.name, row.line, event, on)

    def _read(self, values: Mapping[str, str], child_id: UUID) -> tuple[Reported, date]:
        match self._file.kind:
            case "header":
                return self._child(values, child_id)
            case "episodes":
                return self._episode(values, child_id)
            case "reviews":
                return self._review(values, child_id)
            case "missing":
                return self._missing(values, child_id)

    def _child(self, values: Mapping[str, str], child_id: UUID) -> tuple[Reported, date]:
        """Personal values are checked and go no further."""
        _date(values, "DOB")
        self._code(values, "SEX", codes.SEX)
        self._code(values, "ETHNIC", codes.ETHNICITY)
        return e.LookedAfterChildReported(child_id=child_id, return_year=self._year), date.min

    def _episode(self, values: Mapping[str, str], child_id: UUID) -> tuple[Reported, date]:
        started_on = self._known(_date(values, "DECOM"), "DECOM")
        ended_on = self._end(values, "DEC", started_on, "DECOM")
        if ended_on is not None and not values["REC"]:
            raise _Wrong("DEC is given and REC is empty: an episode that ended needs its reason")
        reason_ended = self._code_if_any(values, "REC", codes.REASON_ENDED)
        event = e.LookedAfterEpisodeReported(
            child_id=child_id,
            episode_id=uuid5(child_id, f"episode/{started_on}"),
            return_year=self._year,
            started_on=started_on,
            reason_started=self._code(values, "RNE", codes.REASON_STARTED),
            legal_status=self._code(values, "LS", codes.LEGAL_STATUS),
            need=self._code(values, "CIN", codes.NEED),
            placement_type=self._code(values, "PLACE", codes.PLACEMENT_TYPE),
            placement_provider=self._code_if_any(values, "PLACE_PROVIDER", codes.PLACEMENT_PROVIDER),
            ended_on=ended_on,
            reason_ended=reason_ended if ended_on is not None else None,
            reason_place_change=self._code_if_any(values, "REASON_PLACE_CHANGE", codes.REASON_PLACE_CHANGE),
        )
        return event, started_on

    def _review(self, values: Mapping[str, str], child_id: UUID) -> tuple[Reported, date]:
        reviewed_on = self._known(_date(values, "REVIEW"), "REVIEW")
        event = e.LookedAfterReviewReported(
            child_id=child_id,
            review_id=uuid5(child_id, f"review/{reviewed_on}"),
            return_year=self._year,
            reviewed_on=reviewed_on,
            review_code=self._code(values, "REVIEW_CODE", codes.REVIEW_CODE),
        )
        return event, reviewed_on

    def _missing(self, values: Mapping[str, str], child_id: UUID) -> tuple[Reported, date]:
        started_on = self._known(_date(values, "MIS_START"), "MIS_START")
        event = e.MissingEpisodeReported(
            child_id=child_id,
            missing_id=uuid5(child_id, f"missing/{started_on}"),
            return_year=self._year,
            kind="missing" if self._code(values, "MISSING", codes.MISSING) == "M" else "away",
            started_on=started_on,
            ended_on=self._end(values, "MIS_END", started_on, "MIS_START"),
        )
        return event, started_on

    def _known(self, day: date, column: str) -> date:
        """Refuse a day that had not come when the return was made."""
        if day > last_day(self._year):
            raise _Wrong(f"{column} is after the return's year: it ends on {last_day(self._year):%d/%m/%Y}")
        return day

    def _code(self, values: Mapping[str, str], column: str, known: CodeList) -> str:
        code = values[column]
        if code not in known:
            raise _Wrong(f"{column} is not a code of the list: {known.words}")
        years = known.years.get(code)
        if years is not None and self._year not in years:
            raise _Wrong(f"{column} is a code of the returns {years}, not of {self._year}: {known.words}")
        return code

    def _code_if_any(self, values: Mapping[str, str], column: str, known: CodeList) -> str | None:
        return self._code(values, column, known) if values.get(column) else None

    def _end(
        self, values: Mapping[str, str], column: str, started_on: date, start_column: str
    ) -> date | None:
        if not values[column]:
            return None
        day = _date(values, column)
        if day < started_on:
            raise _Wrong(f"{column} is before {start_column}")
        if day > last_day(self._year) + OVER_MIDNIGHT:
            raise _Wrong(f"{column} is after the return's year: it ends on {last_day(self._year):%d/%m/%Y}")
        return day


_SAME_AGAIN: Mapping[Kind, str] = {
    "header": "another row of the file is about the same child",
    "episodes": "another row of the file gives the child an episode from the same day",
    "reviews": "another row of the file gives the child a review on the same day with another code",
    "missing": "another row of the file reports the child missing from the same day",
}


def _without_overlaps(facts: list[Fact]) -> tuple[list[Fact], list[Refusal]]:
    """Refuse every report of an episode that begins before an earlier one of the child has ended."""
    reports: defaultdict[tuple[UUID, date], list[Fact]] = defaultdict(list)
    for fact in facts:
        if isinstance(fact.event, e.LookedAfterEpisodeReported):
            reports[fact.event.child_id, fact.event.started_on].append(fact)
    stays: defaultdict[UUID, list[Stay]] = defaultdict(list)
    for (child_id, started_on), told in reports.items():
        newest = max(told, key=lambda fact: fact.event.return_year)
        known = [fact.event for fact in told if isinstance(fact.event, e.LookedAfterEpisodeReported)]
        # A newer return without an end does not withdraw an end that an older one gave.
        ends = [(event.return_year, event.ended_on) for event in known if event.ended_on is not None]
        stays[child_id].append(
            Stay(started_on, max(ends)[1] if ends else None, f"{newest.file}, line {newest.line}")
        )
    refusals, refused = [], set()
    for child_id, of_child in stays.items():
        for stay, earlier in overlapping(of_child):
            for fact in reports[child_id, stay.started_on]:
                refused.add((fact.file, fact.line))
                reason = f"the episode begins before an earlier one of the child has ended: {earlier.where}"
                refusals.append(Refusal(fact.file, fact.line, reason))
    return [fact for fact in facts if (fact.file, fact.line) not in refused], refusals


def _first_days(files: Iterable[ReturnFile]) -> list[tuple[str, date]]:
    days = []
    for file in files:
        if file.kind == "episodes" and "DECOM" in file.columns:
            for row in file.rows:
                day = _day(row.values.get("DECOM", ""))
                if day is not None:
                    days.append((file.name, day))
    return days


def _kind_of(fact: Fact) -> Kind:
    match fact.event:
        case e.LookedAfterChildReported():
            return "header"
        case e.LookedAfterEpisodeReported():
            return "episodes"
        case e.LookedAfterReviewReported():
            return "reviews"
        case e.MissingEpisodeReported():
            return "missing"


def _day(text: str) -> date | None:
    if not DATE.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, "%d/%m/%Y").date()  # noqa: DTZ007 - a day has no time zone
    except ValueError:
        return None


def _date(values: Mapping[str, str], column: str) -> date:
    day = _day(values[column])
    if day is None:
        raise _Wrong(f"{column} is not a date like 31/03/2026")
    return day
