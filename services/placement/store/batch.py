"""Loads and saves what a batch touches. The statements for the lists are in queries.py."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from schemas import events as e
from schemas.events.codes import Location, NeedDomain, PlacementKind
from services.kernel.postgres.bulk import Columns
from services.kernel.postgres.connection import Connection, Row
from services.kernel.postgres.statements import sql
from services.kernel.processing.service import Message
from services.placement.book import PlacementBook
from services.placement.model import (
    Episode,
    KnownCase,
    LookedAfterReview,
    MissingEpisode,
    Objective,
    Placement,
    RequestPlacement,
)
from services.placement.policy import EXIT_INTERVIEW
from services.placement.store.tables import EPISODES, KNOWN_CASES, MISSING, PLACEMENTS, REVIEWS

CASES_OF_CHILDREN = KNOWN_CASES.locking("""
    case_id = ANY(:ids) OR child_id IN (SELECT child_id FROM known_cases WHERE case_id = ANY(:ids))
""")
LIVE_OF_CHILDREN = PLACEMENTS.locking("status IN ('requested', 'started') AND child_id = ANY(:ids)")

LOAD_OBJECTIVES = text("""
    SELECT placement_id, objective_id, domain, outcome FROM objectives
    WHERE placement_id = ANY(:ids) ORDER BY placement_id, number
""")

OBJECTIVE = Columns(
    objective_id="uuid",
    placement_id="uuid",
    number="integer",
    domain="text",
    words="text",
    outcome="text",
    childs_words="text",
)
SAVE_OBJECTIVES = text(OBJECTIVE.insert("objectives"))

ANSWER = OBJECTIVE.only("objective_id", "outcome", "childs_words")
ANSWER_OBJECTIVES = text(ANSWER.update("objectives"))

CHILD = Columns(child_id="uuid", first_return_year="smallint", last_return_year="smallint")
SAVE_CHILDREN = sql(
    """
    {insert} ON CONFLICT (child_id) DO UPDATE SET
        first_return_year = LEAST(looked_after_children.first_return_year, excluded.first_return_year),
        last_return_year = GREATEST(looked_after_children.last_return_year, excluded.last_return_year)
    """,
    insert=CHILD.insert("looked_after_children"),
)


class PlacementStore:
    """Repository and unit of work of the placement service."""

    async def load(self, connection: Connection, messages: Sequence[Message]) -> PlacementBook:
        """Return the book for a batch, its aggregates locked.

        A request locks every case of its child, so that two requests for one child go one after the other;
        the unique index on live placements backs this up.
        """
        wanted = _wanted(messages)
        book = PlacementBook()
        requested = any(isinstance(each, RequestPlacement) for each in messages)
        statement = CASES_OF_CHILDREN if requested else None
        for row in await KNOWN_CASES.load(connection, wanted["case"], statement=statement):
            book.cases[row.case_id] = KnownCase(**row)
        children = [
            book.cases[each.case_id].child_id
            for each in messages
            if isinstance(each, RequestPlacement) and each.case_id in book.cases
        ]
        rows = [
            *await PLACEMENTS.load(connection, wanted["placement"]),
            *await PLACEMENTS.load(connection, children, statement=LIVE_OF_CHILDREN),
        ]
        objectives = await _objectives(connection, [row.placement_id for row in rows])
        for row in rows:
            book.placements[row.placement_id] = placement_of(row, objectives.get(row.placement_id, ()))
        for row in await EPISODES.load(connection, wanted["episode"]):
            book.episodes[row.episode_id] = Episode(**row)
        for row in await REVIEWS.load(connection, wanted["review"]):
            book.reviews[row.review_id] = LookedAfterReview(**row)
        for row in await MISSING.load(connection, wanted["missing"]):
            book.missing[row.missing_id] = MissingEpisode(**row)
        return book

    async def save(self, connection: Connection, book: PlacementBook) -> None:
        """Write all that has changed, one statement per table.

        IntegrityError when another transaction has meanwhile given the child a live placement.
        """
        placements = _changed(book.placements, book.changed)
        await KNOWN_CASES.save(connection, _changed(book.cases, book.changed))
        await PLACEMENTS.save(connection, placements)
        await _save_objectives(connection, placements, book)
        await EPISODES.save(connection, _changed(book.episodes, book.changed))
        await REVIEWS.save(connection, _changed(book.reviews, book.changed))
        await MISSING.save(connection, _changed(book.missing, book.changed))
        if book.return_years:
            years = [(child, min(told), max(told)) for child, told in sorted(book.return_years.items())]
            await connection.execute(SAVE_CHILDREN, CHILD.rows(years))


def placement_of(row: Row, objectives: Iterable[Objective]) -> Placement:
    """Return the placement that a row and its objectives hold."""
    columns = dict(row)
    return Placement(
        **columns
        | {
            "kind": PlacementKind(row.kind),
            "need_group": NeedDomain(row.need_group),
            "location": Location(row.location),
            "objectives": tuple(objectives),
        }
    )


def _wanted(messages: Sequence[Message]) -> Mapping[str, set[UUID]]:
    """Return the ids that the messages name, by kind of aggregate."""
    wanted: defaultdict[str, set[UUID]] = defaultdict(set)
    for message in messages:
        match message:
            case e.LookedAfterEpisodeReported():
                wanted["episode"].add(message.episode_id)
            case e.LookedAfterReviewReported():
                wanted["review"].add(message.review_id)
            case e.MissingEpisodeReported():
                wanted["missing"].add(message.missing_id)
            case e.DeadlineOverdue():
                if message.kind == EXIT_INTERVIEW:
                    wanted["placement"].add(message.about)
            case e.LookedAfterChildReported():
                pass
            case e.ThresholdMet() | e.PlanReviewed() | e.CaseClosed() | RequestPlacement():
                wanted["case"].add(message.case_id)
            case _:
                wanted["placement"].add(message.placement_id)  # type: ignore[union-attr] # all other commands name one
    return wanted


def _changed(items: Mapping[UUID, Any], changed: set[UUID]) -> list[Any]:
    return [item for item_id, item in items.items() if item_id in changed]


async def _objectives(
    connection: Connection, placement_ids: Sequence[UUID]
) -> Mapping[UUID, list[Objective]]:
    found: defaultdict[UUID, list[Objective]] = defaultdict(list)
    if placement_ids:
        for row in await connection.execute(LOAD_OBJECTIVES, {"ids": sorted(placement_ids)}):
            found[row.placement_id].append(Objective(row.objective_id, NeedDomain(row.domain), row.outcome))
    return found


async def _save_objectives(
    connection: Connection, placements: Sequence[Placement], book: PlacementBook
) -> None:
    """Write the objectives that are new in this batch, and the outcomes of those answered in it."""
    fresh = [
        (
            objective.objective_id,
            placement.placement_id,
            number,
            objective.domain,
            book.objective_words[objective.objective_id],
            objective.outcome,
            book.childs_words.get(objective.objective_id),
        )
        for placement in placements
        for number, objective in enumerate(placement.objectives, start=1)
        if objective.objective_id in book.objective_words
    ]
    if fresh:
        await connection.execute(SAVE_OBJECTIVES, OBJECTIVE.rows(fresh))
    answered = [
        (objective.objective_id, objective.outcome, book.childs_words.get(objective.objective_id))
        for placement in placements
        for objective in placement.objectives
        if objective.outcome != "open" and objective.objective_id not in book.objective_words
    ]
    if answered:
        await connection.execute(ANSWER_OBJECTIVES, ANSWER.rows(answered))
