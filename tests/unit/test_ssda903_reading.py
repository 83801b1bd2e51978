"""Which files of a directory are read, and how."""

from pathlib import Path

import pytest

from services.placement.ssda903.reading import ReturnsUnreadable, read_returns
from services.placement.ssda903.report import FileCount, ImportReport, LeftOut, Refusal
from services.placement.ssda903.tables import LARGEST_BYTES

REVIEWS = "CHILD,DOB,REVIEW,REVIEW_CODE\n1,,01/06/2025,PN1\n"


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
    write(tmp_path, **{"2026__header": "\ufeffchild, Sex ,DOB,Ethnic\r\n\r\n 1 ,2,,\r\n\r\n"})

    (file,) = read_returns(tmp_path).files

    assert file.columns == ("CHILD", "SEX", "DOB", "ETHNIC")
    assert [(row.line, dict(row.values)) for row in file.rows] == [
        (3, {"CHILD": "1", "SEX": "2", "DOB": "", "ETHNIC": ""})
    ]


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    write(tmp_path, **{"2026__header": "\n"})

    assert read_returns(tmp_path).files[0].rows == ()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "holds no file of the return"),
        (("2026__header", "episodes"), r"some do not \(episodes\.csv\): name it in all of them"),
        (("2026__header", "2026_header"), "are the same part of the return"),
        (
            ("2026__episodes", "2026 episodes final"),
            r"2026 episodes final\.csv and 2026-episodes\.csv are the same part of the return: keep one",
        ),
        (("SSDA903_2026_episodes", "2026__episodes"), "are the same part of the return"),
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

    with pytest.raises(
        ReturnsUnreadable, match=r"2026-header\.csv was not read: it is not a CSV file after line 2"
    ):
        read_returns(tmp_path)


@pytest.mark.parametrize(
    ("name", "year"),
    [
        ("2026-reviews.csv", 2026),
        ("SSDA903_2026_Reviews.CSV", 2026),
        ("ssda903_reviews_2026.csv", 2026),
        ("2026 reviews final (1).csv", 2026),
        ("reviews2026.csv", 2026),
        ("2026 export.csv", 2026),
        ("reviews.csv", None),
        ("reviews_20261103.csv", None),
        ("2026-reviews.txt", 2026),
    ],
)
def test_a_file_is_read_under_any_name_that_gives_one_year(
    tmp_path: Path, name: str, year: int | None
) -> None:
    """Its columns say which part it is."""
    (tmp_path / name).write_text(REVIEWS)

    (file,) = read_returns(tmp_path).files

    assert (file.name, file.kind, file.year, len(file.rows)) == (name, "reviews", year, 1)


LEFT_OUT = [
    ("2026-episodes.xlsx", b"PK\x03\x04", "it is an Excel workbook: save its sheet as CSV UTF-8"),
    ("2026.xls", b"\xd0\xcf\x11\xe0", "it is an Excel workbook"),
    ("SSDA903 return.ods", b"", "it is an Excel workbook"),
    ("2026-episodes.csv", b"PK\x03\x04\x14\0", "it is an Excel workbook"),
    ("2026.csv", b"PK\x03\x04\x14\0", "it is an Excel workbook"),
    ("2026-episodes.xml", b"<?xml version='1.0'?>", "it is XML, which is not read: export the return as CSV"),
    ("export.xml", b"<?xml version='1.0'?>\n<EXPSSDA903><CHILD>", "it is XML"),
    ("2026-episodes.csv", b"\xef\xbb\xbf<?xml version='1.0'?>", "it is XML"),
    ("2026-903.zip", b"PK\x03\x04", "it is an archive: unpack it"),
    ("2026-episodes.csv", b"CHILD,DECOM,RNE,LS,CIN,PLACE\n1,,,,,\n",
     "it lacks columns of episodes that are needed: add DEC and REC"),
    ("export.csv", b"CHILD,DECOM\n1,\n", "it lacks columns of episodes"),
    ("2026-missing.csv", b"1,01/01/2010,A,04/05/2025,05/05/2025\n" * 3,
     "its first rows do not name the columns: put CHILD, MISSING, MIS_START, MIS_END above the data"),
    ("2026-missing.csv", b"CHILD,MISSING,MIS_START,MIS_END,CHILD\n1,,,,2\n",
     "it has the column CHILD twice: keep one"),
    ("2026-missing.csv", b"CHILD,REVIEW,REVIEW_CODE\n1,,\n",
     "its name says missing, its columns say reviews: name it like 2026-reviews.csv if that is right"),
    ("2025-26-reviews.csv", b"CHILD,REVIEW,REVIEW_CODE\n1,,\n",
     "its name gives more than one year: name it by one, like 2026-reviews.csv for 2025/26"),
    ("reviews 2025 2026.csv", b"CHILD,REVIEW,REVIEW_CODE\n1,,\n", "its name gives more than one year"),
    ("2026-reviews-2026-11-03.csv", b"CHILD,REVIEW,REVIEW_CODE\n1,,\n", "its name gives more than one year"),
    ("SSDA903_2026.csv", b"CHILD,WHAT,EVER\n1,,\n", "its columns match no part of the return"),
    ("2026.csv", b"CHILD,DECOM,REVIEW\n1,,\n",
     "it has the columns of episodes and reviews: make one file of each"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "words"), LEFT_OUT)
def test_what_looks_like_the_return_and_cannot_be_read_is_named_once_with_what_to_do(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    """The files beside it are read."""
    (tmp_path / name).write_bytes(content)
    (tmp_path / "2027-reviews.csv").write_text(REVIEWS)

    returns = read_returns(tmp_path)

    assert [file.name for file in returns.files] == ["2027-reviews.csv"]
    ((file, reason),) = [(each.file, each.reason) for each in returns.left_out]
    assert file == name
    assert reason.startswith(words)
    assert returns.not_read == ()


def test_when_nothing_can_be_read_each_file_has_its_sentence(tmp_path: Path) -> None:
    (tmp_path / "2026-episodes.xlsx").write_bytes(b"PK\x03\x04")
    (tmp_path / "2026-reviews.csv").write_text("CHILD,REVIEW\n1,\n")

    with pytest.raises(
        ReturnsUnreadable, match=r"2026-episodes\.xlsx was not read.+2026-reviews\.csv was not"
    ):
        read_returns(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("2026-sw_episodes.csv", "CHILD,DOB,SW_ID,SW_DECOM,SW_DEC,SW_REASON\n"),
        ("2026-uasc.csv", "CHILD,SEX,DOB,DUC\n"),
        ("2026-uasc.xlsx", "PK\x03\x04"),
        ("placed_for_adoption.csv", "CHILD,DOB,DATE_PLACED\n"),
        ("refused-episodes.csv", "file,line,reason\n"),
        ("homes.csv", "URN,NAME\n"),
        ("homes.xlsx", "PK\x03\x04"),
        ("notes.txt", "Ask the team about the missing children"),
        ("guide to the SSDA903 return 2026.pdf", ""),
        ("~$2026-episodes.xlsx", ""),
        (".~lock.2026-episodes.csv#", ""),
    ],
)
def test_what_is_no_part_of_this_import_is_left_alone(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    (tmp_path / "2026-reviews.csv").write_text(REVIEWS)

    returns = read_returns(tmp_path)

    assert [file.name for file in returns.files] == ["2026-reviews.csv"]
    assert returns.left_out == ()
    assert returns.not_read == ((name,) if name.endswith(".csv") else ())


def test_a_file_that_may_not_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stops root from opening a file, so opening fails on purpose."""
    (tmp_path / "2026-reviews.csv").write_text(REVIEWS)

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ReturnsUnreadable, match="it cannot be opened: Permission denied"):
        read_returns(tmp_path)


def test_a_file_larger_than_any_return_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "2026-reviews.csv").open("wb") as stream:
        stream.truncate(LARGEST_BYTES + 1)

    with pytest.raises(ReturnsUnreadable, match="it is larger than 100 MB"):
        read_returns(tmp_path)


def test_the_report_counts_rows_and_reasons() -> None:
    report = ImportReport(
        years="",
        files=[FileCount("a.csv", 5, 3, 2), FileCount("b.csv", 2, 2, 0)],
        refusals=[Refusal("a.csv", 2, "torn: 1 field"), Refusal("a.csv", 3, "torn: 2 fields")],
        left_out=[LeftOut("b.xlsx", "it is an Excel workbook")],
        not_read=[],
        published=5,
        handled=True,
        seconds=1.0,
    )

    assert (report.rows, report.taken, report.reasons) == (7, 5, {"torn": 2})
    assert report.as_dict()["files"][0] == {"file": "a.csv", "rows": 5, "taken": 3, "refused": 2}
    assert report.as_dict()["left_out"] == [{"file": "b.xlsx", "reason": "it is an Excel workbook"}]
