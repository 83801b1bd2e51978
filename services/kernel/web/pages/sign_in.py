"""Signing in and out."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.kernel.web.pages.answers import Forbidden
from services.kernel.web.pages.forms import checked_form, field_of
from services.kernel.web.pages.session import Session
from services.kernel.web.pages.shell import Shell

log = structlog.get_logger()


def add(routes: APIRouter, shell: Shell) -> None:
    """Add the page and its forms."""

    @routes.get("/sign-in", response_class=HTMLResponse, summary="Page: sign in")
    async def choose(request: Request, next: Annotated[str, Query(max_length=300)] = "") -> Response:  # noqa: A002 - the name in the address
        return await _page(shell, request, wanted=next)

    @routes.post("/sign-in", response_class=HTMLResponse, summary="Form: sign in")
    async def enter(request: Request) -> Response:
        before = shell.sessions.find(request)
        if before is None:
            return await _page(shell, request, error="Your sign-in has timed out: choose again")
        form = await checked_form(request, before)
        person = await shell.identity.prove(field_of(form, "person"))
        if person is None:
            return await _page(shell, request, error="Choose who you are")
        home = shell.words.home.href
        answer = RedirectResponse(inside(field_of(form, "next"), home), status_code=303)
        # A new session with a new token: a token planted earlier cannot be used.
        shell.sessions.keep(answer, shell.sessions.start(person.person_id))
        log.info("signed in", person_id=person.person_id)
        return answer

    @routes.post("/sign-out", response_class=HTMLResponse, summary="Form: sign out")
    async def leave(request: Request) -> Response:
        session = shell.sessions.find(request)
        if session is None:
            raise Forbidden
        await checked_form(request, session)
        answer = RedirectResponse("/sign-in", status_code=303)
        shell.sessions.end(answer)
        return answer


def inside(address: str, home: str) -> str:
    """Return one of our own addresses unchanged, or the home page for any other."""
    is_ours = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if is_ours and address.isascii() and address.isprintable() else home


async def _page(shell: Shell, request: Request, *, wanted: str = "", error: str | None = None) -> Response:
    # A person who opens this page again in another window stays signed in until they choose.
    session: Session = shell.sessions.find(request) or shell.sessions.start(None)
    answer = shell.page(
        None,
        "sign_in.html",
        status=422 if error else 200,
        groups=await shell.identity.choices(now=shell.clock.now()),
        wanted=inside(wanted, shell.words.home.href),
        token_of_form=session.token,
        error=error,
        is_demo=shell.is_demo,
        signed_in=session.person_id,
    )
    shell.sessions.keep(answer, session)
    return answer
