"""The body of a request: never too much of it, and JSON in UTF-8 where a program sends it."""

import json
from codecs import BOM_UTF8
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

LARGEST_BODY = 1024 * 1024
"""In bytes; twice our longest form in the longest spelling of JSON."""


def bounded(receive: Receive) -> Receive:
    """Return what receives a request, but for a body that is too large: HTTPException 413, at once."""
    size = 0

    async def receiving() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > LARGEST_BODY:
            raise HTTPException(413, f"The body has more than {LARGEST_BODY} bytes: send less.")
        return message

    return receiving


class JsonRequest(Request):
    """A request whose body is read as JSON in UTF-8 alone.

    A byte order mark is skipped, as on the bus. UTF-16 and UTF-32, which Python would detect, are not allowed
    for JSON between systems (RFC 8259).
    """

    async def json(self) -> Any:
        """Return the parsed body. Raises ValueError when it is not JSON in UTF-8."""
        if not hasattr(self, "_json"):
            self._json = json.loads((await self.body()).removeprefix(BOM_UTF8).decode())
        return self._json


class BodyRoute(APIRoute):
    """A route of our JSON APIs, whose body is read by the rules of this module."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the request handler."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, bounded(request.receive)))

        return answer
