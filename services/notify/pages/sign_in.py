"""Signing in and out."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.notify.pages.session import Session
from services.notify.pages.visiting import Forbidden, PageContext, checked_form, field_of

log = structlog.get_logger()

HOME = "/inbox"


def add(routes: APIRouter, reception: PageContext) -> None:
    """Add the pages."""

    @routes.get("/sign-in", response_class=HTMLResponse, summary="Page: sign in")
    async def choose(request: Request, next: Annotated[str, Query(max_length=300)] = HOME) -> Response:  # noqa: A002 - what the address calls it
        return await _page(reception, request, wanted=next)

    @routes.post("/sign-in", response_class=HTMLResponse, summary="Form: sign in")
    async def enter(request: Request) -> Response:
        before = reception.sessions.find(request)
        if before is None:
            return await _page(reception, request, error="Your time to sign in has run out: choose again")
        form = await checked_form(request, before)
        person = await reception.identity.prove(field_of(form, "person"))
        if person is None:
            return await _page(reception, request, error="Choose who you are")
        answer = RedirectResponse(inside(field_of(form, "next")), status_code=303)
        # A new session with a new token: nobody can plant one before and use it after.
        reception.sessions.keep(answer, reception.sessions.start(person.person_id))
        log.info("signed in", person_id=person.person_id)
        return answer

    @routes.post("/sign-out", response_class=HTMLResponse, summary="Form: sign out")
    async def leave(request: Request) -> Response:
        session = reception.sessions.find(request)
        if session is None:
            raise Forbidden
        await checked_form(request, session)
        answer = RedirectResponse("/sign-in", status_code=303)
        reception.sessions.end(answer)
        return answer


def inside(address: str) -> str:
    """Return an address of ours as it is, and in place of any other the home page."""
    is_ours = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if is_ours and address.isascii() and address.isprintable() else HOME


async def _page(
    reception: PageContext, request: Request, *, wanted: str = HOME, error: str | None = None
) -> Response:
    # Somebody who looks at this page again in another window stays signed in until they choose.
    session: Session = reception.sessions.find(request) or reception.sessions.start(None)
    answer = reception.page(
        None,
        "sign_in.html",
        status=422 if error else 200,
        groups=await reception.identity.choices(now=reception.executor.clock.now()),
        wanted=inside(wanted),
        token_of_form=session.token,
        error=error,
        is_demo=reception.settings.sign_in == "demo",
        signed_in=session.person_id,
    )
    reception.sessions.keep(answer, session)
    return answer
