"""Every page begins here: who visits, with which form, and what is answered when something is wrong."""

import uuid
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from schemas.events.codes import Channel
from services.kernel.base.clock import SystemClock
from services.kernel.base.settings import Settings
from services.kernel.messages.faults import Refused
from services.kernel.postgres.database import is_transient
from services.kernel.processing.commands import CommandExecutor
from services.notify.book import NotifyBook
from services.notify.pack.model import NotifyPack
from services.notify.pages.identity import DemoUsers, Identity, Nobody
from services.notify.pages.people import Person
from services.notify.pages.rendering import Renderer, address_with, inbox_address
from services.notify.pages.session import Session, Sessions
from services.notify.store.batch import NotifyStore

log = structlog.get_logger()

FORM_FIELDS = 2_000
"""The longest form, everybody's preferences, has a few hundred fields."""


class NotSignedIn(Exception):  # noqa: N818 - a state, not a mistake
    """The page needs somebody who has signed in."""


class Forbidden(Exception):  # noqa: N818 - an answer, not a mistake
    """Whoever has signed in may not see or do this."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who has signed in."""

    request: Request
    session: Session
    person: Person
    now: datetime
    """The county's time."""

    async def form(self) -> FormData:
        """Return the form that was sent. Raises Forbidden when it was not given out to this browser."""
        return await checked_form(self.request, self.session)

    def needs_inbox(self, inbox: str) -> None:
        """Raise Forbidden unless an inbox is this person's."""
        if inbox not in self.person.inboxes:
            raise Forbidden

    def needs_board(self, team: str) -> None:
        """Raise Forbidden unless this person manages a team."""
        if team not in self.person.boards:
            raise Forbidden


@dataclass
class PageContext:
    """What all pages share: the executor of commands, the pack, who signs in, and how pages look."""

    executor: CommandExecutor[NotifyBook]
    pack: NotifyPack
    channels: frozenset[Channel]
    """Those that this installation can send on."""
    settings: Settings
    sessions: Sessions
    identity: Identity
    renderer: Renderer = field(default_factory=Renderer)

    async def visit(self, request: Request) -> Visit:
        """Return who visits. Raises NotSignedIn."""
        session = self.sessions.find(request)
        if session is None or session.person_id is None:
            raise NotSignedIn
        person = await self.identity.find(session.person_id)
        if person is None:
            raise NotSignedIn
        return Visit(request, session, person, self.executor.clock.now())

    def page(self, visit: Visit | None, template: str, *, status: int = 200, **values: Any) -> Response:
        """Return a page for a visitor; None where nobody has signed in."""
        return self.renderer.page(
            template,
            status=status,
            visitor=None if visit is None else visit.person,
            token="" if visit is None else visit.session.token,
            here="" if visit is None else visit.request.url.path,
            # A form that is sent twice is done once: its key is made when it is given out.
            form_key=str(uuid.uuid4()),
            pack=self.pack,
            **values,
        )

    async def trouble(self, request: Request, error: Exception) -> Response:
        """Return the page that says what is wrong, in place of the one that was asked for."""
        if isinstance(error, NotSignedIn):
            wanted = request.url.path if request.method == "GET" else "/inbox"
            return RedirectResponse(f"/sign-in?next={quote(wanted, safe='')}", status_code=303)
        try:
            visit = await self.visit(request)
        except Exception:  # noqa: BLE001 - an error page is shown to everybody, also while the store is away
            visit = None
        if isinstance(error, Forbidden):
            return self.page(visit, "forbidden.html", status=403)
        if isinstance(error, Refused):
            if error.missing:
                return self.page(visit, "missing.html", status=404, sentence=error.sentence)
            return self.page(visit, "refused.html", status=409, sentence=error.sentence)
        if isinstance(error, RequestValidationError):
            return self.page(
                visit, "missing.html", status=404, sentence="This address names nothing we know."
            )
        if isinstance(error, HTTPException):
            status = error.status_code
            return self.page(visit, "refused.html", status=status, sentence="The form cannot be read.")
        if is_transient(error):
            return self.page(visit, "away.html", status=503)
        log.error("page failed", exc_info=error)
        return self.page(visit, "failed.html", status=500)


def reception_of(executor: CommandExecutor[NotifyBook], settings: Settings) -> PageContext:
    """Return what all pages share, under the settings' way of signing in."""
    store, secret = executor.service.store, settings.session_secret
    assert isinstance(store, NotifyStore)  # noqa: S101 - the notify service has no other
    return PageContext(
        executor,
        store.pack,
        store.channels,
        settings,
        Sessions(
            None if secret is None else secret.get_secret_value(),
            SystemClock(),
            secure=settings.site.startswith("https:"),
        ),
        DemoUsers(store.pack, executor.engine) if settings.sign_in == "demo" else Nobody(),
    )


async def checked_form(request: Request, session: Session) -> FormData:
    """Return the form that was sent. Raises Forbidden when it was not given out to this browser."""
    form = await request.form(max_fields=FORM_FIELDS, max_files=0)
    token = form.get("token")
    if not isinstance(token, str) or not session.matches(token):
        raise Forbidden
    return form


def field_of(form: FormData, name: str) -> str:
    """Return a field of a form; empty where it was not sent."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def back_to(inbox: str, query: Mapping[str, Any] | None = None) -> RedirectResponse:
    """Return to an inbox after a deed, so that a reload repeats nothing."""
    return RedirectResponse(address_with(inbox_address(inbox), query or {}), status_code=303)


def answering_with_pages(reception: PageContext) -> type[APIRoute]:
    """Return the route class of pages: whatever goes wrong behind one of them is answered with a page."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    return await handle(request)
                except Exception as error:  # noqa: BLE001 - a person at a browser gets a page, whatever it is
                    return await reception.trouble(request, error)

            return answer

    return PageRoute
