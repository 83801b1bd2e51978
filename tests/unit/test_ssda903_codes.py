"""The code lists of each return from 2017 to 2027 against what others have published about it.

The tables below were read off two published sources and know nothing of ours:

- the validator: `csc-validator-be-903` 0.1.17 by Data to Insight, which codes the Department's validation
  rules of 2022/23 to 2026/27; the rule's number stands beside its list. Rule 146 of 2024/25 has K3 in lower
  case;
- the specification: `SSDA903_schema_2017.yml` and what changed in 2019, 2025 and 2026, of
  `liia-tools-pipeline` by Social Finance as of July 2026, for the returns of 2017 to 2026.

A return has the number of the year in which its reporting year ends: 2026 is 2025/26.
"""

from collections.abc import Mapping

import pytest

from services.placement.ssda903 import codes
from services.placement.ssda903.codes import CodeList, Years

Table = Mapping[str, Mapping[range, str]]

LISTS: Mapping[str, CodeList] = {
    "RNE": codes.REASON_STARTED,
    "LS": codes.LEGAL_STATUS,
    "CIN": codes.NEED,
    "PLACE": codes.PLACEMENT_TYPE,
    "PLACE_PROVIDER": codes.PLACEMENT_PROVIDER,
    "REC": codes.REASON_ENDED,
    "REASON_PLACE_CHANGE": codes.REASON_PLACE_CHANGE,
    "REVIEW_CODE": codes.REVIEW_CODE,
    "MISSING": codes.MISSING,
    "SEX": codes.SEX,
    "ETHNIC": codes.ETHNICITY,
}

VALIDATED = range(2023, 2028)
VALIDATOR: Table = {
    "RNE": {VALIDATED: "S P L T U B"},  # 143
    "LS": {VALIDATED: "C1 C2 D1 E1 V2 V3 V4 J1 J2 J3 L1 L2 L3"},  # 144
    "CIN": {VALIDATED: "N1 N2 N3 N4 N5 N6 N7 N8"},  # 145
    "PLACE": {  # 146
        range(2023, 2025): "A3 A4 A5 A6 H5 K1 K2 P1 P2 P3 R1 R2 R3 R5 S1 T0 T1 T2 T3 T4 U1 U2 U3 U4 U5 U6 Z1",
        range(2025, 2026): "A3 A4 A5 A6 H5 K1 K2 K3 P1 P2 P3 R1 R2 R3 R5 S1"
        " T0 T1 T2 T3 T4 U1 U2 U3 U4 U5 U6 Z1",
        range(2026, 2028): "A3 A4 A5 A6 K1 K2 K3 P1 P3 R1 R2 R3 R5 S1 T0 T1 T2 T3 T4 U1 U2 U3 U4 U5 U6"
        " Z11 Z12 Z13 Z14",
    },
    "PLACE_PROVIDER": {VALIDATED: "PR0 PR1 PR2 PR3 PR4 PR5"},  # 178
    "REC": {  # 149
        VALIDATED: "E11 E12 E2 E3 E4A E4B E13 E41 E45 E46 E47 E48 E5 E6 E7 E8 E9 E14 E15 E16 E17 X1"
    },
    "REASON_PLACE_CHANGE": {  # 1009
        VALIDATED: "CARPL CLOSE ALLEG STAND APPRR CREQB CREQO CHILD LAREQ PLACE CUSTOD OTHER"
    },
    "REVIEW_CODE": {VALIDATED: "PN0 PN1 PN2 PN3 PN4 PN5 PN6 PN7"},  # 167
    "MISSING": {VALIDATED: "M A"},  # 1006
    "SEX": {range(2023, 2025): "1 2", range(2025, 2028): "M F U"},  # 101
    "ETHNIC": {  # 103
        VALIDATED: "WBRI WIRI WOTH WIRT WROM MWBC MWBA MWAS MOTH AIND APKN ABAN AOTH BCRB BAFR BOTH CHNE"
        " OOTH REFU NOBT"
    },
}

SPECIFIED = range(2017, 2027)
SPECIFICATION: Table = {
    "RNE": {SPECIFIED: "S L P T B U"},
    "LS": {SPECIFIED: "C1 C2 D1 E1 V2 V3 V4 L1 L2 L3 J1 J2 J3"},
    "CIN": {SPECIFIED: "N1 N2 N3 N4 N5 N6 N7 N8"},
    "PLACE": {
        range(2017, 2025): "A3 A4 A5 A6 H5 K1 K2 P1 P2 P3 R1 R2 R3 R5 S1 T0 T1 T2 T3 T4 U1 U2 U3 U4 U5 U6 Z1",
        range(2025, 2026): "A3 A4 A5 A6 K1 K2 K3 P1 P3 R1 R2 R3 R5 S1 T0 T1 T2 T3 T4 U1 U2 U3 U4 U5 U6 Z1",
        range(2026, 2027): "A3 A4 A5 A6 K1 K2 K3 P1 P3 R1 R2 R3 R5 S1 T0 T1 T2 T3 T4 U1 U2 U3 U4 U5 U6 Z1"
        " Z11 Z12 Z13 Z14",
    },
    "PLACE_PROVIDER": {SPECIFIED: "PR0 PR1 PR2 PR3 PR4 PR5"},
    "REC": {
        range(2017, 2019): "X1 E11 E12 E2 E3 E4A E4B E13 E41 E43 E44 E5 E6 E7 E9 E14 E15 E16 E17 E8",
        range(2019, 2027): "X1 E11 E12 E2 E3 E4A E4B E13 E41 E45 E46 E47 E48 E5 E6 E7 E9 E14 E15 E16 E17 E8",
    },
    "REASON_PLACE_CHANGE": {
        range(2017, 2019): "CARPL CLOSE ALLEG STAND APPRR CREQB CREQO CHILD LAREQ PLACE OTHER",
        range(2019, 2027): "CARPL CLOSE ALLEG STAND APPRR CREQB CREQO CHILD LAREQ PLACE CUSTOD OTHER",
    },
    "REVIEW_CODE": {SPECIFIED: "PN0 PN1 PN2 PN3 PN4 PN5 PN6 PN7"},
    "MISSING": {SPECIFIED: "M A"},
    "SEX": {range(2017, 2025): "1 2", range(2025, 2027): "M F U"},
    "ETHNIC": {
        SPECIFIED: "WBRI WIRI WOTH WIRT WROM MWBC MWBA MWAS MOTH AIND APKN ABAN AOTH BCRB BAFR BOTH CHNE"
        " OOTH REFU NOBT"
    },
}

WIDER = {("REC", 2018): {"E45", "E46", "E47", "E48"}, ("REASON_PLACE_CHANGE", 2018): {"CUSTOD"}}
"""What ours takes beyond both: published sample returns of 2018 (`cs-demand-model` 0.5.1) have it already."""

DISAGREED = {("PLACE", 2025): {"H5", "P2"}, ("PLACE", 2026): {"Z1"}}
"""Where the two differ. The validator decides: it keeps the first two a year longer and drops the last."""


def told(table: Table, column: str, year: int) -> set[str] | None:
    """Return what a source says of a column in a year; None where it is silent."""
    return next((set(text.split()) for years, text in table.get(column, {}).items() if year in years), None)


@pytest.mark.parametrize("year", range(2017, 2028))
@pytest.mark.parametrize("column", LISTS)
def test_a_return_may_hold_the_codes_that_were_published_for_its_year(column: str, year: int) -> None:
    """The validator decides; before it, the specification."""
    published = told(VALIDATOR, column, year) or told(SPECIFICATION, column, year)

    assert published is not None
    assert LISTS[column].valid_in(year) == published | WIDER.get((column, year), set())


@pytest.mark.parametrize("year", [year for year in VALIDATED if year in SPECIFIED])
@pytest.mark.parametrize("column", VALIDATOR)
def test_the_sources_differ_where_it_is_said_and_nowhere_else(column: str, year: int) -> None:
    validator, specification = told(VALIDATOR, column, year), told(SPECIFICATION, column, year)

    assert validator is not None
    assert specification is not None
    assert validator ^ specification == DISAGREED.get((column, year), set())


@pytest.mark.parametrize("known", LISTS.values(), ids=LISTS)
def test_years_outside_those_published_have_the_nearest_list(known: CodeList) -> None:
    assert known.valid_in(1992) == known.valid_in(2017)
    assert known.valid_in(2100) == known.valid_in(2027)


@pytest.mark.parametrize("known", LISTS.values(), ids=LISTS)
def test_every_code_that_came_or_went_has_a_source_and_is_in_the_list(known: CodeList) -> None:
    assert known.years.keys() <= known.codes.keys()
    for years in known.years.values():
        assert years.source
        assert (years.first, years.last) != (None, None)


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [(None, 2018, "until 2018"), (2026, None, "from 2026"), (2018, 2025, "from 2018 to 2025")],
)
def test_years_stand_in_a_sentence(first: int | None, last: int | None, words: str) -> None:
    assert str(Years(first, last, "a test", "H")) == words
