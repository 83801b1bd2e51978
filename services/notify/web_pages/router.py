"""All pages, in the order in which their addresses are looked up."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from services.kernel.desk import Desk
from services.kernel.settings import Settings
from services.notify.book import NotifyBook
from services.notify.web_pages import alert, assets, board, chronology, inbox, live, preferences, sign_in
from services.notify.web_pages.visiting import answering_with_pages, reception_of


def pages(desk: Desk[NotifyBook], settings: Settings) -> APIRouter:
    """Return the routes of the pages. Whatever goes wrong behind one of them is answered with a page."""
    reception = reception_of(desk, settings)
    routes = APIRouter(tags=["pages"], route_class=answering_with_pages(reception))
    sign_in.add(routes, reception)
    live.add(routes, reception)
    # Before the list: an inbox's id may hold slashes, and would take an alert's address for its own.
    alert.add(routes, reception)
    inbox.add(routes, reception)
    chronology.add(routes, reception)
    board.add(routes, reception)
    preferences.add(routes, reception)

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
