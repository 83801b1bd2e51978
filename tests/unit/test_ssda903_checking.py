"""Every way in which a row can be wrong, and what is not wrong: planted rows, pure functions, no broker."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import get_args

import pytest

from schemas import events as e
from services.kernel.messages.envelope import decode, encode
from services.kernel.messages.record import Record
from services.placement.ssda903 import codes
from services.placement.ssda903.checking import Checked, Reported, check, child_id_of
from services.placement.ssda903.codes import CodeList
from services.placement.ssda903.importing import envelope_of
from services.placement.ssda903.overlaps import Stay, overlapping
from services.placement.ssda903.reading import ReturnsUnreadable, read_returns
from services.placement.ssda903.years import Naming

HEADER = "CHILD,SEX,DOB,ETHNIC,UPN\n"
EPISODES = "CHILD,DECOM,RNE,LS,CIN,PLACE,PLACE_PROVIDER,DEC,REC,REASON_PLACE_CHANGE,HOME_POST\n"
REVIEWS = "CHILD,DOB,REVIEW,REVIEW_CODE\n"
MISSING = "CHILD,DOB,MISSING,MIS_START,MIS_END\n"

CHILD_1 = "1,F,01/01/2010,WBRI,B1\n"
GOOD = "1,02/05/2025,S,C2,N1,U6,PR4,,,,CB1 1AA\n"


def checked(directory: Path, files: Mapping[str, str], naming: Naming | None = None) -> Checked:
    """Check the files of the return of 2025/26: the part `episodes` is written to `2026-episodes.csv`."""
    for part, content in files.items():
        (directory / f"2026-{part}.csv").write_text(content)
    return check(read_returns(directory).files, local_authority="x", naming=naming)


def reasons(found: Checked) -> list[tuple[str, int, str]]:
    return [(refusal.file, refusal.line, refusal.reason) for refusal in found.refusals]


def only_reason(directory: Path, part: str, content: str) -> str:
    """The one refusal of a file whose first row is good and whose second is not."""
    files = {"header": HEADER + CHILD_1} | {part: content}
    found = checked(directory, files)
    ((file, _, reason),) = reasons(found)
    assert file == f"2026-{part}.csv"
    for count in found.files:
        assert count.taken + count.refused == count.rows
    return reason


def test_good_rows_are_facts_and_nothing_personal_is_in_them(tmp_path: Path) -> None:
    """One event per row, in the order of their days, header first."""
    found = checked(
        tmp_path,
        {
            "header": HEADER + CHILD_1,
            "episodes": EPISODES + GOOD,
            "reviews": REVIEWS + "1,01/01/2010,30/05/2025,PN1\n",
            "missing": MISSING + "1,01/01/2010,A,04/05/2025,05/05/2025\n",
        },
    )

    assert found.refusals == ()
    assert [type(fact.event) for fact in found.facts] == [
        e.LookedAfterChildReported,
        e.LookedAfterEpisodeReported,
        e.MissingEpisodeReported,
        e.LookedAfterReviewReported,
    ]
    sent = b"".join(fact.event.encode() for fact in found.facts)
    for personal in (b"2010", b"WBRI", b"CB1", b"B1", b'"1"'):
        assert personal not in sent


BAD_EPISODES = {
    "1,2025-05-03,L,C2,N1,U6,PR4,,,,": "DECOM is not a date like 31/03/2026",
    "1,3/5/2025,L,C2,N1,U6,PR4,,,,": "DECOM is not a date like 31/03/2026",
    "1,31/02/2026,L,C2,N1,U6,PR4,,,,": "DECOM is not a date like 31/03/2026",
    "1,,L,C2,N1,U6,PR4,,,,": "DECOM is not a date like 31/03/2026",
    "1,03/05/2025,X,C2,N1,U6,PR4,,,,": "RNE is not a code of the list: reason for a new episode",
    "1,03/05/2025,L,C9,N1,U6,PR4,,,,": "LS is not a code of the list: legal status",
    "1,03/05/2025,L,C2,N9,U6,PR4,,,,": "CIN is not a code of the list: category of need",
    "1,03/05/2025,L,C2,N1,U9,PR4,,,,": "PLACE is not a code of the list: type of placement",
    "1,03/05/2025,L,C2,N1,U6,pr4,,,,": "PLACE_PROVIDER is not a code of the list: placement provider",
    "1,03/05/2025,L,C2,N1,U6,PR4,04/05/2025,E99,,": (
        "REC is not a code of the list: reason for the episode's end"
    ),
    "1,03/05/2025,L,C2,N1,U6,PR4,,,WHIM,": (
        "REASON_PLACE_CHANGE is not a code of the list: reason for a change of placement"
    ),
    "1,03/05/2025,L,C2,N1,U6,PR4,02/05/2025,X1,,": "DEC is before DECOM",
    "1,03/05/2025,L,C2,N1,U6,PR4,soon,X1,,": "DEC is not a date like 31/03/2026",
    "1,03/05/2025,L,C2,N1,U6,PR4,04/05/2025,,,": (
        "DEC is given and REC is empty: an episode that ended needs its reason"
    ),
    "1,01/04/2026,L,C2,N1,U6,PR4,,,,": "DECOM is after the return's year: it ends on 31/03/2026",
    "1,03/05/2025,L,C2,N1,U6,PR4,02/04/2026,X1,,": "DEC is after the return's year: it ends on 31/03/2026",
    ",03/05/2025,L,C2,N1,U6,PR4,,,,": "CHILD is empty",
    "2,03/05/2025,L,C2,N1,U6,PR4,,,,": "the child is not in the header file of the year",
    "1,03/05/2025,L,C2,N1": "the row is torn: 5 fields and 11 columns",
    "1,03/05/2025,L,C2,N1,U6,PR4,": "the row is torn: 8 fields and 11 columns",
    "1,03/05/2025,L,C2,N1,U6,PR4,,,,,,more": "the row is torn: 13 fields and 11 columns",
    "1,03/05/2025,L,C2,N1,U6,PR4,,,\xff,": (
        "REASON_PLACE_CHANGE is not a code of the list: reason for a change of placement"
    ),
}


@pytest.mark.parametrize(("row", "reason"), BAD_EPISODES.items())
def test_a_wrong_episode_is_refused_with_its_reason(tmp_path: Path, row: str, reason: str) -> None:
    """The row before it ends on the wrong one's first day and is taken."""
    good = "1,02/05/2025,S,C2,N1,U6,PR4,03/05/2025,X1,,\n"

    assert only_reason(tmp_path, "episodes", f"{EPISODES}{good}{row}\n") == reason


@pytest.mark.parametrize(
    ("part", "columns", "good", "bad", "reason"),
    [
        ("header", HEADER, CHILD_1, "2,3,01/01/2010,WBRI,", "SEX is not a code of the list: sex"),
        ("header", HEADER, CHILD_1, "2,M,01/01/2010,XXXX,", "ETHNIC is not a code of the list: ethnicity"),
        ("header", HEADER, CHILD_1, "2,M,1.1.2010,WBRI,", "DOB is not a date like 31/03/2026"),
        ("header", HEADER, CHILD_1, "1,M,01/01/2010,WBRI,",
         "another row of the file is about the same child: line 2"),
        ("reviews", REVIEWS, "1,,01/06/2025,PN1\n", "1,,01/06/2025,PN2",
         "another row of the file gives the child a review on the same day with another code: line 2"),
        ("reviews", REVIEWS, "1,,01/06/2025,PN1\n", "1,,01/07/2025,PN8",
         "REVIEW_CODE is not a code of the list: way of taking part in a review"),
        ("reviews", REVIEWS, "1,,01/06/2025,PN1\n", "1,,01/07/2026,PN1",
         "REVIEW is after the return's year: it ends on 31/03/2026"),
        ("reviews", REVIEWS, "1,,01/06/2025,PN1\n", "1,,32/07/2025,PN1",
         "REVIEW is not a date like 31/03/2026"),
        ("missing", MISSING, "1,,M,01/06/2025,\n", "1,,X,01/07/2025,",
         "MISSING is not a code of the list: kind of absence"),
        ("missing", MISSING, "1,,M,01/06/2025,\n", "1,,M,01/07/2025,30/06/2025",
         "MIS_END is before MIS_START"),
        ("missing", MISSING, "1,,M,01/06/2025,\n", "1,,A,01/06/2025,",
         "another row of the file reports the child missing from the same day: line 2"),
        ("missing", MISSING, "1,,M,01/06/2025,\n", "1,,A,01/06/2026,",
         "MIS_START is after the return's year: it ends on 31/03/2026"),
    ],
)  # fmt: skip
def test_a_wrong_row_of_the_other_files_is_refused_with_its_reason(
    tmp_path: Path, part: str, columns: str, good: str, bad: str, reason: str
) -> None:
    files = {"header": HEADER + CHILD_1, part: f"{columns}{good}{bad}\n"}
    # The year in the names is settled here, so that a review after it is late and not next year's.
    found = checked(tmp_path, files, naming="ending")

    assert [(file, line, text) for file, line, text in reasons(found)] == [(f"2026-{part}.csv", 3, reason)]


@pytest.mark.parametrize(
    ("part", "columns", "row"),
    [
        ("header", HEADER, CHILD_1),
        ("episodes", EPISODES, GOOD),
        ("reviews", REVIEWS, "1,,01/06/2025,PN1\n"),
        ("missing", MISSING, "1,,M,01/06/2025,\n"),
    ],
)
def test_the_same_row_twice_in_a_file_is_taken_once(
    tmp_path: Path, part: str, columns: str, row: str
) -> None:
    found = checked(tmp_path, {"header": HEADER + CHILD_1} | {part: columns + row + row})

    assert reasons(found) == [(f"2026-{part}.csv", 3, "the row is in the file already: line 2")]


def test_an_episode_from_the_same_day_with_other_codes_is_refused(tmp_path: Path) -> None:
    found = only_reason(tmp_path, "episodes", EPISODES + GOOD + GOOD.replace("C2", "V2"))

    assert found == "another row of the file gives the child an episode from the same day: line 2"


def test_an_episode_that_begins_before_the_one_before_has_ended_is_refused(tmp_path: Path) -> None:
    reason = only_reason(
        tmp_path,
        "episodes",
        EPISODES
        + "1,02/05/2025,S,C2,N1,U6,PR4,10/05/2025,X1,,\n"
        + "1,09/05/2025,P,C2,N1,U6,PR4,12/05/2025,X1,,\n",
    )

    assert reason == (
        "the episode begins before an earlier one of the child has ended: 2026-episodes.csv, line 2"
    )


def test_an_overlap_is_found_across_years_and_every_report_of_it_is_refused(tmp_path: Path) -> None:
    """An episode that last year's return left open has its end from this year's."""
    (tmp_path / "2025-header.csv").write_text(HEADER + CHILD_1)
    (tmp_path / "2025-episodes.csv").write_text(
        EPISODES + "1,02/01/2025,S,C2,N1,U6,PR4,,,,\n" + "1,03/03/2025,L,V2,N1,U6,PR4,,,,\n"
    )
    found = checked(
        tmp_path,
        {
            "header": HEADER + CHILD_1,
            "episodes": EPISODES
            + "1,02/01/2025,S,C2,N1,U6,PR4,05/05/2025,X1,,\n"
            + "1,03/03/2025,L,V2,N1,U6,PR4,06/05/2025,X1,,\n"
            + "1,05/05/2025,P,C2,N1,U6,PR4,,,,\n",
        },
    )

    assert [(file, line) for file, line, _ in reasons(found)] == [
        ("2025-episodes.csv", 3),
        ("2026-episodes.csv", 3),
    ]
    taken = [fact for fact in found.facts if isinstance(fact.event, e.LookedAfterEpisodeReported)]
    assert [fact.event.return_year for fact in taken] == [2025, 2026, 2026]


def test_a_newer_return_silent_about_an_end_does_not_make_later_episodes_overlap(tmp_path: Path) -> None:
    (tmp_path / "2025-episodes.csv").write_text(
        EPISODES + "1,02/01/2025,S,C2,N1,U6,PR4,03/03/2025,X1,,\n" + "1,03/03/2025,P,C2,N1,U6,PR4,,,,\n"
    )
    found = checked(tmp_path, {"episodes": EPISODES + "1,02/01/2025,S,C2,N1,U6,PR4,,,,\n"})

    assert found.refusals == ()


DAY = {number: date(2025, 5, number) for number in range(1, 10)}


@pytest.mark.parametrize(
    ("stays", "expected"),
    [
        ([(1, 3), (3, 5)], []),
        ([(1, 4), (3, 5)], [3]),
        ([(1, None), (3, 5)], [3]),
        ([(1, 9), (2, 3), (4, 5)], [2, 4]),
        ([(1, 3), (2, 9), (4, 5)], [2]),
        ([(4, 5), (1, 5)], [4]),
    ],
    ids=[
        "touching",
        "overlapping",
        "never ended",
        "both inside",
        "the refused blocks nobody",
        "in any order",
    ],
)
def test_which_stays_overlap(stays: Sequence[tuple[int, int | None]], expected: list[int]) -> None:
    known = [Stay(DAY[began], DAY[ended] if ended else None, "") for began, ended in stays]

    assert [stay.started_on.day for stay, _ in overlapping(known)] == expected


@pytest.mark.parametrize(
    "row",
    [
        "1,02/05/2025,S,C2,N1,U6,PR4,,X1,,",
        "1,02/05/2025,S,C2,N1,T1,,,,,",
        "1,02/05/2020,S,C2,N1,U6,PR4,03/05/2021,X1,,",
        "1,02/05/2025,S,C2,N1,U6,PR4,01/04/2026,X1,,",
        "1,02/05/2025,S,C2,N1,U6,PR4,02/05/2025,X1,,",
        " 1 , 02/05/2025 ,S,C2,N1,U6,PR4,,,,",
        "1,02/05/2025,S,C2,N1,U6,PR4,03/05/2025,X1",
    ],
    ids=[
        "a reason without an end",
        "no provider",
        "long before the year",
        "an end on the day after the year",
        "one day",
        "blanks around values",
        "empty cells left out after the last column that is needed",
    ],
)
def test_what_only_looks_wrong_is_taken(tmp_path: Path, row: str) -> None:
    found = checked(tmp_path, {"header": HEADER + CHILD_1, "episodes": f"{EPISODES}{row}\n"})

    assert found.refusals == ()
    (event,) = [fact.event for fact in found.facts if fact.event.name == "ssda903.episode_reported"]
    assert isinstance(event, e.LookedAfterEpisodeReported)
    assert (event.reason_ended is None) == (event.ended_on is None)


def test_a_return_without_a_header_file_is_taken(tmp_path: Path) -> None:
    """There is nothing that its children could be missing from."""
    assert checked(tmp_path, {"episodes": EPISODES + GOOD}).refusals == ()


def test_no_reason_quotes_a_value(tmp_path: Path) -> None:
    """In a shifted row any column may hold a name or a birthday."""
    found = checked(tmp_path, {"header": HEADER + CHILD_1, "episodes": EPISODES + "1" + ",Smith" * 10 + "\n"})

    assert len(found.refusals) == 1
    assert "Smith" not in found.refusals[0].reason


def test_the_same_row_is_the_same_event_and_another_councils_child_another_child(tmp_path: Path) -> None:
    first = checked(tmp_path, {"header": HEADER + CHILD_1, "episodes": EPISODES + GOOD})
    again = check(read_returns(tmp_path).files, local_authority="x")

    assert [envelope_of(fact).id for fact in first.facts] == [envelope_of(fact).id for fact in again.facts]
    assert child_id_of("x", "1") != child_id_of("y", "1")
    assert len({envelope_of(fact).id for fact in first.facts}) == len(first.facts)


def test_a_fact_travels_as_a_cloudevent_keyed_by_the_child(tmp_path: Path) -> None:
    found = checked(tmp_path, {"header": HEADER + CHILD_1, "episodes": EPISODES + GOOD})
    for fact in found.facts:
        key, value, headers = encode(envelope_of(fact))
        received = decode(Record("partner-events", 0, 0, key, value, tuple(headers)))

        assert received.source == "/partners/ssda903"
        assert received.key == str(fact.event.child_id)
        assert type(fact.event).model_validate_json(received.data) == fact.event
    assert envelope_of(found.facts[0]).time.date() == date(2026, 3, 31), "a header's day ends its year"


def test_events_are_only_those_that_partners_may_publish() -> None:
    assert {event.name for event in get_args(Reported)} == {
        "ssda903.child_reported",
        "ssda903.episode_reported",
        "ssda903.review_reported",
        "ssda903.missing_reported",
    }


def of_year(directory: Path, year: int, part: str, row: str) -> list[str]:
    """The reasons for which the rows of a return of some year are refused."""
    columns = {"episodes": EPISODES, "header": HEADER}[part]
    (directory / f"{year}-{part}.csv").write_text(f"{columns}{row}\n")
    found = check(read_returns(directory).files, local_authority="x", naming="ending")
    return [refusal.reason for refusal in found.refusals]


@pytest.mark.parametrize("code", ["E43", "E44"])
def test_a_return_of_2017_may_hold_the_codes_of_2017(tmp_path: Path, code: str) -> None:
    row = f"1,01/05/2015,S,C2,N1,U4,PR1,20/06/2016,{code},,"

    assert of_year(tmp_path, 2017, "episodes", row) == []


@pytest.mark.parametrize(
    ("year", "part", "row", "reason"),
    [
        (2019, "episodes", "1,01/05/2018,S,C2,N1,U4,PR1,20/06/2018,E43,,",
         "REC is a code of the returns until 2018, not of 2019: reason for the episode's end"),
        (2017, "episodes", "1,01/05/2015,S,C2,N1,U4,PR1,20/06/2016,E45,,",
         "REC is a code of the returns from 2018, not of 2017: reason for the episode's end"),
        (2026, "episodes", "1,01/05/2025,S,C2,N1,H5,PR1,,,,",
         "PLACE is a code of the returns until 2025, not of 2026: type of placement"),
        (2025, "episodes", "1,01/05/2024,S,C2,N1,Z11,,,,,",
         "PLACE is a code of the returns from 2026, not of 2025: type of placement"),
        (2017, "episodes", "1,01/05/2016,S,C2,N1,U4,PR1,20/06/2016,X1,CUSTOD,",
         ("REASON_PLACE_CHANGE is a code of the returns from 2018, not of 2017:"
          " reason for a change of placement")),
        (2026, "header", "1,1,01/01/2010,WBRI,", "SEX is a code of the returns until 2024, not of 2026: sex"),
        (2024, "header", "1,M,01/01/2010,WBRI,", "SEX is a code of the returns from 2025, not of 2024: sex"),
    ],
)  # fmt: skip
def test_a_code_of_other_years_is_refused_with_the_years_in_which_it_was_valid(
    tmp_path: Path, year: int, part: str, row: str, reason: str
) -> None:
    assert of_year(tmp_path, year, part, row) == [reason]


def test_a_year_that_begins_the_reporting_year_is_held_to_the_list_of_the_year_that_ends_it(
    tmp_path: Path,
) -> None:
    """What is called 2025 and holds episodes from May 2025 is the return of 2026."""
    row = "1,01/05/2025,S,C2,N1,Z11,,,,,\n2,01/05/2025,S,C2,N1,Z12,,,,,\n"
    (tmp_path / "2025-episodes.csv").write_text(EPISODES + row)

    assert check(read_returns(tmp_path).files, local_authority="x").refusals == ()


@pytest.mark.parametrize("known", [each for each in vars(codes).values() if isinstance(each, CodeList)])
def test_every_code_of_every_list_may_travel(known: CodeList) -> None:
    """Upper-case letters and digits: no list has a code that an event would refuse."""
    assert known.codes
    assert all(code.isalnum() and code == code.upper() for code in known.codes)


@pytest.mark.parametrize(
    ("first_day", "naming", "year"),
    [("02/05/2025", None, 2026), ("02/05/2026", None, 2027), ("02/05/2025", "beginning", 2027)],
    ids=["ends the year", "begins the year, as the episodes show", "said by the caller"],
)
def test_the_year_in_a_name_may_end_or_begin_the_reporting_year(
    tmp_path: Path, first_day: str, naming: Naming | None, year: int
) -> None:
    row = GOOD.replace("02/05/2025", first_day)
    found = checked(tmp_path, {"episodes": EPISODES + row + row.replace("1,", "2,", 1)}, naming=naming)

    assert found.facts[0].event.return_year == year


def test_a_typing_error_in_one_episode_does_not_move_the_year(tmp_path: Path) -> None:
    children = "".join(f"{number},02/05/2025,S,C2,N1,U6,PR4,,,,\n" for number in range(30))

    found = checked(tmp_path, {"episodes": EPISODES + children + "31,02/05/2027,S,C2,N1,U6,PR4,,,,\n"})

    assert [reason for *_, reason in reasons(found)] == [
        "DECOM is after the return's year: it ends on 31/03/2026"
    ]


def test_a_single_year_without_a_year_in_the_names_tells_its_year_by_its_episodes(tmp_path: Path) -> None:
    (tmp_path / "Episodes.CSV").write_text(EPISODES + GOOD)

    found = check(read_returns(tmp_path).files, local_authority="x")

    assert found.facts[0].event.return_year == 2026


def test_a_return_that_does_not_tell_its_year_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text(REVIEWS + "1,,01/06/2025,PN1\n")

    with pytest.raises(ReturnsUnreadable, match=r"2026-episodes\.csv"):
        check(read_returns(tmp_path).files, local_authority="x")
