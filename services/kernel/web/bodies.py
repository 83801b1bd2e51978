"""The body of a request, under the rules of a Kafka value: JSON in UTF-8, and never too much of it."""

import json
from codecs import BOM_UTF8
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

LARGEST_BODY = 1024 * 1024
"""In bytes. What our longest form takes in the longest spelling of JSON is half of it."""


class BoundedRequest(Request):
    """A request whose body is read up to a limit, and as JSON in UTF-8 alone.

    A byte order mark is passed over, as it is on the bus. UTF-16 and UTF-32, which Python would guess, are
    no JSON that systems may exchange (RFC 8259).
    """

    async def body(self) -> bytes:
        """Return the body. Raises HTTPException 413 as soon as it is too large."""
        if not hasattr(self, "_body"):
            parts, size = [], 0
            async for part in self.stream():
                size += len(part)
                if size > LARGEST_BODY:
                    raise HTTPException(413, f"The body has more than {LARGEST_BODY} bytes: send less.")
                parts.append(part)
            self._body = b"".join(parts)
        return self._body

    async def json(self) -> Any:
        """Return what the body says. Raises ValueError when it is no JSON in UTF-8."""
        if not hasattr(self, "_json"):
            self._json = json.loads((await self.body()).removeprefix(BOM_UTF8).decode())
        return self._json


class BodyRoute(APIRoute):
    """A route of our JSON APIs: its body is read by the rules of this module."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            return await handle(BoundedRequest(request.scope, request.receive))

        return answer
