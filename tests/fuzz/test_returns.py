"""Files of the statutory return with anything in them: each row is taken, or refused with a reason."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.messages.envelope import decode, encode
from services.kernel.messages.record import Record
from services.placement.ssda903 import codes
from services.placement.ssda903.checking import Checked, check
from services.placement.ssda903.importing import envelope_of
from services.placement.ssda903.reading import ReturnsUnreadable, read_returns
from tests.fuzz.effort import MARKER, effort

COLUMNS = {
    "header": ("CHILD", "SEX", "DOB", "ETHNIC", "UPN"),
    "episodes": (
        "CHILD",
        "DECOM",
        "RNE",
        "LS",
        "CIN",
        "PLACE",
        "PLACE_PROVIDER",
        "DEC",
        "REC",
        "REASON_PLACE_CHANGE",
        "HOME_POST",
    ),
    "reviews": ("CHILD", "DOB", "REVIEW", "REVIEW_CODE"),
    "missing": ("CHILD", "DOB", "MISSING", "MIS_START", "MIS_END"),
}
DAYS = ("DOB", "DECOM", "DEC", "REVIEW", "MIS_START", "MIS_END")
LISTS = {
    "SEX": codes.SEX,
    "ETHNIC": codes.ETHNICITY,
    "RNE": codes.REASON_STARTED,
    "LS": codes.LEGAL_STATUS,
    "CIN": codes.NEED,
    "PLACE": codes.PLACEMENT_TYPE,
    "PLACE_PROVIDER": codes.PLACEMENT_PROVIDER,
    "REC": codes.REASON_ENDED,
    "REASON_PLACE_CHANGE": codes.REASON_PLACE_CHANGE,
    "REVIEW_CODE": codes.REVIEW_CODE,
    "MISSING": codes.MISSING,
}
DATES = ("02/05/2025", "01/04/2025", "31/03/2026", "30/06/2025", "15/11/2025")
ODD = (
    "",
    " ",
    "\x00",
    MARKER,
    f'"{MARKER}',
    "x" * 5000,
    "31/02/2026",
    "01/01/0001",
    "01/01/0021",
    "31/12/9999",
    "01/01/1899",
    "1/1/2026",
    "2026-01-01",
    "\u0660\u0661/\u0660\u0661/\u0662\u0660\u0662\u0665",
    "=1+1",
    "\ufeff",
    "é",
    "a\nb",
    "a\r\nb",
    ",",
)
YEARS = ("", "2026-", "2025_", "1992 ", "0000-", "0001-", "1991-", "2099-", "2100-", "9999-")


def values(column: str) -> st.SearchStrategy[str]:
    """Mostly what belongs into a column, sometimes anything."""
    if column in DAYS:
        right = st.sampled_from(DATES)
    elif column in LISTS:
        right = st.sampled_from(sorted(LISTS[column].codes))
    else:
        right = st.sampled_from(["1", "2", "3"])
    odd = st.one_of(st.sampled_from(ODD), st.text(max_size=10))
    return st.one_of(right, right, right, right, right, odd)


@st.composite
def tables(draw: st.DrawFn, part: str) -> bytes:
    """Return one file: its columns and rows mostly right, its encoding and shape not always."""
    columns = list(COLUMNS[part])
    match draw(st.sampled_from(["whole", "whole", "whole", "lacking", "twice", "lower"])):
        case "lacking":
            columns.remove(draw(st.sampled_from(columns)))
        case "twice":
            columns.append(draw(st.sampled_from(columns)))
        case "lower":
            columns = [column.lower() for column in columns]
    row = st.tuples(*(values(column.upper()) for column in columns)).map(list)
    rows = draw(st.lists(row, max_size=8))
    for torn in rows:
        if draw(st.integers(0, 9)) == 0:
            torn.append("more")
    out = io.StringIO()
    separator = draw(st.sampled_from(",,,;\t|^"))
    if separator == "^" or draw(st.integers(0, 4)) == 0:
        out.write(f"sep={separator}\r\n")
    left_behind = draw(st.lists(st.sampled_from([["A title"], ["", ""], [MARKER, ""]]), max_size=3))
    csv.writer(out, delimiter=separator).writerows([*left_behind, columns, *rows, *[[""] * len(columns)] * 2])
    return _written(draw, out.getvalue())


def _written(draw: st.DrawFn, text: str) -> bytes:
    match draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "bom", "latin-1", "utf-16", "cut", "bytes"])):
        case "bom":
            return text.encode("utf-8-sig")
        case "latin-1":
            return text.encode("latin-1", "replace")
        case "utf-16":
            return text.encode("utf-16")
        case "cut":
            return text.encode()[: draw(st.integers(0, len(text)))]
        case "bytes":
            content = text.encode()
            place = draw(st.integers(0, len(content)))
            return content[:place] + draw(st.binary(max_size=8)) + content[place:]
        case _:
            return text.encode()


def checked(directory: Path) -> Checked | None:
    """What the files of a directory say; None when they are refused as a whole."""
    try:
        returns = read_returns(directory)
        for each in returns.left_out:
            assert each.reason
            assert MARKER not in each.reason
        assert len(returns.files) + len(returns.left_out) + len(returns.not_read) == len(
            list(directory.iterdir())
        )
        return check(returns.files, local_authority="x")
    except ReturnsUnreadable as error:
        refusal = str(error)
    assert refusal
    assert MARKER not in refusal
    return None


def adds_up(found: Checked) -> None:
    """Every row is one fact or one refusal, and every fact an event that consumers can read."""
    for count in found.files:
        assert count.taken + count.refused == count.rows
    assert len(found.facts) == sum(count.taken for count in found.files)
    assert len(found.refusals) == sum(count.refused for count in found.files)
    for refusal in found.refusals:
        assert refusal.reason
        assert MARKER not in refusal.reason
    for fact in found.facts:
        envelope = envelope_of(fact)
        key, value, headers = encode(envelope)
        assert decode(Record("partner-events", 0, 0, key, value, tuple(headers))) == envelope
        assert type(fact.event).model_validate_json(value) == fact.event


def fill(directory: Path, files: dict[str, bytes]) -> Path:
    """Let a directory hold these files and no others."""
    for path in directory.iterdir():
        path.unlink()
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return directory


@effort(80)
@given(data=st.data())
def test_every_row_is_taken_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    """Wrong columns, quotes, encodings and dates; years in the names that no return has."""
    year = data.draw(st.sampled_from(YEARS))
    parts = data.draw(st.sets(st.sampled_from(sorted(COLUMNS)), min_size=1))
    files = {f"{year}{part}.csv": data.draw(tables(part)) for part in sorted(parts)}
    found = checked(fill(tmp_path, files))
    if found is not None:
        adds_up(found)


@effort(80)
@given(content=st.binary(max_size=300), part=st.sampled_from(sorted(COLUMNS)))
def test_any_bytes_are_rows_or_refused(tmp_path: Path, content: bytes, part: str) -> None:
    """Also what is no CSV at all."""
    found = checked(fill(tmp_path, {f"2026-{part}.csv": content}))
    if found is not None:
        adds_up(found)


EPISODE = ",".join(COLUMNS["episodes"]) + "\n1,{},S,C2,N1,U6,PR4,,,,\n"


@pytest.mark.parametrize("year", ["0000", "0001", "1991", "2101", "9999"])
def test_a_year_that_no_return_has_is_refused_in_words(tmp_path: Path, year: str) -> None:
    """The first return was that of 1992; year 0 and year 10000 are no years at all."""
    files = {f"{year}-episodes.csv": EPISODE.format("02/05/2025").encode()}
    with pytest.raises(ReturnsUnreadable, match="year"):
        check(read_returns(fill(tmp_path, files)).files, local_authority="x")


def test_a_mistyped_year_of_a_first_day_does_not_choose_the_year_of_the_return(tmp_path: Path) -> None:
    """A row from the year 9999 is refused; the others say which year the return is about."""
    rows = EPISODE.format("02/05/2025") + "2,01/05/9999,S,C2,N1,U6,PR4,,,,\n"
    found = checked(fill(tmp_path, {"episodes.csv": rows.encode()}))
    assert found is not None
    assert len(found.facts) == 1
    assert [refusal.reason for refusal in found.refusals] == [
        "DECOM is after the return's year: it ends on 31/03/2026"
    ]


def test_a_first_day_with_a_two_digit_year_is_an_event_that_consumers_can_read(tmp_path: Path) -> None:
    """Its time stamp once had a year of two digits, which no consumer could read."""
    found = checked(fill(tmp_path, {"2026-episodes.csv": EPISODE.format("02/05/0025").encode()}))
    assert found is not None
    assert len(found.facts) == 1
    adds_up(found)


NAMES = st.from_regex(
    r"x[a-zA-Z0-9 _.()~-]{0,12}(episodes|REVIEW|2026|25-26|903|uasc)?[ _-]{0,2}\w{0,4}\.(csv|CSV|txt)",
    fullmatch=True,
)


@effort(80)
@given(name=NAMES, part=st.sampled_from(sorted(COLUMNS)), data=st.data())
def test_a_table_of_the_return_is_never_passed_over_whatever_its_name(
    tmp_path: Path, name: str, part: str, data: st.DataObject
) -> None:
    """It is read, or named with a sentence."""
    row = {column: data.draw(values(column)) for column in COLUMNS[part]}
    out = io.StringIO()
    csv.writer(out).writerows([row.keys(), row.values()])
    fill(tmp_path, {name: out.getvalue().encode("utf-8", "replace")})
    (tmp_path / "2026-reviews.csv").write_text("CHILD,REVIEW,REVIEW_CODE\n", encoding="utf-8")
    try:
        returns = read_returns(tmp_path)
    except ReturnsUnreadable as error:
        named = str(error)
    else:
        read = [file.name for file in returns.files]
        named = " ".join([*read, *(each.file for each in returns.left_out)])
    assert name in named
