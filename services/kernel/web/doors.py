"""Checks on every request and headers on every answer: the names of the site, and what browsers may keep."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kernel.base.settings import Settings
from services.kernel.web.api import problem

OURSELVES = frozenset({"127.0.0.1", "::1", "localhost"})
"""How programs on this machine call it."""

KEPT_NOWHERE: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""Headers of every answer that does not set them itself."""

ENCRYPTED: Mapping[str, str] = {"Strict-Transport-Security": "max-age=31536000"}
"""Where the site is reached by https: for a year browsers ask in no other way."""


class Doors:
    """Middleware of a site. Refuses a Host header that does not name the site.

    A page elsewhere could otherwise have its own name lead here (DNS rebinding), and read what we answer.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._names = names_of(settings)
        self._headers = {**KEPT_NOWHERE, **(ENCRYPTED if settings.site.startswith("https:") else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the site do so."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        if host_of(Headers(scope=scope).get("host", "")) in self._names:
            await self._app(scope, receive, answering)
        else:
            detail = "Ask under the name of this site: LEADLINE_SITE and LEADLINE_HOSTS say which there are."
            await problem(400, "Unknown host", detail)(scope, receive, answering)


def names_of(settings: Settings) -> frozenset[str]:
    """Return the host names under which a site is asked for, in lower case."""
    named = (host_of(each) for each in (settings.hosts or "").split(","))
    return OURSELVES | {urlsplit(settings.site).hostname or "", *named} - {""}


def host_of(header: str) -> str:
    """Return the host of a Host header without its port, in lower case; empty for what is none."""
    try:
        return urlsplit(f"//{header.strip()}").hostname or ""
    except ValueError:
        return ""
