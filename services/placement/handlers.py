"""Everything the placement service reacts to: which message leads to which decision."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from schemas import events as e
from schemas.events import Event
from services.kernel.processing.service import Command, Context, Handler, Produced
from services.placement import cases, history, policy
from services.placement.book import FactLearnt, NamedInReturn, PlacementBook, Worded
from services.placement.model import (
    CompleteExitInterview,
    EndPlacement,
    RequestPlacement,
    ReviewPlacement,
    StartPlacement,
)
from services.placement.pack import PlacementPack


def on_case_event(book: PlacementBook, event: cases.CaseEvent, _context: Context) -> Sequence[Produced]:
    """Record the case's level and whether it is open; nothing is published."""
    return [FactLearnt(cases.learn(book.cases.get(event.case_id), event))]


def on_deadline_overdue(
    book: PlacementBook, event: e.DeadlineOverdue, _context: Context
) -> Sequence[Produced]:
    """Publish that an exit interview is overdue."""
    return policy.decide_overdue(book.placement(event.about), event)


def on_child_reported(
    _book: PlacementBook, event: e.LookedAfterChildReported, _context: Context
) -> Sequence[Produced]:
    """Record that the child was looked after in a year; nothing is published."""
    return [NamedInReturn(event.child_id, event.return_year)]


def on_episode_reported(
    book: PlacementBook, event: e.LookedAfterEpisodeReported, _context: Context
) -> Sequence[Produced]:
    """Start or end a past placement."""
    episode = book.episode(event.episode_id)
    return [FactLearnt(history.codes_of(episode, event)), *history.decide_episode(episode, event)]


def on_review_reported(
    book: PlacementBook, event: e.LookedAfterReviewReported, _context: Context
) -> Sequence[Produced]:
    """Record a past review."""
    review = book.review(event.review_id)
    reported = replace(review, return_year=max(review.return_year, event.return_year))
    return [FactLearnt(reported), *history.decide_review(review, event)]


def on_missing_reported(
    book: PlacementBook, event: e.MissingEpisodeReported, _context: Context
) -> Sequence[Produced]:
    """Record a past missing episode."""
    missing = book.missing_episode(event.missing_id)
    reported = replace(missing, return_year=max(missing.return_year, event.return_year))
    return [FactLearnt(reported), *history.decide_missing(missing, event)]


def request_placement(book: PlacementBook, command: RequestPlacement, context: Context) -> Sequence[Produced]:
    """Ask for a placement."""
    case = book.cases.get(command.case_id)
    return policy.decide_request(
        case,
        book.placements_of(case.child_id) if case is not None else (),
        command,
        placement_id=context.id("placement"),
        now=context.now,
    )


def start_placement(
    book: PlacementBook, command: StartPlacement, context: Context, *, pack: PlacementPack
) -> Sequence[Produced]:
    """Record that the child moves in; the objectives' wording stays in the store."""
    produced = policy.decide_start(
        book.placement(command.placement_id),
        command,
        pack=pack,
        calendar=context.calendar,
        now=context.now,
    )
    ids = policy.objective_ids(command.placement_id, len(command.objectives))
    asked = (objective.words for objective in command.objectives)
    return [*produced, Worded(objectives=dict(zip(ids, asked, strict=True)))]


def review_placement(
    book: PlacementBook, command: ReviewPlacement, context: Context, *, pack: PlacementPack
) -> Sequence[Produced]:
    """Record that a review was held."""
    return policy.decide_review(
        book.placement(command.placement_id),
        command,
        pack=pack,
        calendar=context.calendar,
        now=context.now,
    )


def end_placement(
    book: PlacementBook, command: EndPlacement, context: Context, *, pack: PlacementPack
) -> Sequence[Produced]:
    """Record that the child has left."""
    return policy.decide_end(
        book.placement(command.placement_id),
        command,
        pack=pack,
        calendar=context.calendar,
        now=context.now,
    )


def complete_exit_interview(
    book: PlacementBook, command: CompleteExitInterview, context: Context
) -> Sequence[Produced]:
    """Record the exit interview; what the child said stays in the store."""
    produced = policy.decide_exit_interview(
        book.placement(command.placement_id), command, calendar=context.calendar, now=context.now
    )
    said = {
        outcome.objective_id: outcome.childs_words
        for outcome in command.outcomes
        if outcome.childs_words is not None
    }
    return [*produced, Worded(child=said)]


HANDLERS: Mapping[type[Event], Handler] = {
    e.ThresholdMet: on_case_event,
    e.PlanReviewed: on_case_event,
    e.CaseClosed: on_case_event,
    e.DeadlineOverdue: on_deadline_overdue,
    e.LookedAfterChildReported: on_child_reported,
    e.LookedAfterEpisodeReported: on_episode_reported,
    e.LookedAfterReviewReported: on_review_reported,
    e.MissingEpisodeReported: on_missing_reported,
}


def commands(pack: PlacementPack) -> Mapping[type[Command], Handler]:
    """Return the handler of every command, counting time as the council's pack says."""
    return {
        RequestPlacement: request_placement,
        StartPlacement: partial(start_placement, pack=pack),
        ReviewPlacement: partial(review_placement, pack=pack),
        EndPlacement: partial(end_placement, pack=pack),
        CompleteExitInterview: complete_exit_interview,
    }
