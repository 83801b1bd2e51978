"""The context of notify's pages: the shell, the command executor, the pack, and who may open which page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from schemas.events.codes import Channel
from services.kernel.processing.commands import CommandExecutor
from services.kernel.web.pages.answers import Forbidden
from services.kernel.web.pages.lists import address_with
from services.kernel.web.pages.shell import Shell, Visit
from services.notify.book import NotifyBook
from services.notify.pack.model import NotifyPack
from services.notify.store.batch import NotifyStore


@dataclass(frozen=True, slots=True)
class PageContext:
    """Everything that a page of the notify service needs."""

    shell: Shell
    executor: CommandExecutor[NotifyBook, NotifyStore]
    pack: NotifyPack
    channels: frozenset[Channel]
    """Those that this installation can send on."""

    async def visit(self, request: Request) -> Visit:
        """Return who visits. Raises NotSignedIn."""
        return await self.shell.visit(request)

    def page(self, visit: Visit, template: str, *, status: int = 200, **values: Any) -> Response:
        """Return a page for a visitor."""
        return self.shell.page(visit, template, status=status, pack=self.pack, **values)


def needs_inbox(visit: Visit, inbox: str) -> None:
    """Raise Forbidden unless an inbox is the visitor's."""
    if inbox not in visit.person.inboxes:
        raise Forbidden


def needs_board(visit: Visit, team: str) -> None:
    """Raise Forbidden unless the visitor manages a team."""
    if team not in visit.person.boards:
        raise Forbidden


def inbox_address(inbox: str) -> str:
    """Return the address of somebody's inbox. Emails name it, so it stays what it is."""
    return f"/inbox/{quote(inbox, safe='')}"


def back_to(inbox: str, query: Mapping[str, Any] | None = None) -> RedirectResponse:
    """Redirect to an inbox after a command, so that a reload repeats nothing."""
    return RedirectResponse(address_with(inbox_address(inbox), query or {}), status_code=303)
