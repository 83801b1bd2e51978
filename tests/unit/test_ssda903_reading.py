"""Which files of a directory are read, and how."""

from pathlib import Path

import pytest

from services.placement.ssda903.reading import ReturnsUnreadable, read_returns
from services.placement.ssda903.report import FileCount, Refusal, Report


def write(directory: Path, **files: str) -> None:
    for name, content in files.items():
        (directory / f"{name.replace('__', '-')}.csv").write_bytes(content.encode())


def test_files_are_found_in_any_case_and_sorted_by_year_and_part(tmp_path: Path) -> None:
    write(tmp_path, **{"2026__REVIEWS": "", "2025__missing": "", "2026__Header": "", "2025__episodes": ""})

    assert [file.name for file in read_returns(tmp_path).files] == [
        "2025-episodes.csv",
        "2025-missing.csv",
        "2026-Header.csv",
        "2026-REVIEWS.csv",
    ]


def test_other_files_of_the_return_are_named_and_not_read(tmp_path: Path) -> None:
    write(
        tmp_path, **{"2026__header": "", "2026__uasc": "", "2026__oc2": "", "2026__placed_for_adoption": ""}
    )
    (tmp_path / "notes.txt").write_text("not a part of the return")

    assert read_returns(tmp_path).not_read == (
        "2026-oc2.csv",
        "2026-placed_for_adoption.csv",
        "2026-uasc.csv",
    )


def test_a_byte_order_mark_column_case_and_blanks_do_not_matter(tmp_path: Path) -> None:
    """A spreadsheet saves with a mark, Windows line ends and blank lines."""
    write(tmp_path, **{"2026__header": "\ufeffchild, Sex ,DOB\r\n\r\n 1 ,2,\r\n\r\n"})

    (file,) = read_returns(tmp_path).files

    assert file.columns == ("CHILD", "SEX", "DOB")
    assert [(row.line, dict(row.values)) for row in file.rows] == [(3, {"CHILD": "1", "SEX": "2", "DOB": ""})]


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    write(tmp_path, **{"2026__header": "\n"})

    assert read_returns(tmp_path).files[0].rows == ()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "holds no file of the return"),
        (("2026__header", "episodes"), "name it in all of them"),
        (("2026__header", "2026_header"), "are the same part of the return"),
    ],
)
def test_what_is_not_clear_is_not_imported(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    write(tmp_path, **dict.fromkeys(names, ""))

    with pytest.raises(ReturnsUnreadable, match=words):
        read_returns(tmp_path)


def test_a_place_that_is_no_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReturnsUnreadable, match="is not a directory"):
        read_returns(tmp_path / "nowhere")


def test_a_field_without_end_makes_the_file_unreadable_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, **{"2026__header": 'CHILD\n"' + "x" * 200_000})

    with pytest.raises(ReturnsUnreadable, match=r"2026-header\.csv is no CSV file after line"):
        read_returns(tmp_path)


def test_the_report_counts_rows_and_reasons() -> None:
    report = Report(
        years="",
        files=[FileCount("a.csv", 5, 3, 2), FileCount("b.csv", 2, 2, 0)],
        refusals=[Refusal("a.csv", 2, "torn: 1 field"), Refusal("a.csv", 3, "torn: 2 fields")],
        not_read=[],
        published=5,
        handled=True,
        seconds=1.0,
    )

    assert (report.rows, report.taken, report.reasons) == (7, 5, {"torn": 2})
    assert report.as_dict()["files"][0] == {"file": "a.csv", "rows": 5, "taken": 3, "refused": 2}
