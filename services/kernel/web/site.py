"""The web process: the APIs and pages of one service or of all, on one port."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from services.kernel.base import garbage
from services.kernel.base.clock import clock_of
from services.kernel.base.examples import example
from services.kernel.base.settings import Settings
from services.kernel.postgres.database import STORE_ERRORS, create_engine, is_transient, open_store
from services.kernel.processing.commands import CommandExecutor
from services.kernel.processing.service import Service
from services.kernel.store.standing import answer
from services.kernel.web import docs
from services.kernel.web.answers import Shown
from services.kernel.web.api import describe, install_errors, not_served, operation_id, problem, problems
from services.kernel.web.doors import Doors
from services.kernel.web.pages.routes import shell_routes
from services.kernel.web.pages.shell import Shell, wants_page
from services.kernel.web.status import Bridge, ShownStand, ShownStands, look, rested

Router = Callable[[CommandExecutor[Any, Any]], APIRouter]
Pages = Callable[[CommandExecutor[Any, Any], Shell], APIRouter]


@dataclass(frozen=True)
class Served:
    """A service and the routes it serves."""

    service: Service[Any]
    router: Router
    pages: Pages | None = None
    """None: the service has no pages."""


class Health(Shown):
    """This process and its stores answer."""

    model_config = example({"status": "ok"})

    status: Literal["ok"]


def create_site(settings: Settings, served: Sequence[Served]) -> FastAPI:
    """Return the web application of some services. It migrates their stores before it serves."""
    clock = clock_of(settings)
    executors = [
        CommandExecutor(
            item.service, create_engine(settings, item.service.name), clock, calendar=item.service.calendar
        )
        for item in served
    ]
    bridge, waiting = Bridge(settings), asyncio.Lock()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(bridge.close)
            for executor in executors:
                stack.push_async_callback(executor.engine.dispose)
                await open_store(executor.engine, executor.service.name)
            garbage.look_less_often()  # a search through all that is loaded holds up every request
            yield

    app = FastAPI(
        title="Leadline",
        description="Case coordination for children's services. Every POST takes an Idempotency-Key.",
        lifespan=lifespan,
        generate_unique_id_function=operation_id,
        docs_url=None,  # FastAPI's pages load their scripts from elsewhere
        redoc_url=None,
    )
    app.add_middleware(Doors, settings=settings)
    install_errors(app)
    describe(app)
    shell = Shell(settings, clock) if any(item.pages for item in served) else None
    if shell is not None:
        app.exception_handler(HTTPException)(_not_served_by(shell))
    for error in (*STORE_ERRORS, OSError):
        app.add_exception_handler(error, _store_away)
    app.include_router(docs.router())  # first: pages have files under /assets, too
    for item, executor in zip(served, executors, strict=True):
        app.include_router(item.router(executor))
        app.include_router(_operations(executor, bridge))
        if item.pages is not None and shell is not None:
            app.include_router(item.pages(executor, shell))
    if shell is not None:
        app.include_router(shell_routes(shell))

    @app.get(
        "/health",
        tags=["operations"],
        response_model=Health,
        responses=problems(503),
        summary="Whether this process and its stores answer",
    )
    async def health() -> Health | Response:
        try:
            for executor in executors:
                async with executor.engine.connect() as connection:
                    await answer(connection)
        except (OSError, Exception) as error:  # noqa: BLE001 - whatever it is, we are not healthy
            return problem(503, "A store does not answer", type(error).__name__)
        return Health(status="ok")

    @app.get(
        "/status",
        tags=["operations"],
        responses=problems(422, 503),
        summary="How far each service has come, in the order of a child's journey",
    )
    async def status(
        at_rest_within: Annotated[
            float | None,
            Query(
                ge=0,
                le=1,
                description="Seconds to wait until no service has anything left to do. "
                "The list then ends with the first service that still has.",
            ),
        ] = None,
    ) -> ShownStands:
        if at_rest_within is None:
            stands = [await look(executor, bridge) for executor in executors]
        elif waiting.locked():
            # A wait is a hundred looks, so one waits at a time; others are told at once how things stand.
            stands = await rested(executors, bridge, within_seconds=0)
        else:
            async with waiting:
                stands = await rested(executors, bridge, within_seconds=at_rest_within)
        return ShownStands(services=tuple(stand.shown() for stand in stands))

    @app.get(
        "/metrics",
        tags=["operations"],
        response_class=PlainTextResponse,
        summary="Metrics for Prometheus",
    )
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


def _not_served_by(shell: Shell) -> Callable[[Request, HTTPException], Awaitable[Response]]:
    async def answer(request: Request, error: HTTPException) -> Response:
        """Answer an address that names nothing: a person with a page, a program with a problem."""
        return await (shell.trouble if wants_page(request) else not_served)(request, error)

    return answer


async def _store_away(_request: Request, error: Exception) -> Response:
    """Answer while a store is away; anything else is a mistake of ours and stays one."""
    if not is_transient(error):
        raise error
    detail = "The store does not answer: send the request again in a moment, with the same Idempotency-Key."
    return problem(503, "Not possible now", detail)


def _operations(executor: CommandExecutor[Any, Any], bridge: Bridge) -> APIRouter:
    name = executor.service.name
    routes = APIRouter(tags=["operations"], responses=problems(503))

    @routes.get(f"/{name}/status", name=f"status_of_{name}", summary=f"How far the {name} service has come")
    async def status() -> ShownStand:
        return (await look(executor, bridge)).shown()

    return routes
