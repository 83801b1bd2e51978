"""Who is named lead professional, and that caseloads always add up."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid5

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import events as e
from schemas.events.codes import NeedDomain
from services.assessment.allocation import Leader, Roster, least_loaded, weighted
from services.assessment.book import CaseBook
from services.assessment.handlers import complete_assessment, on_referral_accepted, review_plan
from services.assessment.model import Caseload, CaseStatus, CompleteAssessment, ReviewPlan
from services.assessment.pack import AssessmentPack
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.messages.faults import Refused
from services.kernel.pack.model import load_pack
from services.kernel.processing.publication import number
from services.kernel.processing.service import Context
from tests.builders import referral_accepted

NOW = datetime(2026, 9, 7, 9, 0, tzinfo=UTC)
ROOT = UUID("5a1f3c5e-0000-4000-8000-000000000002")
PACK = load_pack(Path(__file__).parents[2] / "deploy/policies/cambridgeshire.yaml", AssessmentPack)
ROSTER = Roster.of(PACK)

LEADERS = st.lists(
    st.builds(
        Leader,
        st.from_regex(r"\AW-[0-9]{2}\Z"),
        st.sampled_from(["north", "south"]),
        st.sampled_from([0.5, 8.0, 14.4, 20.0, 24.0]),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda leader: leader.practitioner_id,
)


def context(name: str) -> Context:
    """Return the circumstances of one decision."""
    cause = uuid5(ROOT, name)
    return Context(NOW, cause, cause, WorkingCalendar())


def accepted(name: str, *, level: int = 2, locality: str = "ely") -> e.ReferralAccepted:
    """Return an accepted referral of the child of this name."""
    referral_id = uuid5(ROOT, f"referral of {name}")
    return referral_accepted(
        uuid5(ROOT, name), at=NOW, referral_id=referral_id, level=level, locality=locality
    )


def empty_book() -> CaseBook:
    """Return a book in which everybody's caseload is empty."""
    return CaseBook(PACK, ROSTER, caseloads={one: Caseload(one) for one in ROSTER.leaders})


@given(LEADERS, st.data())
def test_assignment_never_picks_somebody_fuller_than_another(
    leaders: list[Leader], data: st.DataObject
) -> None:
    """Whatever the caseloads, nobody of the team has more room than the one who is named."""
    points = {leader.practitioner_id: data.draw(st.integers(0, 60)) for leader in leaders}
    chosen = least_loaded(leaders, points)
    room = {leader.practitioner_id: weighted(points[leader.practitioner_id], leader) for leader in leaders}
    assert room[chosen.practitioner_id] == min(room.values())
    equals = [one for one, load in room.items() if load == room[chosen.practitioner_id]]
    assert chosen.practitioner_id == min(equals), "of equals the lowest id, in whatever order they stand"


@given(LEADERS)
def test_candidates_are_the_localitys_own_team_while_it_has_anybody(leaders: list[Leader]) -> None:
    """Only an empty team is covered by others."""
    found = Roster(leaders, {"hill": "north"}).candidates("hill")
    own = {leader.practitioner_id for leader in leaders if leader.team == "north"}
    assert found.team == "north"
    assert found.reason == ("least_weighted_caseload" if own else "covering_from_another_locality")
    expected = own or {leader.practitioner_id for leader in leaders}
    assert [leader.practitioner_id for leader in found.leaders] == sorted(expected)


def test_unknown_locality_may_be_led_by_anybody() -> None:
    """A misspelt code must not leave a child without a lead."""
    found = Roster([Leader("W-1", "north", 20)], {"hill": "north"}).candidates("hlil")
    assert (found.team, found.reason) == (None, "covering_from_another_locality")
    assert [leader.practitioner_id for leader in found.leaders] == ["W-1"]


def test_nobody_leads_whose_role_leaves_no_points() -> None:
    """Managers have no capacity for cases; a senior's counts for the share that their role leaves."""
    roles = {person.id: person.role for person in PACK.practitioners}
    capacities = {person.id: person.capacity for person in PACK.practitioners}
    leading = {roles[one] for one in ROSTER.leaders}
    assert "team_manager" not in leading
    assert "family_worker" in leading
    for one, leader in ROSTER.leaders.items():
        assert leader.capacity == capacities[one] * PACK.caseload.roles[roles[one]] > 0


def test_each_assignment_of_a_batch_counts_for_the_next() -> None:
    """Equal cases of one batch go round the team instead of to one person."""
    book = empty_book()
    team = ROSTER.candidates("cambourne").leaders
    assert len({leader.capacity for leader in team}) == 1, "equal capacities make the round visible"
    for turn in range(2 * len(team)):
        why = context(f"referral {turn}")
        number(book, on_referral_accepted(book, accepted(f"child {turn}", locality="cambourne"), why), why)
    leads = Counter(case.lead_professional_id for case in book.cases.values())
    assert leads == {leader.practitioner_id: 2 for leader in team}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["refer", "complete", "continue", "step_up", "step_down", "close"]),
        st.integers(0, 3),
        st.integers(1, 4),
        st.sampled_from(["ely", "march", "nowhere"]),
    ),
    max_size=30,
)


@settings(max_examples=60)
@given(STEPS)
def test_caseloads_equal_a_recount_of_open_cases_after_any_history(
    steps: list[tuple[str, int, int, str]],
) -> None:
    """Points are charged, moved and freed with the case, whatever happens in whatever order."""
    book = empty_book()
    for turn, (what, who, level, locality) in enumerate(steps):
        why = context(f"step {turn}")
        referral = accepted(f"child {who}", level=level, locality=locality)
        case_id = next((case.case_id for case in book.history(referral.child_id) if case.is_open), ROOT)
        try:
            match what:
                case "refer":
                    fresh = referral.model_copy(update={"referral_id": why.id("referral")})
                    produced = on_referral_accepted(book, fresh, why)
                case "complete":
                    needs = (
                        e.DomainNeed(domain=NeedDomain.HEALTH, level=level),
                        e.DomainNeed(domain=NeedDomain.SAFETY, level=level),
                    )
                    command = CompleteAssessment(case_id=case_id, needs=needs, completed_by="W-1")
                    produced = complete_assessment(book, command, why)
                case "continue" | "step_up" | "step_down" | "close" as outcome:
                    review = ReviewPlan(case_id=case_id, outcome=outcome, reviewed_by="W-1")
                    produced = review_plan(book, review, why)
                case _:
                    raise AssertionError(what)
        except Refused:
            continue
        number(book, produced, why)
    points: Counter[str] = Counter()
    cases: Counter[str] = Counter()
    for case in book.cases.values():
        if case.status != CaseStatus.CLOSED:
            assert case.lead_professional_id is not None
            points[case.lead_professional_id] += PACK.caseload.weights[case.level]
            cases[case.lead_professional_id] += 1
    assert {one: load.points for one, load in book.caseloads.items() if load.points} == dict(points)
    assert {one: load.cases for one, load in book.caseloads.items() if load.cases} == dict(cases)
