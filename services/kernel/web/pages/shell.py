"""The entry point of every page: the visitor, the layout around the page, and error pages."""

import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from services.kernel.base.clock import Clock, SystemClock
from services.kernel.base.settings import Settings
from services.kernel.messages.faults import Refused
from services.kernel.pack.people import Person
from services.kernel.postgres.database import is_transient
from services.kernel.web.bodies import bounded
from services.kernel.web.pages.answers import ANSWERS, Forbidden, NotSignedIn
from services.kernel.web.pages.assets import Assets
from services.kernel.web.pages.forms import checked_form
from services.kernel.web.pages.identity import Identity, Nobody
from services.kernel.web.pages.navigation import Navigation, SiteWords
from services.kernel.web.pages.rendering import Renderer
from services.kernel.web.pages.session import Session, Sessions

log = structlog.get_logger()

UNKNOWN_ADDRESS = "There is nothing at this address."


@dataclass(frozen=True, slots=True)
class Visit:
    """One request from a signed-in person."""

    request: Request
    session: Session
    person: Person
    now: datetime
    """The system's time, which may be simulated."""

    async def form(self) -> FormData:
        """Return the form that was sent. Raises Forbidden when it was not given out to this browser."""
        return await checked_form(self.request, self.session)


class Shell:
    """Shared by all pages of a site. A service adds to it with `extend` when the site is made."""

    def __init__(self, settings: Settings, clock: Clock, *, renderer: Renderer | None = None) -> None:
        secret = settings.session_secret
        self.is_demo = settings.sign_in == "demo"
        self.clock = clock
        # A session lasts for real hours, even when the system's time is simulated.
        self.sessions = Sessions(
            None if secret is None else secret.get_secret_value(),
            SystemClock(),
            secure=settings.site.startswith("https:"),
        )
        self.identity: Identity = Nobody()
        self.words = SiteWords()
        self.assets = Assets()
        self.renderer = Renderer(self.assets) if renderer is None else renderer
        self._navigation: list[Navigation] = []

    def extend(
        self,
        *,
        navigation: Navigation | None = None,
        identity: Identity | None = None,
        words: SiteWords | None = None,
        templates: Path | None = None,
        functions: Mapping[str, Callable[..., object]] | None = None,
        files: Path | None = None,
    ) -> None:
        """Add a service's parts: navigation, sign-in, words, templates with functions, files."""
        if navigation is not None:
            self._navigation.append(navigation)
        if identity is not None:
            self.identity = identity
        if words is not None:
            self.words = words
        if templates is not None:
            self.renderer.add(templates, functions or {})
        if files is not None:
            self.assets.add(files)

    def router(self) -> APIRouter:
        """Return an empty router for pages: any error behind one is answered with a page."""
        return APIRouter(tags=["pages"], route_class=_answering_with_pages(self), responses=ANSWERS)

    async def visit(self, request: Request) -> Visit:
        """Return the visit. Raises NotSignedIn."""
        session = self.sessions.find(request)
        if session is None or session.person_id is None:
            raise NotSignedIn
        person = await self.identity.find(session.person_id)
        if person is None:
            raise NotSignedIn
        return Visit(request, session, person, self.clock.now())

    def page(self, visit: Visit | None, template: str, *, status: int = 200, **values: Any) -> Response:
        """Return a page for a visit; None if no one has signed in."""
        here = "" if visit is None else visit.request.url.path
        return self.renderer.page(
            template,
            status=status,
            visitor=None if visit is None else visit.person,
            token="" if visit is None else visit.session.token,
            here=here,
            navigation=[] if visit is None else self._offered(visit.person, here),
            site=self.words,
            # A form that is sent twice takes effect once: its key is created when the form is issued.
            form_key=str(uuid.uuid4()),
            **values,
        )

    async def trouble(self, request: Request, error: Exception) -> Response:
        """Return an error page in place of the requested page."""
        if isinstance(error, NotSignedIn):
            wanted = request.url.path if request.method == "GET" else self.words.home.href
            return RedirectResponse(f"/sign-in?next={quote(wanted, safe='')}", status_code=303)
        try:
            visit = await self.visit(request)
        except Exception:  # noqa: BLE001 - an error page is shown to everyone, even while the store is unavailable
            visit = None
        if isinstance(error, Forbidden):
            return self.page(visit, "forbidden.html", status=403)
        if isinstance(error, Refused):
            if error.missing:
                return self.page(visit, "missing.html", status=404, sentence=error.sentence)
            return self.page(visit, "refused.html", status=409, sentence=error.sentence)
        if isinstance(error, RequestValidationError):
            return self.page(visit, "missing.html", status=404, sentence=UNKNOWN_ADDRESS)
        if isinstance(error, HTTPException):
            if error.status_code == 404:
                return self.page(visit, "missing.html", status=404, sentence=UNKNOWN_ADDRESS)
            status = error.status_code
            sentence = "The form is too large." if status == 413 else "The form cannot be read."
            return self.page(visit, "refused.html", status=status, sentence=sentence)
        if is_transient(error):
            return self.page(visit, "away.html", status=503)
        log.error("page failed", exc_info=error)
        return self.page(visit, "failed.html", status=500)

    def _offered(self, person: Person, here: str) -> Sequence[Any]:
        return [item for offer in self._navigation for item in offer(person, here)]


def wants_page(request: Request) -> bool:
    """Return whether a request comes from a person at a browser, not from a program."""
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def _answering_with_pages(shell: Shell) -> type[APIRoute]:
    class PageRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    return await handle(Request(request.scope, bounded(request.receive)))
                except Exception as error:  # noqa: BLE001 - a person at a browser gets a page, whatever the error
                    return await shell.trouble(request, error)

            return answer

    return PageRoute
