"""Every rule of placements: given what has happened, when somebody asks, then events or a refusal."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal
from uuid import UUID

import pytest
from pydantic import ValidationError

from schemas import events as e
from schemas.events.codes import Location, NeedDomain, PlacementKind
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.deadlines.policy import Meet, Schedule, Waive
from services.kernel.deadlines.rules import DeadlineDates as Dates
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
from services.placement.policy import PlacementEvent
from tests.builders import (
    AT_SCHOOL,
    CASE,
    CHILD,
    LEAD,
    MONDAY,
    PLACEMENT,
    PROVIDER,
    REVIEWING_OFFICER,
    TODAY,
    case_closed,
    deadline_overdue,
    exit_interview_completed,
    exit_interview_due,
    exit_interview_overdue,
    placement_ended,
    placement_requested,
    placement_reviewed,
    placement_started,
    plan_reviewed,
    threshold_met,
)
from tests.deciding import Rules, like

DAY = timedelta(days=1)
YESTERDAY, TOMORROW = TODAY - DAY, TODAY + DAY
CALENDAR = WorkingCalendar()
PACK = load_pack(Path(__file__).parents[2] / "deploy/policies/cambridgeshire.yaml", PlacementPack)
REQUEST = RequestPlacement(
    case_id=CASE, kind=PlacementKind.KINSHIP, need_group=NeedDomain.SEMH, requested_by=LEAD
)

Asked = (
    RequestPlacement
    | StartPlacement
    | ReviewPlacement
    | EndPlacement
    | CompleteExitInterview
    | e.DeadlineOverdue
)


def known(level: int | None = 3, status: Literal["open", "closed"] = "open") -> KnownCase:
    """Return what placement knows of the child's case."""
    return KnownCase(CASE, CHILD, level, MONDAY, status)


KNOWN = known()


def decide(
    placement: Placement, asked: Asked, *, case: KnownCase | None = KNOWN, now: datetime = MONDAY
) -> Sequence[Produced]:
    """Decide under Cambridgeshire's pack; a request is for the child whose placement this is."""
    match asked:
        case RequestPlacement():
            return policy.decide_request(case, [placement], asked, placement_id=PLACEMENT, now=now)
        case StartPlacement():
            return policy.decide_start(placement, asked, pack=PACK, calendar=CALENDAR, now=now)
        case ReviewPlacement():
            return policy.decide_review(placement, asked, pack=PACK, calendar=CALENDAR, now=now)
        case EndPlacement():
            return policy.decide_end(placement, asked, pack=PACK, calendar=CALENDAR, now=now)
        case CompleteExitInterview():
            return policy.decide_exit_interview(placement, asked, calendar=CALENDAR, now=now)
        case e.DeadlineOverdue():
            return policy.decide_overdue(placement, asked)


given = Rules(Placement(PLACEMENT), policy.evolve, decide).given

REQUESTED: tuple[PlacementEvent, ...] = (placement_requested(),)
STARTED: tuple[PlacementEvent, ...] = (*REQUESTED, placement_started())
ENDED: tuple[PlacementEvent, ...] = (*STARTED, placement_ended(), exit_interview_due())
OVERDUE: tuple[PlacementEvent, ...] = (*ENDED, exit_interview_overdue())
INTERVIEWED: tuple[PlacementEvent, ...] = (*ENDED, exit_interview_completed(AT_SCHOOL))


def start(
    *,
    location: Literal[Location.IN_COUNTY, Location.OUT_OF_COUNTY] = Location.IN_COUNTY,
    started_on: date = TODAY,
    objectives: tuple[ObjectiveAsked, ...] = (
        ObjectiveAsked(domain=NeedDomain.EDUCATION, words="At school every day"),
    ),
) -> StartPlacement:
    """Return that the child moves in."""
    return StartPlacement(
        placement_id=PLACEMENT,
        provider_id=PROVIDER,
        kind=PlacementKind.IN_HOUSE_FOSTER,
        location=location,
        objectives=objectives,
        started_on=started_on,
    )


def review(reviewed_on: date = TODAY) -> ReviewPlacement:
    """Return that a review was held."""
    return ReviewPlacement(placement_id=PLACEMENT, reviewed_on=reviewed_on, reviewed_by=REVIEWING_OFFICER)


def end(ended_on: date = TODAY) -> EndPlacement:
    """Return that the child leaves."""
    return EndPlacement(placement_id=PLACEMENT, ended_on=ended_on, reason="moved-home")


MET = ObjectiveAnswered(objective_id=AT_SCHOOL.objective_id, met=True)


def interview(*answers: ObjectiveAnswered, held_on: date = TODAY) -> CompleteExitInterview:
    """Return that the child was asked, and what the child answered."""
    return CompleteExitInterview(placement_id=PLACEMENT, outcomes=answers, held_on=held_on, held_by=LEAD)


def due_by(day: date) -> object:
    """Return what stands for dates whose last day is this one."""
    return like(Dates, due_at=CALENDAR.start_of_day(day + DAY))


@pytest.mark.parametrize("level", [3, 4])
def test_a_placement_can_be_requested_for_an_open_case_of_level_3_or_4(level: int) -> None:
    given().when(REQUEST, case=known(level)).then(placement_requested())


@pytest.mark.parametrize("level", [1, 2])
def test_a_case_below_level_3_gets_no_placement(level: int) -> None:
    given().when(REQUEST, case=known(level)).then_refused(f"this one is at level {level}")


@pytest.mark.parametrize("case", [None, known(status="closed")], ids=["unknown", "closed"])
def test_a_case_that_is_unknown_or_closed_gets_no_placement(case: KnownCase | None) -> None:
    given().when(REQUEST, case=case).then_refused("The case is closed, or not known here yet")


@pytest.mark.parametrize(
    ("history", "status"), [(REQUESTED, "requested"), (STARTED, "started")], ids=["requested", "started"]
)
def test_a_child_has_one_live_placement(history: tuple[PlacementEvent, ...], status: str) -> None:
    given(*history).when(REQUEST).then_refused(f"is {status}")


def test_a_child_whose_placement_has_ended_may_be_placed_again() -> None:
    given(*ENDED).when(REQUEST).then(placement_requested())


def test_a_start_schedules_the_first_review_20_working_days_later() -> None:
    given(*REQUESTED).when(start(location=Location.OUT_OF_COUNTY)).then(
        like(
            e.PlacementStarted,
            location=Location.OUT_OF_COUNTY,
            objectives=(like(e.Objective, domain=NeedDomain.EDUCATION),),
        ),
        like(Schedule, kind="placement_review_first", number=1, dates=due_by(date(2026, 10, 5))),
    )


def test_a_start_without_an_objective_is_refused() -> None:
    given(*REQUESTED).when(start(objectives=())).then_refused("at least one measurable objective")


def test_a_start_on_a_day_to_come_is_refused() -> None:
    given(*REQUESTED).when(start(started_on=TOMORROW)).then_refused(
        "started_on is 2026-09-08 and today is 2026-09-07"
    )


def test_today_is_londons_day() -> None:
    """At 23:30 UTC in summer it is already tomorrow in London."""
    late = datetime(2026, 9, 7, 23, 30, tzinfo=UTC)
    given(*REQUESTED).when(start(started_on=date(2026, 9, 8)), now=late).then(
        like(e.PlacementStarted, started_on=date(2026, 9, 8)), like(Schedule)
    )


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
    before = [placement_reviewed(each, on=TODAY + each * DAY) for each in range(1, held + 1)]
    reviewed_on = TODAY + (held + 1) * DAY
    given(*STARTED, *before).when(review(reviewed_on), now=MONDAY + 400 * DAY).then(
        placement_reviewed(held + 1, on=reviewed_on),
        like(Meet, number=held + 1, kind=PACK.deadlines.review_after(held)[0]),
        like(Schedule, kind=kind, number=number, dates=due_by(due_on)),
    )


def test_a_review_before_the_start_is_refused() -> None:
    given(*STARTED).when(review(YESTERDAY)).then_refused("cannot be before that")


def test_a_review_not_after_the_last_one_is_refused() -> None:
    given(*STARTED, placement_reviewed(on=TODAY)).when(review(TODAY)).then_refused(
        "this one must be after it"
    )


def test_a_review_on_a_day_to_come_is_refused() -> None:
    given(*STARTED).when(review(TOMORROW)).then_refused("reviewed_on is")


def test_the_end_waives_the_open_review_and_the_exit_interview_becomes_due() -> None:
    started = placement_started(location=Location.OUT_OF_COUNTY)
    in_10_working_days = date(2026, 9, 21)
    due_at = CALENDAR.start_of_day(in_10_working_days + DAY)
    given(*REQUESTED, started, placement_reviewed()).when(end()).then(
        placement_ended(location=Location.OUT_OF_COUNTY),
        Waive(PLACEMENT, "placement_review_second", "placement_ended", "placement", number=2),
        exit_interview_due(due_at=due_at),
        like(Schedule, kind="exit_interview", dates=due_by(in_10_working_days)),
    )


def test_an_end_before_the_start_is_refused() -> None:
    given(*STARTED).when(end(YESTERDAY)).then_refused("cannot end before that")


def test_an_end_on_a_day_to_come_is_refused() -> None:
    given(*STARTED).when(end(TOMORROW)).then_refused("ended_on is")


EXIT_INTERVIEW_OVERDUE = deadline_overdue("exit_interview", about=PLACEMENT, due_at=MONDAY)


def test_an_overdue_exit_interview_is_announced_once() -> None:
    given(*ENDED).when(EXIT_INTERVIEW_OVERDUE).then(exit_interview_overdue())
    given(*OVERDUE).when(EXIT_INTERVIEW_OVERDUE).then_nothing_happened()


def test_other_overdue_deadlines_are_not_the_exit_interviews() -> None:
    given(*ENDED).when(deadline_overdue("placement_review_first", about=PLACEMENT)).then_nothing_happened()


def test_an_exit_interview_that_was_held_is_not_overdue() -> None:
    given(*INTERVIEWED).when(EXIT_INTERVIEW_OVERDUE).then_nothing_happened()


@pytest.mark.parametrize("history", [ENDED, OVERDUE], ids=["in time", "late"])
def test_an_exit_interview_can_be_held_in_time_or_late(history: tuple[PlacementEvent, ...]) -> None:
    given(*history).when(interview(MET)).then(
        exit_interview_completed(AT_SCHOOL), like(Meet, kind="exit_interview")
    )


@pytest.mark.parametrize("times", [0, 2])
def test_every_objective_is_answered_exactly_once(times: int) -> None:
    given(*ENDED).when(interview(*[MET] * times)).then_refused(
        "each of the placement's 1 objectives exactly once"
    )


def test_an_answer_to_a_foreign_objective_is_refused() -> None:
    foreign = ObjectiveAnswered(objective_id=UUID(int=5000), met=True)
    given(*ENDED).when(interview(foreign)).then_refused("exactly once")


def test_an_exit_interview_before_the_child_left_is_refused() -> None:
    given(*ENDED).when(interview(MET, held_on=YESTERDAY)).then_refused("The child left on")


def test_an_exit_interview_on_a_day_to_come_is_refused() -> None:
    given(*ENDED).when(interview(MET, held_on=TOMORROW)).then_refused("held_on is")


def test_a_second_exit_interview_is_refused() -> None:
    given(*INTERVIEWED).when(interview(MET)).then_refused("already held on 2026-09-07")


@pytest.mark.parametrize(
    ("history", "asked", "status"),
    [
        (STARTED, start(), "started"),
        (REQUESTED, review(), "requested"),
        (REQUESTED, end(), "requested"),
        (STARTED, interview(MET), "started"),
        (ENDED, end(), "ended"),
    ],
)
def test_a_step_out_of_turn_is_refused_and_says_where_the_placement_stands(
    history: tuple[PlacementEvent, ...], asked: Asked, status: str
) -> None:
    given(*history).when(asked).then_refused(f"it is {status}.")


def test_an_unknown_placement_is_missing() -> None:
    given().when(end()).then_refused("no such placement", missing=True)


def test_a_start_must_say_whether_it_is_in_the_county() -> None:
    with pytest.raises(ValidationError, match="location"):
        StartPlacement.model_validate(start().model_dump() | {"location": Location.UNKNOWN})


def learnt(*events: cases.CaseEvent) -> KnownCase:
    """Return what is known of the case after these events, in the order of their arrival."""
    case: KnownCase | None = None
    for event in events:
        case = cases.learn(case, event)
    assert case is not None
    return case


def test_a_case_that_stepped_up_to_level_3_may_be_placed() -> None:
    case = learnt(threshold_met(level=2), plan_reviewed(outcome="step_up", level=3, at=MONDAY + 5 * DAY))

    assert policy.may_place(case)


def test_the_newest_level_counts_in_whatever_order_events_arrive() -> None:
    case = learnt(plan_reviewed(outcome="step_down", level=2, at=MONDAY + 5 * DAY), threshold_met(level=4))

    assert (case.level, policy.may_place(case)) == (2, False)


def test_a_closed_case_is_not_opened_by_a_late_event() -> None:
    assert not policy.may_place(learnt(case_closed(), threshold_met(level=4)))
