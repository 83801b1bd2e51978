"""Every rule of placements: given what has happened, when somebody asks, then events or a refusal."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid5

import pytest
from pydantic import ValidationError

from schemas import events as e
from schemas.events.codes import Location, NeedDomain, PlacementKind
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.deadlines.policy import Meet, Schedule, Waive
from services.kernel.messages.faults import Refused
from services.kernel.pack.model import load_pack
from services.kernel.processing.service import Produced
from services.placement import cases, policy
from services.placement.model import (
    CompleteExitInterview,
    EndPlacement,
    KnownCase,
    ObjectiveAnswered,
    ObjectiveAsked,
    Placement,
    RequestPlacement,
    ReviewPlacement,
    StartPlacement,
)
from services.placement.pack import PlacementPack

NOW = datetime(2026, 9, 7, 9, 0, tzinfo=UTC)
TODAY = NOW.date()
CALENDAR = WorkingCalendar()
PACK = load_pack(Path(__file__).parents[2] / "deploy/policies/cambridgeshire.yaml", PlacementPack)
CHILD = UUID("00000000-0000-4000-8000-0000000000c1")
CASE = UUID("00000000-0000-4000-8000-0000000000ca")
PLACEMENT = UUID("00000000-0000-4000-8000-0000000000f1")
REQUEST = RequestPlacement(
    case_id=CASE, kind=PlacementKind.KINSHIP, need_group=NeedDomain.SEMH, requested_by="W-1"
)
SCHOOL = ObjectiveAsked(domain=NeedDomain.EDUCATION, words="At school every day")


def known(level: int | None = 3, status: str = "open") -> KnownCase:
    return KnownCase(CASE, CHILD, level, NOW, status)  # type: ignore[arg-type]  # one of the two


def given(*steps: str, started_on: date = TODAY) -> Placement:
    """A placement after some steps of its life."""
    placement = Placement(PLACEMENT)
    for step in steps:
        match step:
            case "requested":
                produced = policy.decide_request(known(), (), REQUEST, placement_id=PLACEMENT, now=NOW)
            case "started":
                produced = start(placement, started_on=started_on)
            case "reviewed":
                produced = review(
                    placement, reviewed_on=(placement.last_review_on or TODAY) + timedelta(days=1)
                )
            case "ended":
                produced = end(placement)
            case "overdue":
                produced = policy.decide_overdue(placement, overdue())
            case _:
                produced = interview(placement)
        for event in produced:
            if isinstance(event, e.Event):
                placement = policy.evolve(placement, event)  # type: ignore[arg-type]  # its own events only
    return placement


def start(
    placement: Placement, *, started_on: date = TODAY, objectives: tuple[ObjectiveAsked, ...] = (SCHOOL,)
) -> list[Produced]:
    command = StartPlacement(
        placement_id=PLACEMENT,
        provider_id="P-1",
        kind=PlacementKind.IN_HOUSE_FOSTER,
        location=Location.OUT_OF_COUNTY,
        objectives=objectives,
        started_on=started_on,
    )
    return policy.decide_start(placement, command, pack=PACK, calendar=CALENDAR, now=NOW)


def review(placement: Placement, *, reviewed_on: date) -> list[Produced]:
    command = ReviewPlacement(placement_id=PLACEMENT, reviewed_on=reviewed_on, reviewed_by="IRO-1")
    later = NOW + timedelta(days=400)
    return policy.decide_review(placement, command, pack=PACK, calendar=CALENDAR, now=later)


def end(placement: Placement, *, ended_on: date = TODAY) -> list[Produced]:
    command = EndPlacement(placement_id=PLACEMENT, ended_on=ended_on, reason="moved-home")
    return policy.decide_end(placement, command, pack=PACK, calendar=CALENDAR, now=NOW)


def interview(
    placement: Placement, *, held_on: date = TODAY, outcomes: tuple[ObjectiveAnswered, ...] | None = None
) -> list[Produced]:
    all_met = tuple(
        ObjectiveAnswered(objective_id=objective.objective_id, met=True) for objective in placement.objectives
    )
    command = CompleteExitInterview(
        placement_id=PLACEMENT,
        outcomes=all_met if outcomes is None else outcomes,
        held_on=held_on,
        held_by="W-1",
    )
    return policy.decide_exit_interview(placement, command, calendar=CALENDAR, now=NOW)


def overdue(kind: str = "exit_interview") -> e.DeadlineOverdue:
    return e.DeadlineOverdue(
        child_id=CHILD, deadline_id=CASE, about=PLACEMENT, kind=kind, due_at=NOW, raised_at=NOW
    )


@pytest.mark.parametrize("level", [3, 4])
def test_a_placement_can_be_requested_for_an_open_case_of_level_3_or_4(level: int) -> None:
    (event,) = policy.decide_request(known(level), (), REQUEST, placement_id=PLACEMENT, now=NOW)

    assert isinstance(event, e.PlacementRequested)
    assert (event.child_id, event.case_id, event.requested_at) == (CHILD, CASE, NOW)


@pytest.mark.parametrize("level", [1, 2])
def test_a_case_below_level_3_gets_no_placement(level: int) -> None:
    with pytest.raises(Refused, match=f"this one is at level {level}"):
        policy.decide_request(known(level), (), REQUEST, placement_id=PLACEMENT, now=NOW)


@pytest.mark.parametrize("case", [None, known(status="closed")], ids=["unknown", "closed"])
def test_a_case_that_is_unknown_or_closed_gets_no_placement(case: KnownCase | None) -> None:
    with pytest.raises(Refused, match="The case is not known here yet or closed"):
        policy.decide_request(case, (), REQUEST, placement_id=PLACEMENT, now=NOW)


@pytest.mark.parametrize("steps", [("requested",), ("requested", "started")])
def test_a_child_has_one_live_placement(steps: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match=f"is {steps[-1]}"):
        policy.decide_request(known(), [given(*steps)], REQUEST, placement_id=CASE, now=NOW)


def test_a_child_whose_placement_has_ended_may_be_placed_again() -> None:
    ended = given("requested", "started", "ended")

    assert policy.decide_request(known(), [ended], REQUEST, placement_id=CASE, now=NOW)


def test_a_start_schedules_the_first_review_20_working_days_later() -> None:
    event, deadline = start(given("requested"))

    assert isinstance(event, e.PlacementStarted)
    assert (event.location, event.objectives[0].domain) == (Location.OUT_OF_COUNTY, NeedDomain.EDUCATION)
    assert isinstance(deadline, Schedule)
    assert (deadline.kind, deadline.number) == ("placement_review_first", 1)
    assert deadline.dates.due_at == CALENDAR.start_of_day(date(2026, 10, 6)), "the end of 5 October"


def test_a_start_without_an_objective_is_refused() -> None:
    with pytest.raises(Refused, match="at least one measurable objective"):
        start(given("requested"), objectives=())


def test_a_start_on_a_day_to_come_is_refused() -> None:
    with pytest.raises(Refused, match="started_on is 2026-09-08 and today is 2026-09-07"):
        start(given("requested"), started_on=TODAY + timedelta(days=1))


def test_today_is_londons_day() -> None:
    """At 23:30 UTC in summer it is already tomorrow in London."""
    late = datetime(2026, 9, 7, 23, 30, tzinfo=UTC)
    command = StartPlacement(
        placement_id=PLACEMENT,
        provider_id="P-1",
        kind=PlacementKind.KINSHIP,
        location=Location.IN_COUNTY,
        objectives=(SCHOOL,),
        started_on=date(2026, 9, 8),
    )

    assert policy.decide_start(given("requested"), command, pack=PACK, calendar=CALENDAR, now=late)


@pytest.mark.parametrize(
    ("held", "kind", "number", "due_on"),
    [
        (0, "placement_review_second", 2, date(2026, 12, 8)),
        (1, "placement_review_later", 3, date(2027, 3, 9)),
        (2, "placement_review_later", 4, date(2027, 3, 10)),
    ],
)
def test_each_review_meets_its_deadline_and_schedules_the_next_from_its_own_day(
    held: int, kind: str, number: int, due_on: date
) -> None:
    """The second three months after the first, later ones six months after the one before."""
    placement = given("requested", "started", *["reviewed"] * held)
    reviewed_on = TODAY + timedelta(days=held + 1)

    event, met, following = review(placement, reviewed_on=reviewed_on)

    assert isinstance(event, e.PlacementReviewed)
    assert event.review_number == held + 1
    assert isinstance(met, Meet)
    assert (met.number, met.kind) == (held + 1, PACK.deadlines.review_after(held)[0])
    assert isinstance(following, Schedule)
    assert (following.kind, following.number) == (kind, number)
    assert following.dates.due_at == CALENDAR.start_of_day(due_on + timedelta(days=1))


def test_a_review_before_the_start_is_refused() -> None:
    with pytest.raises(Refused, match="cannot be before that"):
        review(given("requested", "started"), reviewed_on=TODAY - timedelta(days=1))


def test_a_review_not_after_the_last_one_is_refused() -> None:
    with pytest.raises(Refused, match="this one must be after it"):
        review(given("requested", "started", "reviewed"), reviewed_on=TODAY + timedelta(days=1))


def test_a_review_on_a_day_to_come_is_refused() -> None:
    with pytest.raises(Refused, match="reviewed_on is"):
        review(given("requested", "started"), reviewed_on=TODAY + timedelta(days=500))


def test_the_end_waives_the_open_review_and_the_exit_interview_becomes_due() -> None:
    ended, waived, due, deadline = end(given("requested", "started", "reviewed"))

    assert isinstance(ended, e.PlacementEnded)
    assert ended.location is Location.OUT_OF_COUNTY
    assert waived == Waive(PLACEMENT, "placement_review_second", "placement_ended", "placement", number=2)
    assert isinstance(due, e.ExitInterviewDue)
    assert isinstance(deadline, Schedule)
    assert (deadline.kind, deadline.dates.due_at) == ("exit_interview", due.due_at)
    assert due.due_at == CALENDAR.start_of_day(date(2026, 9, 22)), "the end of 21 September, 10 working days"


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(Refused, match="cannot end before that"):
        end(given("requested", "started"), ended_on=TODAY - timedelta(days=1))


def test_an_end_on_a_day_to_come_is_refused() -> None:
    with pytest.raises(Refused, match="ended_on is"):
        end(given("requested", "started"), ended_on=TODAY + timedelta(days=1))


def test_an_overdue_exit_interview_is_announced_once() -> None:
    (event,) = policy.decide_overdue(given("requested", "started", "ended"), overdue())

    assert isinstance(event, e.ExitInterviewOverdue)
    assert policy.decide_overdue(given("requested", "started", "ended", "overdue"), overdue()) == []


def test_other_overdue_deadlines_are_not_the_exit_interviews() -> None:
    ended = given("requested", "started", "ended")

    assert policy.decide_overdue(ended, overdue("placement_review_first")) == []


def test_an_exit_interview_that_was_held_is_not_overdue() -> None:
    assert policy.decide_overdue(given("requested", "started", "ended", "interviewed"), overdue()) == []


@pytest.mark.parametrize("steps", [("ended",), ("ended", "overdue")])
def test_an_exit_interview_can_be_held_in_time_or_late(steps: tuple[str, ...]) -> None:
    event, met = interview(given("requested", "started", *steps))

    assert isinstance(event, e.ExitInterviewCompleted)
    assert [outcome.met for outcome in event.outcomes] == [True]
    assert isinstance(met, Meet)
    assert met.kind == "exit_interview"


@pytest.mark.parametrize("times", [0, 2])
def test_every_objective_is_answered_exactly_once(times: int) -> None:
    placement = given("requested", "started", "ended")
    answer = ObjectiveAnswered(objective_id=placement.objectives[0].objective_id, met=True)

    with pytest.raises(Refused, match="each of the placement's 1 objectives exactly once"):
        interview(placement, outcomes=(answer,) * times)


def test_an_answer_to_a_foreign_objective_is_refused() -> None:
    with pytest.raises(Refused, match="exactly once"):
        interview(
            given("requested", "started", "ended"),
            outcomes=(ObjectiveAnswered(objective_id=uuid5(CASE, "another"), met=True),),
        )


def test_an_exit_interview_before_the_child_left_is_refused() -> None:
    with pytest.raises(Refused, match="The child left on"):
        interview(given("requested", "started", "ended"), held_on=TODAY - timedelta(days=1))


def test_an_exit_interview_on_a_day_to_come_is_refused() -> None:
    with pytest.raises(Refused, match="held_on is"):
        interview(given("requested", "started", "ended"), held_on=TODAY + timedelta(days=1))


def test_a_second_exit_interview_is_refused() -> None:
    with pytest.raises(Refused, match="already held on 2026-09-07"):
        interview(given("requested", "started", "ended", "interviewed"))


@pytest.mark.parametrize(
    ("steps", "ask"),
    [
        (("requested", "started"), start),
        (("requested",), lambda placement: review(placement, reviewed_on=TODAY)),
        (("requested",), end),
        (("requested", "started"), interview),
        (("requested", "started", "ended"), end),
    ],
)
def test_a_step_out_of_turn_is_refused_and_says_where_the_placement_stands(
    steps: tuple[str, ...], ask: Callable[[Placement], list[Produced]]
) -> None:
    with pytest.raises(Refused, match=f"it is {steps[-1]}\\."):
        ask(given(*steps))


def test_an_unknown_placement_is_missing() -> None:
    with pytest.raises(Refused) as refusal:
        end(Placement(PLACEMENT))

    assert refusal.value.missing


def test_a_start_must_say_whether_it_is_in_the_county() -> None:
    with pytest.raises(ValidationError, match="location"):
        StartPlacement(
            placement_id=PLACEMENT,
            provider_id="P-1",
            kind=PlacementKind.KINSHIP,
            location=Location.UNKNOWN,
            objectives=(SCHOOL,),
            started_on=TODAY,
        )


def threshold(level: int, days: int = 0) -> e.ThresholdMet:
    return e.ThresholdMet(
        child_id=CHILD,
        case_id=CASE,
        locality="ely",
        level=level,
        policy_version="v1",
        rules=(),
        decided_at=NOW + timedelta(days=days),
    )


def plan_reviewed(outcome: str, level: int, days: int) -> e.PlanReviewed:
    return e.PlanReviewed(
        child_id=CHILD,
        case_id=CASE,
        outcome=outcome,
        level=level,
        reviewed_at=NOW + timedelta(days=days),
        reviewed_by="W-1",
    )


def test_a_case_that_stepped_up_to_level_3_may_be_placed() -> None:
    case = cases.learn(cases.learn(None, threshold(2)), plan_reviewed("step_up", 3, days=5))

    assert policy.may_place(case)


def test_the_newest_level_counts_in_whatever_order_events_arrive() -> None:
    case = cases.learn(cases.learn(None, plan_reviewed("step_down", 2, days=5)), threshold(4))

    assert (case.level, policy.may_place(case)) == (2, False)


def test_a_closed_case_is_not_opened_by_a_late_event() -> None:
    closed = e.CaseClosed(
        child_id=CHILD, case_id=CASE, lead_professional_id="W-1", reason="outcomes_met", closed_at=NOW
    )

    case = cases.learn(cases.learn(None, closed), threshold(4))

    assert not policy.may_place(case)
