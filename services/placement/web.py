"""The placement service's HTTP API."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter

from schemas.events import Event
from schemas.events.codes import Location
from services.kernel.messages.faults import Refused
from services.kernel.processing.commands import CommandExecutor
from services.kernel.store import deadlines
from services.kernel.web.api import ALWAYS, TO_COMMANDS, IdempotencyKey, Paging, problems
from services.kernel.web.bodies import BodyRoute
from services.placement import queries as lists
from services.placement.book import PlacementBook
from services.placement.model import (
    CompleteExitInterview,
    EndPlacement,
    ExitInterviewAnswers,
    PlacementEnd,
    PlacementReview,
    PlacementStart,
    RequestPlacement,
    ReviewPlacement,
    StartPlacement,
)
from services.placement.queries import PlacementFilter


def router(executor: CommandExecutor[PlacementBook]) -> APIRouter:
    """Return the routes of the placement service."""
    routes = APIRouter(route_class=BodyRoute, tags=["placement"], responses=ALWAYS)

    @routes.post(
        "/placements",
        status_code=201,
        responses=TO_COMMANDS,
        summary="Ask for a placement for the child of an open case",
    )
    async def request(command: RequestPlacement, key: IdempotencyKey) -> dict[str, Any]:
        return await executor.execute(command, key=key, respond=_touched)

    @routes.post(
        "/placements/{placement_id}/start",
        responses=TO_COMMANDS,
        summary="The child has moved in",
    )
    async def start(placement_id: UUID, body: PlacementStart, key: IdempotencyKey) -> dict[str, Any]:
        command = StartPlacement(placement_id=placement_id, **body.model_dump())
        return await executor.execute(command, key=key, respond=_touched)

    @routes.post(
        "/placements/{placement_id}/reviews",
        responses=TO_COMMANDS,
        summary="A review of the looked-after child was held",
    )
    async def review(placement_id: UUID, body: PlacementReview, key: IdempotencyKey) -> dict[str, Any]:
        command = ReviewPlacement(placement_id=placement_id, **body.model_dump())
        return await executor.execute(command, key=key, respond=_touched)

    @routes.post(
        "/placements/{placement_id}/end",
        responses=TO_COMMANDS,
        summary="The child has left; an exit interview is due",
    )
    async def end(placement_id: UUID, body: PlacementEnd, key: IdempotencyKey) -> dict[str, Any]:
        command = EndPlacement(placement_id=placement_id, **body.model_dump())
        return await executor.execute(command, key=key, respond=_touched)

    @routes.post(
        "/placements/{placement_id}/exit-interview",
        responses=TO_COMMANDS,
        summary="The child was asked",
    )
    async def exit_interview(
        placement_id: UUID, body: ExitInterviewAnswers, key: IdempotencyKey
    ) -> dict[str, Any]:
        command = CompleteExitInterview(placement_id=placement_id, **body.model_dump())
        return await executor.execute(command, key=key, respond=_touched)

    @routes.get("/placements", summary="List placements, the newest request first")
    async def listing(
        page: Paging,
        status: Literal["requested", "started", "ended"] | None = None,
        location: Location | None = None,
        child_id: UUID | None = None,
        case_id: UUID | None = None,
    ) -> dict[str, Any]:
        chosen = PlacementFilter(status, location, child_id, case_id)
        cursors = lists.LIST.cursors(asdict(chosen))
        after = page.after(cursors)
        async with executor.engine.connect() as connection:
            found = await lists.list_placements(connection, chosen, limit=page.limit, after=after)
        return page.of(found, cursors)

    @routes.get("/placements/figures", summary="Placements, exit interviews and history by state")
    async def figures() -> dict[str, Any]:
        async with executor.engine.connect() as connection:
            return dict(await lists.figures(connection))

    @routes.get(
        "/placements/{placement_id}",
        responses=problems(404),
        summary="One placement, with objectives and deadlines",
    )
    async def one(placement_id: UUID) -> dict[str, Any]:
        async with executor.engine.connect() as connection:
            found = await lists.find_placement(connection, placement_id)
            dates = await deadlines.list_about(connection, placement_id)
        if found is None:
            raise Refused(f"There is no placement {placement_id}: check the id.", missing=True)
        return found | {"deadlines": dates}

    return routes


def _touched(book: PlacementBook, events: Sequence[Event]) -> dict[str, Any]:
    """Answer with the placement that the command touched, without anybody's words."""
    placement = book.placement(events[0].subject)
    return {
        "placement_id": placement.placement_id,
        "child_id": placement.child_id,
        "case_id": placement.case_id,
        "status": placement.status,
        "exit_interview": placement.exit_interview,
        "exit_interview_due_at": placement.exit_interview_due_at,
        "reviews_held": placement.reviews_held,
        "objectives": [
            {
                "objective_id": objective.objective_id,
                "domain": objective.domain,
                "outcome": objective.outcome,
            }
            for objective in placement.objectives
        ],
    }
