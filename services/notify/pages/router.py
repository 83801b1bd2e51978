"""All pages, in the order in which their addresses are looked up."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from services.kernel.base.settings import Settings
from services.kernel.processing.commands import CommandExecutor
from services.notify.book import NotifyBook
from services.notify.pages import (
    absences,
    alert,
    assets,
    board,
    chronology,
    inbox,
    live,
    preferences,
    sign_in,
)
from services.notify.pages.visiting import answering_with_pages, reception_of

HTML = {"text/html": {"schema": {"type": "string"}}}
ANSWERS: dict[int | str, dict[str, Any]] = {
    303: {"description": "To another page: the sign-in, or what the form has led to."},
    400: {"description": "A page: the form cannot be read.", "content": HTML},
    403: {"description": "A page: not for this person, or not from a form of ours.", "content": HTML},
    404: {"description": "A page: there is no such thing.", "content": HTML},
    409: {"description": "A page: not possible now.", "content": HTML},
    422: {"description": "A page that says what to enter instead.", "content": HTML},
    503: {"description": "A page: the store is away, try again in a moment.", "content": HTML},
}
"""What every page may answer beside itself."""


def pages(executor: CommandExecutor[NotifyBook], settings: Settings) -> APIRouter:
    """Return the routes of the pages. Whatever goes wrong behind one of them is answered with a page."""
    reception = reception_of(executor, settings)
    routes = APIRouter(tags=["pages"], route_class=answering_with_pages(reception), responses=ANSWERS)
    sign_in.add(routes, reception)
    live.add(routes, reception)
    # Before the list: an inbox's id may hold slashes, and would take an alert's address for its own.
    alert.add(routes, reception)
    inbox.add(routes, reception)
    chronology.add(routes, reception)
    board.add(routes, reception)
    preferences.add(routes, reception)
    absences.add(routes, reception)

    @routes.get("/children/{rest:path}", response_class=HTMLResponse, include_in_schema=False)
    async def missing(request: Request, rest: str) -> Response:  # noqa: ARG001 - an address of nothing
        visit = await reception.visit(request)
        return reception.page(
            visit, "missing.html", status=404, sentence="This address names nothing we know."
        )

    files = APIRouter(tags=["pages"])
    assets.add(files)
    routes.include_router(files)
    return routes
