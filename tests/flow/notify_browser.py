"""A browser without JavaScript: signs in, keeps its cookie, sends the forms that it was given."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape

import httpx
from fastapi import FastAPI

from services.kernel.web.api import install_errors
from services.kernel.web.pages.routes import shell_routes
from services.kernel.web.pages.shell import Shell
from services.notify.pages import pages
from tests.flow.conftest import Bench

TOKEN = re.compile(r'name="token" value="([^"]+)"')
FORM_KEY = re.compile(r'name="form_key" value="([^"]+)"')


@dataclass
class Browser:
    """One browser at the pages of one service."""

    http: httpx.AsyncClient

    async def get(self, path: str) -> httpx.Response:
        """Open a page."""
        return await self.http.get(path)

    async def text(self, path: str) -> str:
        """Open a page, follow where it leads, and return what it holds."""
        return unescape((await self.http.get(path, follow_redirects=True)).text)

    async def pages(self, path: str, *, way: str = "next") -> AsyncIterator[str]:
        """Open a page of a list and those to which its links lead on, or back."""
        following: str | None = path
        while following is not None:
            page = await self.text(following)
            yield page
            links = re.findall(rf'href="([^"]+)" rel="{way}"', page)
            following = links[0].partition("#")[0] if links else None

    async def sign_in(self, person: str) -> httpx.Response:
        """Choose somebody from the list."""
        return await self.send("/sign-in", seen="/sign-in", person=person)

    async def send(self, path: str, *, seen: str = "/inbox", **fields: object) -> httpx.Response:
        """Send a form, with the token of a page that was seen before."""
        page = (await self.http.get(seen, follow_redirects=True)).text
        hidden = {"token": TOKEN.findall(page)[-1], "form_key": (FORM_KEY.findall(page) or ["none"])[0]}
        return await self.http.post(path, data={**hidden, **fields})


def site_of(bench: Bench, **settings: object) -> FastAPI:
    """Return the pages, with the list of demo users unless told otherwise."""
    app = FastAPI()
    install_errors(app)
    changed = bench.settings.model_copy(update={"sign_in": "demo", **settings})
    shell = Shell(changed, bench.executor.clock)
    app.include_router(pages(bench.executor, shell))
    app.include_router(shell_routes(shell))
    return app


@asynccontextmanager
async def browser(
    bench: Bench, person: str | None = None, *, app: FastAPI | None = None
) -> AsyncIterator[Browser]:
    """Give a browser, signed in as somebody."""
    transport = httpx.ASGITransport(app or site_of(bench))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        opened = Browser(http)
        if person is not None:
            assert (await opened.sign_in(person)).status_code == 303
        yield opened
