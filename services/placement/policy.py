"""The rules of placements: pure functions from a placement, a command and a time to events."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID, uuid5

from schemas import events as e
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.deadlines.policy import Meet, Schedule, Waive
from services.kernel.deadlines.rules import schedule
from services.kernel.messages.faults import Refused
from services.kernel.processing.service import Produced
from services.placement.model import (
    LIVE,
    CompleteExitInterview,
    EndPlacement,
    KnownCase,
    Objective,
    Placement,
    RequestPlacement,
    ReviewPlacement,
    StartPlacement,
)
from services.placement.pack import PlacementPack

PLACEABLE_LEVELS = frozenset({3, 4})
"""Complex and severe needs. Below them a child is helped at home, by law and by councils' agreements
(docs/domain.md B1, docs/domain.md B3): levels 1 and 2 are met by universal and early-help services. No
council of the sources differs, so this is not pack data."""

EXIT_INTERVIEW = "exit_interview"

BY_RULE = "placement"
"""The waiver's author when a placement ends: the service itself, by rule."""

PlacementEvent = (
    e.PlacementRequested
    | e.PlacementStarted
    | e.PlacementReviewed
    | e.PlacementEnded
    | e.ExitInterviewDue
    | e.ExitInterviewOverdue
    | e.ExitInterviewCompleted
)


def may_place(case: KnownCase) -> bool:
    """Return whether the child of this case may be placed now."""
    return case.status == "open" and case.level in PLACEABLE_LEVELS


def decide_request(
    case: KnownCase | None,
    placements_of_child: Iterable[Placement],
    command: RequestPlacement,
    *,
    placement_id: UUID,
    now: datetime,
) -> list[Produced]:
    """Ask for a placement: for an open case of level 3 or 4, one live placement per child."""
    if case is None or case.status == "closed":
        raise Refused(
            "The case is closed, or not known here yet: wait until its threshold is decided, "
            "or refer the child again."
        )
    if not may_place(case):
        raise Refused(
            f"A placement needs a case of level 3 or 4 and this one is at level {case.level}: "
            "review the plan first if the needs have grown."
        )
    for placement in placements_of_child:
        if placement.status in LIVE:
            raise Refused(
                f"The child already has a placement that is {placement.status} "
                f"({placement.placement_id}): end it first."
            )
    return [
        e.PlacementRequested(
            placement_id=placement_id,
            child_id=case.child_id,
            case_id=case.case_id,
            kind=command.kind,
            need_group=command.need_group,
            requested_by=command.requested_by,
            requested_at=now,
        )
    ]


def decide_start(
    placement: Placement,
    command: StartPlacement,
    *,
    pack: PlacementPack,
    calendar: WorkingCalendar,
    now: datetime,
) -> list[Produced]:
    """Start the placement with at least one objective, and start the first review's clock.

    The case is not checked again: a placement requested while the case was open may start.
    """
    _require(placement, "requested", "Only a requested placement can start")
    _not_in_future(command.started_on, "started_on", calendar=calendar, now=now)
    if not command.objectives:
        raise Refused("A placement needs at least one measurable objective: say what it is meant to change.")
    assert placement.child_id is not None  # noqa: S101 - a requested placement has a child
    ids = objective_ids(placement.placement_id, len(command.objectives))
    started = e.PlacementStarted(
        placement_id=placement.placement_id,
        child_id=placement.child_id,
        case_id=placement.case_id,
        provider_id=command.provider_id,
        kind=command.kind,
        location=command.location,
        objectives=tuple(
            e.Objective(objective_id=objective_id, domain=asked.domain)
            for objective_id, asked in zip(ids, command.objectives, strict=True)
        ),
        started_on=command.started_on,
    )
    return [started, _next_review(placement, command.started_on, held=0, pack=pack, calendar=calendar)]


def decide_review(
    placement: Placement,
    command: ReviewPlacement,
    *,
    pack: PlacementPack,
    calendar: WorkingCalendar,
    now: datetime,
) -> list[Produced]:
    """Record a review: the open deadline is met and the next one is counted from this review."""
    _require(placement, "started", "Only a placement that has started and not ended can be reviewed")
    _not_in_future(command.reviewed_on, "reviewed_on", calendar=calendar, now=now)
    assert placement.child_id is not None and placement.started_on is not None  # noqa: S101, PT018 - started
    if command.reviewed_on < placement.started_on:
        raise Refused(f"The placement started on {placement.started_on}: a review cannot be before that.")
    if placement.last_review_on is not None and command.reviewed_on <= placement.last_review_on:
        raise Refused(f"The last review was on {placement.last_review_on}: this one must be after it.")
    held = placement.reviews_held + 1
    kind, _ = pack.deadlines.review_after(placement.reviews_held)
    return [
        e.PlacementReviewed(
            placement_id=placement.placement_id,
            child_id=placement.child_id,
            review_number=held,
            reviewed_on=command.reviewed_on,
            reviewed_by=command.reviewed_by,
        ),
        Meet(placement.placement_id, kind, calendar.start_of_day(command.reviewed_on), number=held),
        _next_review(placement, command.reviewed_on, held=held, pack=pack, calendar=calendar),
    ]


def decide_end(
    placement: Placement,
    command: EndPlacement,
    *,
    pack: PlacementPack,
    calendar: WorkingCalendar,
    now: datetime,
) -> list[Produced]:
    """End the placement: the next review is waived and the exit interview is due (docs/domain.md F1)."""
    _require(placement, "started", "Only a placement that has started and not ended can end")
    _not_in_future(command.ended_on, "ended_on", calendar=calendar, now=now)
    assert placement.child_id is not None and placement.started_on is not None  # noqa: S101, PT018 - started
    if command.ended_on < placement.started_on:
        raise Refused(f"The placement started on {placement.started_on}: it cannot end before that.")
    rule = pack.deadlines.exit_interview
    left_at = calendar.start_of_day(command.ended_on)
    dates = schedule(rule, left_at, calendar)
    review, _ = pack.deadlines.review_after(placement.reviews_held)
    return [
        e.PlacementEnded(
            placement_id=placement.placement_id,
            child_id=placement.child_id,
            case_id=placement.case_id,
            location=placement.location,
            ended_on=command.ended_on,
            reason=command.reason,
        ),
        Waive(
            placement.placement_id,
            review,
            "placement_ended",
            BY_RULE,
            number=placement.reviews_held + 1,
        ),
        e.ExitInterviewDue(
            placement_id=placement.placement_id,
            child_id=placement.child_id,
            case_id=placement.case_id,
            due_at=dates.due_at,
        ),
        Schedule(
            about=placement.placement_id,
            child_id=placement.child_id,
            case_id=placement.case_id,
            kind=EXIT_INTERVIEW,
            rule=rule.code,
            trigger_at=left_at,
            dates=dates,
        ),
    ]


def decide_overdue(placement: Placement, overdue: e.DeadlineOverdue) -> list[Produced]:
    """Publish that an exit interview is overdue, unless it was held in the meantime."""
    if overdue.kind != EXIT_INTERVIEW or placement.exit_interview != "due":
        return []
    return [
        e.ExitInterviewOverdue(
            placement_id=placement.placement_id,
            child_id=overdue.child_id,
            case_id=placement.case_id,
            due_at=overdue.due_at,
        )
    ]


def decide_exit_interview(
    placement: Placement,
    command: CompleteExitInterview,
    *,
    calendar: WorkingCalendar,
    now: datetime,
) -> list[Produced]:
    """Record the exit interview: every objective is answered exactly once, met or not."""
    _require(placement, "ended", "The exit interview follows the end of the placement, and this one")
    assert placement.child_id is not None and placement.ended_on is not None  # noqa: S101, PT018 - ended
    if placement.exit_interview == "completed":
        raise Refused(f"The exit interview was already held on {placement.exit_interview_held_on}.")
    _not_in_future(command.held_on, "held_on", calendar=calendar, now=now)
    if command.held_on < placement.ended_on:
        raise Refused(f"The child left on {placement.ended_on}: the interview cannot be before that.")
    answered = [outcome.objective_id for outcome in command.outcomes]
    expected = [objective.objective_id for objective in placement.objectives]
    if sorted(answered) != sorted(expected):
        raise Refused(
            f"Answer each of the placement's {len(expected)} objectives exactly once; "
            "GET the placement to see them."
        )
    return [
        e.ExitInterviewCompleted(
            placement_id=placement.placement_id,
            child_id=placement.child_id,
            case_id=placement.case_id,
            outcomes=tuple(
                e.ObjectiveOutcome(objective_id=outcome.objective_id, met=outcome.met)
                for outcome in command.outcomes
            ),
            held_on=command.held_on,
            held_by=command.held_by,
        ),
        Meet(placement.placement_id, EXIT_INTERVIEW, calendar.start_of_day(command.held_on)),
    ]


def evolve(placement: Placement, event: PlacementEvent) -> Placement:
    """Return the placement after one of its events."""
    placement = replace(placement, version=placement.version + 1)
    match event:
        case e.PlacementRequested():
            return replace(
                placement,
                status="requested",
                child_id=event.child_id,
                case_id=event.case_id,
                kind=event.kind,
                need_group=event.need_group,
                requested_by=event.requested_by,
                requested_at=event.requested_at,
            )
        case e.PlacementStarted():
            return replace(
                placement,
                status="started",
                provider_id=event.provider_id,
                kind=event.kind,
                location=event.location,
                started_on=event.started_on,
                objectives=tuple(Objective(each.objective_id, each.domain) for each in event.objectives),
            )
        case e.PlacementReviewed():
            return replace(placement, reviews_held=event.review_number, last_review_on=event.reviewed_on)
        case e.PlacementEnded():
            return replace(placement, status="ended", ended_on=event.ended_on, end_reason=event.reason)
        case e.ExitInterviewDue():
            return replace(placement, exit_interview="due", exit_interview_due_at=event.due_at)
        case e.ExitInterviewOverdue():
            return replace(placement, exit_interview="overdue")
        case e.ExitInterviewCompleted():
            return replace(
                placement,
                exit_interview="completed",
                exit_interview_held_on=event.held_on,
                objectives=_answered(placement.objectives, event.outcomes),
            )


def objective_ids(placement_id: UUID, count: int) -> list[UUID]:
    """Return the ids of a placement's objectives in order; the same arguments give the same ids."""
    return [uuid5(placement_id, f"objective/{number}") for number in range(1, count + 1)]


def _answered(
    objectives: tuple[Objective, ...], outcomes: Sequence[e.ObjectiveOutcome]
) -> tuple[Objective, ...]:
    met = {outcome.objective_id: outcome.met for outcome in outcomes}
    return tuple(
        replace(objective, outcome="met" if met[objective.objective_id] else "not_met")
        for objective in objectives
    )


def _next_review(
    placement: Placement,
    since: date,
    *,
    held: int,
    pack: PlacementPack,
    calendar: WorkingCalendar,
) -> Schedule:
    """Return the review that follows `held` earlier ones, counted from `since`."""
    kind, rule = pack.deadlines.review_after(held)
    assert placement.child_id is not None  # noqa: S101 - only a placement of a child is reviewed
    trigger_at = calendar.start_of_day(since)
    return Schedule(
        about=placement.placement_id,
        child_id=placement.child_id,
        case_id=placement.case_id,
        kind=kind,
        rule=rule.code,
        trigger_at=trigger_at,
        dates=schedule(rule, trigger_at, calendar),
        number=held + 1,
    )


def _require(placement: Placement, status: str, sentence: str) -> None:
    if placement.status == "absent":
        raise Refused("There is no such placement.", missing=True)
    if placement.status != status:
        raise Refused(f"{sentence}: it is {placement.status}.")


def _not_in_future(day: date, field: str, *, calendar: WorkingCalendar, now: datetime) -> None:
    today = calendar.london_date(now)
    if day > today:
        raise Refused(f"{field} is {day} and today is {today}: record it once it has happened.")
