"""What spreadsheets leave in a file changes nothing about what it says."""

from pathlib import Path

import pytest

from services.placement.ssda903.tables import NotATable, read_table

COLUMNS = "CHILD,DOB,REVIEW,REVIEW_CODE"
ROWS = ("1,01/02/2012,10/06/2025,PN1", "2,01/02/2013,11/06/2025,PN2")
PLAIN = "\n".join((COLUMNS, *ROWS)) + "\n"
UTF16 = PLAIN.replace(",", "\t")

SAVED = {
    "plain": PLAIN.encode(),
    "no end of line at the end": PLAIN.rstrip().encode(),
    "the line ends of Windows": PLAIN.replace("\n", "\r\n").encode(),
    "the line ends of old Macs": PLAIN.replace("\n", "\r").encode(),
    "rows of commas at the end": (PLAIN + ",,,\n" * 3).encode(),
    "rows of blanks and commas between": PLAIN.replace("\n", "\n , ,,\n").encode(),
    "two empty cells after the last column": PLAIN.replace("PN1", "PN1,,").replace("PN2", "PN2,,").encode(),
    "empty columns after the last": PLAIN.replace("\n", ",,\n").encode(),
    "semicolons": PLAIN.replace(",", ";").encode(),
    "tabs": PLAIN.replace(",", "\t").encode(),
    "bars": PLAIN.replace(",", "|").encode(),
    "a line that names the comma": b"sep=,\n" + PLAIN.encode(),
    "a line that names the semicolon": b"SEP=;\r\n" + PLAIN.replace(",", ";").encode(),
    "a line that names a separator of its own": b'"sep=^"\n' + PLAIN.replace(",", "^").encode(),
    "a mark before UTF-8": b"\xef\xbb\xbf" + PLAIN.encode(),
    "a mark, then a line that names the comma": b"\xef\xbb\xbfsep=,\n" + PLAIN.encode(),
    "Unicode text of Excel": UTF16.encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + UTF16.encode("utf-16-be"),
    "UTF-16 without a mark": UTF16.encode("utf-16-le"),
    "UTF-16 without a mark, big end first": UTF16.encode("utf-16-be"),
    "a title and an empty row": b"SSDA903 Reviews extract,,,\n,,,\n" + PLAIN.encode(),
    "a title without commas": b"SSDA903 Reviews extract; run 03/04/2026\n\n" + PLAIN.encode(),
    "quotes around all": "\n".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) for line in (COLUMNS, *ROWS)
    ).encode(),
    "small letters and blanks": PLAIN.replace(COLUMNS, " child , Dob,review ,Review_Code").encode(),
}


@pytest.mark.parametrize("content", SAVED.values(), ids=SAVED)
def test_the_same_table_is_read_from_whatever_a_spreadsheet_saves(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "any.csv"
    file.write_bytes(content)

    table = read_table(file)

    assert table.named
    assert table.columns == tuple(COLUMNS.split(","))
    assert [tuple(row.values.values()) for row in table.rows] == [tuple(row.split(",")) for row in ROWS]
    assert {row.fields for row in table.rows} == {4}


def test_lines_are_those_of_the_file_as_an_editor_counts_them(tmp_path: Path) -> None:
    """Titles, empty rows and the line that names the separator count."""
    file = tmp_path / "any.csv"
    file.write_text("sep=,\nTitle,,,\n,,,\n" + COLUMNS + "\n\n" + "\n,,,\n".join(ROWS) + "\n")

    assert [row.line for row in read_table(file).rows] == [6, 8]


def test_letters_of_windows_are_read(tmp_path: Path) -> None:
    """Old programs save in their own code page; no column that matters has such letters, others do."""
    file = tmp_path / "any.csv"
    file.write_bytes(f"{COLUMNS},NOTE\n{ROWS[0]},Zoë’s café\n".encode("cp1252"))

    assert read_table(file).rows[0].values["NOTE"] == "Zoë’s café"


def test_a_row_with_more_or_fewer_cells_tells_how_many(tmp_path: Path) -> None:
    """Only empty cells after the last column are none."""
    file = tmp_path / "any.csv"
    file.write_text(f"{COLUMNS}\n1,2\n1,2,3,4,5\n1,2,3,4,,6,,\n")

    assert [row.fields for row in read_table(file).rows] == [2, 5, 6]


def test_a_table_without_column_names_says_so(tmp_path: Path) -> None:
    """A single known word is no row of names: `CHILD` is also the reason that a child asked to move."""
    file = tmp_path / "any.csv"
    file.write_text("1,02/05/2025,CHILD\n2,02/05/2025,CHILD\n")

    assert not read_table(file).named


def test_column_names_further_down_than_any_title_are_not_looked_for(tmp_path: Path) -> None:
    file = tmp_path / "any.csv"
    file.write_text("a title\n" * 10 + PLAIN)

    assert not read_table(file).named


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b",,,\n", b"\xff\xfe"])
def test_an_empty_file_is_an_empty_table(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "any.csv"
    file.write_bytes(content)

    assert (read_table(file).columns, read_table(file).rows) == ((), ())


def test_a_field_without_end_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "any.csv"
    file.write_text(f'{COLUMNS}\n"' + "x" * 200_000)

    with pytest.raises(NotATable, match="it is not a CSV file after line 2"):
        read_table(file)
