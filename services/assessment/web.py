"""The assessment service's HTTP API."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response

from schemas.events import Code
from services.assessment import queries as lists
from services.assessment.allocation import Roster
from services.assessment.book import CaseBook
from services.assessment.model import Caseload, CompleteAssessment, Findings, Review, ReviewPlan
from services.assessment.queries import CaseFilter, Sort
from services.assessment.shown import (
    WEIGHTED_DIGITS,
    ShownCase,
    ShownCaseload,
    ShownCaseWithDeadlines,
    ShownNet,
    shown,
    shown_after,
    shown_caseload,
    shown_with_deadlines,
)
from services.assessment.store import CaseStore
from services.kernel.messages.faults import Refused
from services.kernel.processing.commands import CommandExecutor
from services.kernel.store import deadlines
from services.kernel.store.cursors import Cursors, Key, Kind, part_of
from services.kernel.web.answers import Listed, kept
from services.kernel.web.api import ALWAYS, TO_COMMANDS, IdempotencyKey, Paging, problems
from services.kernel.web.bodies import BodyRoute

SETTLED = frozenset({"met", "waived"})

FULLEST_FIRST: tuple[Kind, ...] = ("boolean", "integer", "text")
"""By which caseloads are in order; see `_fullness`."""


def router(executor: CommandExecutor[CaseBook, CaseStore]) -> APIRouter:
    """Return the routes of the assessment service."""
    routes = APIRouter(route_class=BodyRoute, tags=["assessment"], responses=ALWAYS)
    roster = executor.service.store.roster

    @routes.post(
        "/cases/{case_id}/assessment",
        response_model=ShownCase,
        responses=TO_COMMANDS,
        summary="Complete an assessment",
    )
    async def complete(case_id: UUID, findings: Findings, key: IdempotencyKey) -> Response:
        command = CompleteAssessment(case_id=case_id, **dict(findings))
        return kept(await executor.execute(command, key=key, respond=shown_after))

    @routes.post(
        "/cases/{case_id}/reviews",
        response_model=ShownCase,
        responses=TO_COMMANDS,
        summary="Review a plan",
    )
    async def review(case_id: UUID, decided: Review, key: IdempotencyKey) -> Response:
        command = ReviewPlan(case_id=case_id, **dict(decided))
        return kept(await executor.execute(command, key=key, respond=shown_after))

    @routes.get("/cases", summary="List cases")
    async def listing(
        page: Paging,
        status: Literal["open", "closed"] | None = None,
        lead: Annotated[Code | None, Query(description="The lead professional's id.")] = None,
        locality: Code | None = None,
        child_id: UUID | None = None,
        sort: Annotated[Sort, Query(description="By the start of the assessment.")] = "newest",
    ) -> Listed[ShownCase]:
        chosen = CaseFilter(status, lead, locality, child_id)
        cursors = lists.LIST[sort].cursors(asdict(chosen))
        after = page.after(cursors)
        async with executor.engine.connect() as connection:
            found = await lists.list_cases(connection, chosen, sort=sort, limit=page.limit, after=after)
        return page.of(found.map(shown), cursors)

    @routes.get("/cases/net", summary="Open cases that nobody leads or nothing is due for")
    async def net() -> ShownNet:
        async with executor.engine.connect() as connection:
            return ShownNet.model_validate(await lists.count_net(connection, leaders=list(roster.leaders)))

    @routes.get("/cases/{case_id}", responses=problems(404), summary="One case, with its open deadlines")
    async def one(case_id: UUID) -> ShownCaseWithDeadlines:
        async with executor.engine.connect() as connection:
            case = await lists.find_case(connection, case_id)
            dates = await deadlines.list_about(connection, case_id)
        if case is None:
            raise Refused(f"There is no case {case_id}: check the id.", missing=True)
        return shown_with_deadlines(case, [date for date in dates if date.state not in SETTLED])

    @routes.get("/caseloads", summary="Who leads how much, the fullest first")
    async def caseloads(page: Paging, team: Code | None = None) -> Listed[ShownCaseload]:
        """A caseload that does not change while the pages are read is shown once; others may move."""
        cursors = Cursors.of("caseloads", FULLEST_FIRST, {"team": team})
        after = page.after(cursors)
        async with executor.engine.connect() as connection:
            carried = await lists.caseloads(connection)
        rows = [row for row in _caseloads(roster, carried) if team is None or row.team == team]
        return page.of(part_of(rows, _fullness, limit=page.limit, after=after), cursors)

    return routes


def _caseloads(roster: Roster, carried: Mapping[str, Caseload]) -> list[ShownCaseload]:
    """Return everybody who leads cases, and those who have left but still have cases."""
    left = [
        shown_caseload(load, None)
        for load in carried.values()
        if load.cases and load.practitioner_id not in roster.leaders
    ]
    present = [
        shown_caseload(carried.get(leader.practitioner_id, Caseload(leader.practitioner_id)), leader)
        for leader in roster.leaders.values()
    ]
    return left + present


def _fullness(row: ShownCaseload) -> Key:
    """Return by what a caseload stands in the list: who has left comes first, then the fullest."""
    return row.weighted is not None, -round((row.weighted or 0) * 10**WEIGHTED_DIGITS), row.practitioner
