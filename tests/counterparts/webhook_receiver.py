"""A partner's webhook endpoints: each path has a mode, keeps what it took, and checks every signature."""

import asyncio
import hmac
import json
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from time import monotonic
from typing import Any, Literal

from aiohttp import web

Mode = Literal["ok", "hang", "error", "slow", "gone", "redirect", "busy"]

WINDOW = timedelta(minutes=5)
STATUS = {"ok": 200, "slow": 200, "error": 500, "gone": 410, "redirect": 302, "busy": 429}


@dataclass
class Endpoint:
    """One path."""

    mode: Mode = "ok"
    key: bytes | None = None
    """Checks signatures when set."""
    slow_seconds: float = 0.2
    words: str = ""
    """What it says beside the status."""
    asked: int = 0
    taken: Counter[str] = field(default_factory=Counter)
    """How often each `webhook-id` was taken; a partner has it in effect once."""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    """When each was taken, by the monotonic clock."""
    forged: int = 0


@dataclass
class Receiver:
    """The server. Paths that nobody has set are well."""

    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    def at(self, path: str) -> Endpoint:
        """Return the endpoint of a path."""
        return self.endpoints.setdefault(path, Endpoint())

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        return app

    async def _take(self, request: web.Request) -> web.Response:
        endpoint = self.at(request.path)
        endpoint.asked += 1
        body = await request.read()
        if endpoint.mode == "hang":
            await asyncio.Event().wait()
        if endpoint.mode == "slow":
            await asyncio.sleep(endpoint.slow_seconds)
        if endpoint.key is not None and not genuine(endpoint.key, request.headers, body):
            endpoint.forged += 1
            return web.Response(status=401)
        status = STATUS[endpoint.mode]
        if 200 <= status < 300:
            endpoint.taken[request.headers.get("webhook-id", "")] += 1
            endpoint.bodies.append(body)
            endpoint.headers.append(dict(request.headers))
            endpoint.moments.append(monotonic())
        more = {"Location": "/elsewhere"} if status == 302 else {}
        return web.Response(status=status, headers=more, text=endpoint.words)


def genuine(key: bytes, headers: Mapping[str, str], body: bytes, *, now: datetime | None = None) -> bool:
    """Check a signature as the Standard Webhooks scheme tells a receiver to."""
    stamp, identity = headers["webhook-timestamp"], headers["webhook-id"]
    age = abs((now or datetime.now(UTC)) - datetime.fromtimestamp(int(stamp), UTC))
    content = b".".join((identity.encode(), stamp.encode(), body))
    expected = b64encode(hmac.new(key, content, sha256).digest()).decode()
    given = headers["webhook-signature"].split()
    return age <= WINDOW and any(hmac.compare_digest(each, f"v1,{expected}") for each in given)


def said(endpoint: Endpoint) -> list[Any]:
    """Return the bodies that an endpoint has taken."""
    return [json.loads(body) for body in endpoint.bodies]
