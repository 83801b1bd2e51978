"""The code lists of the statutory return on looked-after children (SSDA903), in our own words.

A council imports old and new years together, so each list holds every code of the returns from 2017 to 2027
and, for codes that were added or dropped, the years in which they are valid. A return is named after the year
in which its reporting year ends. Years before 2017 are treated like 2017, years after 2027 like 2027.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Years:
    """The first and the last return in which a code is valid; None where the lists show no limit.

    Confidence is H where all sources agree, M where one is silent or differs.
    """

    first: int | None
    last: int | None
    source: str
    confidence: Literal["H", "M"]

    def __contains__(self, year: int) -> bool:
        """Return whether the return of a year may contain the code."""
        return (self.first is None or self.first <= year) and (self.last is None or year <= self.last)

    def __str__(self) -> str:
        """Return the years in words, for use in a sentence."""
        if self.first is None:
            return f"until {self.last}"
        return f"from {self.first}" + ("" if self.last is None else f" to {self.last}")


VALIDATOR = "csc-validator-be-903 0.1.17 by Data to Insight, rules of 2022/23 to 2026/27"
"""Implements the Department's yearly validation rules; authoritative for returns from 2023 on."""

SPECIFICATION = "liia-tools-pipeline by Social Finance, ssda903_pipeline/spec, 2017 to 2026 (July 2026)"
"""A yearly description of the return's files; authoritative for returns before 2023."""


@dataclass(frozen=True)
class CodeList:
    """The codes that one column may hold, and the column's name in a sentence."""

    words: str
    codes: Mapping[str, str]
    years: Mapping[str, Years] = field(default_factory=dict)
    """For codes that were added or dropped; all others are valid in every year."""

    def __contains__(self, code: object) -> bool:
        """Return whether the return of any year has the code; codes are case-sensitive."""
        return code in self.codes

    def valid_in(self, year: int) -> frozenset[str]:
        """Return the codes that the return of a year may contain."""
        return frozenset(code for code in self.codes if code not in self.years or year in self.years[code])


# Sample returns of 2018 published elsewhere already have the new codes, contrary to the specification. So
# 2018 may hold both: a code wrongly refused loses a fact, one wrongly accepted loses none.
_GONE_AFTER_2018 = Years(None, 2018, SPECIFICATION, "M")
_NEW_IN_2018 = Years(2018, None, f"{SPECIFICATION}, which has it from 2019; sample returns of 2018", "M")

# The validator drops them with 2025/26; the specification drops H5 and P2 a year earlier and keeps Z1.
_GONE_AFTER_2025 = Years(None, 2025, f"{VALIDATOR}, rule 146", "M")

REASON_STARTED = CodeList(
    "reason for a new episode",
    {
        "S": "started to be looked after",
        "L": "change of legal status only",
        "P": "change of placement and carer",
        "T": "change of placement, same carer",
        "B": "change of legal status, placement and carer",
        "U": "change of legal status and placement, same carer",
    },
)
LEGAL_STATUS = CodeList(
    "legal status",
    {
        "C1": "interim care order",
        "C2": "full care order",
        "D1": "freeing order",
        "E1": "placement order",
        "J1": "remanded to youth detention or local authority accommodation",
        "J2": "placed in accommodation under police or criminal evidence law",
        "J3": "sentenced to a youth rehabilitation order with residence",
        "L1": "under police protection in accommodation",
        "L2": "emergency protection order",
        "L3": "child assessment order",
        "V2": "accommodated by agreement, section 20",
        "V3": "short breaks under an agreement",
        "V4": "short breaks, counted one by one",
    },
)
NEED = CodeList(
    "category of need",
    {
        "N1": "abuse or neglect",
        "N2": "the child's disability",
        "N3": "a parent's illness or disability",
        "N4": "family in acute stress",
        "N5": "family dysfunction",
        "N6": "socially unacceptable behaviour",
        "N7": "low income",
        "N8": "absent parenting",
    },
)
PLACEMENT_TYPE = CodeList(
    "type of placement",
    {
        "A3": "for adoption with the current foster carer, with consent or order",
        "A4": "for adoption with other carers, with consent or order",
        "A5": "for adoption with the current foster carer, under a placement order",
        "A6": "for adoption with other carers, under a placement order",
        "H5": "semi-independent living",
        "K1": "secure children's home",
        "K2": "children's home",
        "K3": "supported accommodation",
        "P1": "with parents",
        "P2": "independent living",
        "P3": "residential employment",
        "R1": "residential care home",
        "R2": "hospital or other health establishment",
        "R3": "family centre or mother and baby unit",
        "R5": "young offender institution or prison",
        "S1": "residential school",
        "T0": "all temporary moves",
        "T1": "temporarily in hospital",
        "T2": "temporarily on holiday",
        "T3": "temporarily with other carers while theirs are away",
        "T4": "temporarily elsewhere",
        "U1": "foster: relative or friend, long term",
        "U2": "foster: relative or friend who may adopt",
        "U3": "foster: relative or friend, not long term",
        "U4": "foster: other carer, long term",
        "U5": "foster: other carer who may adopt",
        "U6": "foster: other carer, not long term",
        "Z1": "other placement",
        "Z11": "other placement, first kind",
        "Z12": "other placement, second kind",
        "Z13": "other placement, third kind",
        "Z14": "other placement, fourth kind",
    },
    years={
        **dict.fromkeys(("H5", "P2", "Z1"), _GONE_AFTER_2025),
        "K3": Years(2025, None, f"{VALIDATOR}, rule 146; {SPECIFICATION}", "H"),
        **dict.fromkeys(
            ("Z11", "Z12", "Z13", "Z14"), Years(2026, None, f"{VALIDATOR}, rule 146; {SPECIFICATION}", "H")
        ),
    },
)
PLACEMENT_PROVIDER = CodeList(
    "placement provider",
    {
        "PR0": "parents or others with parental responsibility",
        "PR1": "the council itself",
        "PR2": "another council",
        "PR3": "another public body",
        "PR4": "private",
        "PR5": "voluntary or third sector",
    },
)
REASON_ENDED = CodeList(
    "reason for the episode's end",
    {
        "X1": "the episode ends and another begins at once",
        "E11": "adopted, application unopposed",
        "E12": "adopted, consent dispensed with",
        "E2": "died",
        "E3": "another council took over",
        "E4A": "returned home, planned",
        "E4B": "returned home, not planned",
        "E13": "left to live with parents or relatives without parental responsibility",
        "E41": "residence or child arrangements order",
        "E43": "special guardianship: former foster carer",
        "E44": "special guardianship: somebody other than a former foster carer",
        "E45": "special guardianship: former foster carer who is a relative or friend",
        "E46": "special guardianship: other former foster carer",
        "E47": "special guardianship: other relative or friend",
        "E48": "special guardianship: somebody else",
        "E5": "moved into independent living with support",
        "E6": "moved into independent living without support",
        "E7": "transferred to adult social services",
        "E8": "any other reason",
        "E9": "sentenced to custody",
        "E14": "remand ended",
        "E15": "age assessed as 18 or over",
        "E16": "moved abroad",
        "E17": "aged 18 and stayed with the carers",
    },
    years={
        **dict.fromkeys(("E43", "E44"), _GONE_AFTER_2018),
        **dict.fromkeys(("E45", "E46", "E47", "E48"), _NEW_IN_2018),
    },
)
REASON_PLACE_CHANGE = CodeList(
    "reason for a change of placement",
    {
        "CARPL": "change in the care plan",
        "CLOSE": "the home closed",
        "ALLEG": "an allegation",
        "STAND": "concern about standards",
        "APPRR": "approval was removed",
        "CREQB": "the carer asked because of the child's behaviour",
        "CREQO": "the carer asked for another reason",
        "CHILD": "the child asked",
        "LAREQ": "the responsible or area authority asked",
        "PLACE": "change in the status of the placement",
        "CUSTOD": "custody",
        "OTHER": "another reason",
    },
    years={"CUSTOD": _NEW_IN_2018},
)
REVIEW_CODE = CodeList(
    "way of taking part in a review",
    {
        "PN0": "the child was under four",
        "PN1": "attended and spoke",
        "PN2": "attended, an advocate spoke",
        "PN3": "attended, views in signs or other ways",
        "PN4": "attended and said nothing",
        "PN5": "did not attend, had briefed an advocate",
        "PN6": "did not attend, sent views another way",
        "PN7": "did not attend and sent no views",
    },
)
MISSING = CodeList("kind of absence", {"M": "missing", "A": "away without authorisation"})
SEX = CodeList(
    "sex",
    {"1": "male", "2": "female", "M": "male", "F": "female", "U": "unknown"},
    years={
        **dict.fromkeys("12", Years(None, 2024, f"{VALIDATOR}, rule 101; {SPECIFICATION}", "H")),
        **dict.fromkeys("MFU", Years(2025, None, f"{VALIDATOR}, rule 101; {SPECIFICATION}", "H")),
    },
)
ETHNICITY = CodeList(
    "ethnicity",
    {
        "WBRI": "White British",
        "WIRI": "White Irish",
        "WOTH": "other White",
        "WIRT": "Traveller of Irish heritage",
        "WROM": "Gypsy or Roma",
        "MWBC": "White and Black Caribbean",
        "MWBA": "White and Black African",
        "MWAS": "White and Asian",
        "MOTH": "other mixed",
        "AIND": "Indian",
        "APKN": "Pakistani",
        "ABAN": "Bangladeshi",
        "AOTH": "other Asian",
        "BCRB": "Caribbean",
        "BAFR": "African",
        "BOTH": "other Black",
        "CHNE": "Chinese",
        "OOTH": "any other",
        "REFU": "refused to say",
        "NOBT": "not yet known",
    },
)
