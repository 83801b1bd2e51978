"""The placement service's HTTP API."""

from dataclasses import asdict
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Response

from schemas.events.codes import Location
from services.kernel.messages.faults import Refused
from services.kernel.processing.commands import CommandExecutor
from services.kernel.store import deadlines
from services.kernel.web.answers import Listed, kept
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
from services.placement.shown import (
    ShownPlacement,
    ShownPlacementFigures,
    ShownPlacementInFull,
    TouchedPlacement,
    touched,
)


def router(executor: CommandExecutor[PlacementBook]) -> APIRouter:
    """Return the routes of the placement service."""
    routes = APIRouter(route_class=BodyRoute, tags=["placement"], responses=ALWAYS)

    @routes.post(
        "/placements",
        status_code=201,
        response_model=TouchedPlacement,
        responses=TO_COMMANDS,
        summary="Ask for a placement for the child of an open case",
    )
    async def request(command: RequestPlacement, key: IdempotencyKey) -> Response:
        return kept(await executor.execute(command, key=key, respond=touched), status=201)

    @routes.post(
        "/placements/{placement_id}/start",
        response_model=TouchedPlacement,
        responses=TO_COMMANDS,
        summary="The child has moved in",
    )
    async def start(placement_id: UUID, body: PlacementStart, key: IdempotencyKey) -> Response:
        command = StartPlacement(placement_id=placement_id, **body.model_dump())
        return kept(await executor.execute(command, key=key, respond=touched))

    @routes.post(
        "/placements/{placement_id}/reviews",
        response_model=TouchedPlacement,
        responses=TO_COMMANDS,
        summary="A review of the looked-after child was held",
    )
    async def review(placement_id: UUID, body: PlacementReview, key: IdempotencyKey) -> Response:
        command = ReviewPlacement(placement_id=placement_id, **body.model_dump())
        return kept(await executor.execute(command, key=key, respond=touched))

    @routes.post(
        "/placements/{placement_id}/end",
        response_model=TouchedPlacement,
        responses=TO_COMMANDS,
        summary="The child has left; an exit interview is due",
    )
    async def end(placement_id: UUID, body: PlacementEnd, key: IdempotencyKey) -> Response:
        command = EndPlacement(placement_id=placement_id, **body.model_dump())
        return kept(await executor.execute(command, key=key, respond=touched))

    @routes.post(
        "/placements/{placement_id}/exit-interview",
        response_model=TouchedPlacement,
        responses=TO_COMMANDS,
        summary="The child was asked",
    )
    async def exit_interview(placement_id: UUID, body: ExitInterviewAnswers, key: IdempotencyKey) -> Response:
        command = CompleteExitInterview(placement_id=placement_id, **body.model_dump())
        return kept(await executor.execute(command, key=key, respond=touched))

    @routes.get("/placements", summary="List placements, the newest request first")
    async def listing(
        page: Paging,
        status: Literal["requested", "started", "ended"] | None = None,
        location: Location | None = None,
        child_id: UUID | None = None,
        case_id: UUID | None = None,
    ) -> Listed[ShownPlacement]:
        chosen = PlacementFilter(status, location, child_id, case_id)
        cursors = lists.LIST.cursors(asdict(chosen))
        after = page.after(cursors)
        async with executor.engine.connect() as connection:
            found = await lists.list_placements(connection, chosen, limit=page.limit, after=after)
        return page.of(found.map(ShownPlacement.model_validate), cursors)

    @routes.get("/placements/figures", summary="Placements, exit interviews and history by state")
    async def figures() -> ShownPlacementFigures:
        async with executor.engine.connect() as connection:
            return ShownPlacementFigures.model_validate(await lists.figures(connection))

    @routes.get(
        "/placements/{placement_id}",
        responses=problems(404),
        summary="One placement, with objectives and deadlines",
    )
    async def one(placement_id: UUID) -> ShownPlacementInFull:
        async with executor.engine.connect() as connection:
            found = await lists.find_placement(connection, placement_id)
            dates = await deadlines.list_about(connection, placement_id)
        if found is None:
            raise Refused(f"There is no placement {placement_id}: check the id.", missing=True)
        return ShownPlacementInFull.model_validate(found | {"deadlines": dates})

    return routes
