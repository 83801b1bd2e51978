"""The assessment service's HTTP API."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from schemas.events import Code, Event
from services.assessment import queries as lists
from services.assessment.allocation import Leader, Roster, weighted
from services.assessment.book import CaseBook
from services.assessment.model import Case, Caseload, CompleteAssessment, Findings, Review, ReviewPlan
from services.assessment.queries import CaseFilter, Sort
from services.assessment.store import CaseStore
from services.kernel.messages.faults import Refused
from services.kernel.processing.commands import CommandExecutor
from services.kernel.store import deadlines
from services.kernel.store.cursors import Cursors, Key, Kind, part_of
from services.kernel.store.deadlines import OpenDeadline
from services.kernel.web.api import ALWAYS, TO_COMMANDS, IdempotencyKey, Paging, problems
from services.kernel.web.bodies import BodyRoute

SETTLED = frozenset({"met", "waived"})

FULLEST_FIRST: tuple[Kind, ...] = ("boolean", "integer", "text")
"""By which caseloads are in order; see `_fullness`."""

WEIGHTED_DIGITS = 4


def router(executor: CommandExecutor[CaseBook, CaseStore]) -> APIRouter:
    """Return the routes of the assessment service."""
    routes = APIRouter(route_class=BodyRoute, tags=["assessment"], responses=ALWAYS)
    roster = executor.service.store.roster

    @routes.post("/cases/{case_id}/assessment", responses=TO_COMMANDS, summary="Complete an assessment")
    async def complete(case_id: UUID, findings: Findings, key: IdempotencyKey) -> dict[str, Any]:
        command = CompleteAssessment(case_id=case_id, **dict(findings))
        return await executor.execute(command, key=key, respond=_shown_after)

    @routes.post("/cases/{case_id}/reviews", responses=TO_COMMANDS, summary="Review a plan")
    async def review(case_id: UUID, decided: Review, key: IdempotencyKey) -> dict[str, Any]:
        command = ReviewPlan(case_id=case_id, **dict(decided))
        return await executor.execute(command, key=key, respond=_shown_after)

    @routes.get("/cases", summary="List cases")
    async def listing(
        page: Paging,
        status: Literal["open", "closed"] | None = None,
        lead: Annotated[Code | None, Query(description="The lead professional's id.")] = None,
        locality: Code | None = None,
        child_id: UUID | None = None,
        sort: Annotated[Sort, Query(description="By the start of the assessment.")] = "newest",
    ) -> dict[str, Any]:
        chosen = CaseFilter(status, lead, locality, child_id)
        cursors = lists.LIST[sort].cursors(asdict(chosen))
        after = page.after(cursors)
        async with executor.engine.connect() as connection:
            found = await lists.list_cases(connection, chosen, sort=sort, limit=page.limit, after=after)
        return page.of(found.map(_shown), cursors)

    @routes.get("/cases/net", summary="Open cases that nobody leads or nothing is due for")
    async def net() -> dict[str, int]:
        async with executor.engine.connect() as connection:
            return asdict(await lists.count_net(connection, leaders=list(roster.leaders)))

    @routes.get("/cases/{case_id}", responses=problems(404), summary="One case, with its open deadlines")
    async def one(case_id: UUID) -> dict[str, Any]:
        async with executor.engine.connect() as connection:
            case = await lists.find_case(connection, case_id)
            dates = await deadlines.list_about(connection, case_id)
        if case is None:
            raise Refused(f"There is no case {case_id}: check the id.", missing=True)
        return _shown(case) | {"deadlines": [_date(date) for date in dates if date.state not in SETTLED]}

    @routes.get("/caseloads", summary="Who leads how much, the fullest first")
    async def caseloads(page: Paging, team: Code | None = None) -> dict[str, Any]:
        """Whoever's load stays as it is while the pages are read is shown once; others may move."""
        cursors = Cursors.of("caseloads", FULLEST_FIRST, {"team": team})
        after = page.after(cursors)
        async with executor.engine.connect() as connection:
            carried = await lists.caseloads(connection)
        rows = [row for row in _caseloads(roster, carried) if team is None or row["team"] == team]
        return page.of(part_of(rows, _fullness, limit=page.limit, after=after), cursors)

    return routes


def _shown_after(book: CaseBook, events: Sequence[Event]) -> dict[str, Any]:
    """Answer with the case that the command touched."""
    return _shown(book.cases[events[0].subject])


def _shown(case: Case) -> dict[str, Any]:
    """Return a case as people see it, in JSON's own types: a first answer and its repetition are equal."""
    return {
        "case_id": str(case.case_id),
        "status": case.status.value,
        "child_id": str(case.child_id),
        "family_id": str(case.family_id) if case.family_id else None,
        "referral_id": str(case.referral_id),
        "locality": case.locality,
        "team": case.team,
        "lead_professional_id": case.lead_professional_id,
        "level": case.level,
        "points": case.points if case.is_open else 0,
        "needs": [need.model_dump(mode="json") for need in case.needs],
        "rules": [rule.model_dump(mode="json") for rule in case.rules],
        "policy_version": case.policy_version,
        "reviews": case.reviews,
        "started_at": case.started_at.isoformat(),
        "completed_at": case.completed_at.isoformat() if case.completed_at else None,
        "reviewed_at": case.reviewed_at.isoformat() if case.reviewed_at else None,
        "closed_at": case.closed_at.isoformat() if case.closed_at else None,
        "close_reason": case.close_reason,
    }


def _date(date: OpenDeadline) -> dict[str, str]:
    return {"kind": date.kind, "state": date.state, "due_at": date.due_at.isoformat()}


def _caseloads(roster: Roster, carried: Mapping[str, Caseload]) -> list[dict[str, Any]]:
    """Return everybody who leads cases, and whoever still has cases but has left.

    `capacity` is the part of a person's capacity that is for leading, `weighted` how full that is; both are
    None for somebody who is no longer in the pack and whose cases need a new lead.
    """
    left = [
        _caseload(load, None)
        for load in carried.values()
        if load.cases and load.practitioner_id not in roster.leaders
    ]
    present = [
        _caseload(carried.get(leader.practitioner_id, Caseload(leader.practitioner_id)), leader)
        for leader in roster.leaders.values()
    ]
    return left + present


def _fullness(row: Mapping[str, Any]) -> Key:
    """Return by what a caseload stands in the list: who has left comes first, then the fullest."""
    weighted = row["weighted"]
    return weighted is not None, -round((weighted or 0) * 10**WEIGHTED_DIGITS), row["practitioner"]


def _caseload(load: Caseload, leader: Leader | None) -> dict[str, Any]:
    return {
        "practitioner": load.practitioner_id,
        "team": leader.team if leader else None,
        "cases": load.cases,
        "points": load.points,
        "capacity": leader.capacity if leader else None,
        "weighted": round(weighted(load.points, leader), WEIGHTED_DIGITS) if leader else None,
    }
