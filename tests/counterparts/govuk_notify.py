"""A stub of GOV.UK Notify's documented API: what it answers, refuses and later says became of a message."""

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import jwt
from aiohttp import ClientSession, web

SERVICE = "26785a09-0000-4000-8000-00000000a501"
SECRET = "3d844edf-0000-4000-8000-00000000b122"
API_KEY = f"leadline_tests-{SERVICE}-{SECRET}"
EMAIL_TEMPLATE = "11111111-0000-4000-8000-000000000001"
SMS_TEMPLATE = "11111111-0000-4000-8000-000000000002"
WANTED = {
    EMAIL_TEMPLATE: ("email", {"what", "reference", "due", "link"}),
    SMS_TEMPLATE: ("sms", {"what", "reference", "link"}),
}
"""Each template's channel and the fields that it cannot do without."""

SIMULATED = {
    "temp-fail@simulator.notify": "temporary-failure",
    "perm-fail@simulator.notify": "permanent-failure",
    "07700900003": "temporary-failure",
    "07700900002": "permanent-failure",
}
SMOKE = {
    "simulate-delivered@notifications.service.gov.uk",
    "simulate-delivered-2@notifications.service.gov.uk",
    "07700900000",
    "07700900111",
    "07700900222",
}
"""Taken and never sent: nothing is ever said of them."""
CLOCK_SECONDS = 30
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")
_PHONE = re.compile(r"(\+44|0)7\d{9}\Z")


@dataclass
class Notification:
    """One message as Notify keeps it."""

    id: str
    reference: str | None
    type: str
    to: str
    personalisation: dict[str, str]
    status: str = "created"
    moment: float = field(default_factory=time.monotonic)
    """When it was taken, by the monotonic clock."""


@dataclass
class NotifyStub:
    """The server. A test sets what goes wrong; otherwise every message is taken."""

    errors: list[tuple[int, str]] = field(default_factory=list)
    """Answers to the next messages, used up from the front: a status and Notify's kind of error."""
    words: str = "You cannot do that, Jane Roe."
    """What it says to whom it refuses."""
    swallow: int = 0
    """How many of the next messages are taken without an answer: the connection breaks."""
    garbled: int = 0
    """How many of the next messages are taken with an answer that says nothing."""
    hang: int = 0
    """How many of the next messages are taken by nobody and answered never."""
    templates_of_channel: dict[str, str] = field(
        default_factory=lambda: {"email": EMAIL_TEMPLATE, "sms": SMS_TEMPLATE}
    )
    kept: dict[str, Notification] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    """Requests by what they asked: send, by_id, by_reference."""

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(middlewares=[_authorised])
        app.router.add_post("/v2/notifications/{channel:email|sms}", self._send)
        app.router.add_get("/v2/notifications/{id}", self._one)
        app.router.add_get("/v2/notifications", self._all)
        return app

    def doubled(self) -> list[str]:
        """Return the references that more than one message has."""
        counted = Counter(each.reference for each in self.kept.values())
        return [str(reference) for reference, count in counted.items() if count > 1]

    def providers_answer(self) -> None:
        """Let the providers say what became of everything, as they do for simulator addresses, too."""
        for each in self.kept.values():
            if each.to not in SMOKE:
                each.status = SIMULATED.get(each.to, "delivered")

    async def call_back(self, url: str, token: str) -> list[int]:
        """Post a receipt for everything that has come to an end; return the answers' statuses."""
        statuses = []
        async with ClientSession() as session:
            for each in self.kept.values():
                if each.status in {"created", "sending"}:
                    continue
                receipt = {
                    "id": each.id,
                    "reference": each.reference,
                    "to": each.to,
                    "status": each.status,
                    "created_at": "2026-09-07T09:00:00.000000Z",
                    "completed_at": "2026-09-07T09:00:05.000000Z",
                    "sent_at": "2026-09-07T09:00:01.000000Z",
                    "notification_type": each.type,
                    "template_id": self.templates_of_channel[each.type],
                    "template_version": 1,
                }
                headers = {"Authorization": f"Bearer {token}"}
                async with session.post(url, json=receipt, headers=headers) as answer:
                    statuses.append(answer.status)
        return statuses

    async def _send(self, request: web.Request) -> web.Response:
        self.asked["send"] += 1
        if self.hang:
            self.hang -= 1
            await asyncio.Event().wait()
        if self.errors:
            status, name = self.errors.pop(0)
            return _no(status, name, self.words)
        channel = request.match_info["channel"]
        asked: dict[str, Any] = await request.json()
        to = asked.get("email_address" if channel == "email" else "phone_number", "")
        if not (_EMAIL if channel == "email" else _PHONE).match(to):
            return _no(400, "ValidationError", f"{to} is not a valid address")
        wanted = WANTED.get(asked.get("template_id", ""))
        if wanted is None or wanted[0] != channel:
            return _no(400, "BadRequestError", "Template not found")
        words = asked.get("personalisation", {})
        missing = wanted[1] - set(words)
        if missing:
            return _no(400, "BadRequestError", f"Missing personalisation: {', '.join(sorted(missing))}")
        made = Notification(str(uuid4()), asked.get("reference"), channel, to, words)
        self.kept[made.id] = made
        if self.swallow:
            self.swallow -= 1
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if self.garbled:
            self.garbled -= 1
            return web.Response(text="<html>", status=201)
        body = {
            "id": made.id,
            "reference": made.reference,
            "content": {"body": " ".join(words.values())},
            "uri": f"{request.url.origin()}/v2/notifications/{made.id}",
            "template": {"id": asked["template_id"], "version": 1, "uri": "/v2/template"},
            "scheduled_for": None,
        }
        return web.json_response(body, status=201)

    async def _one(self, request: web.Request) -> web.Response:
        self.asked["by_id"] += 1
        found = self.kept.get(request.match_info["id"])
        if found is None:
            return _no(404, "NoResultFound", "No result found")
        return web.json_response(_row(found))

    async def _all(self, request: web.Request) -> web.Response:
        self.asked["by_reference"] += 1
        reference = request.query.get("reference")
        found = [_row(each) for each in self.kept.values() if reference in {None, each.reference}]
        return web.json_response({"notifications": found[:250], "links": {"current": str(request.url)}})


@web.middleware
async def _authorised(request: web.Request, handler: Any) -> web.StreamResponse:
    """Let in whoever signs with our key and has a clock."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        claims = jwt.decode(token, SECRET, algorithms=["HS256"], options={"verify_iat": False})
    except jwt.InvalidTokenError:
        return _no(403, "AuthError", "Invalid token: API key not found")
    if claims.get("iss") != SERVICE or abs(time.time() - float(claims["iat"])) > CLOCK_SECONDS:
        return _no(403, "AuthError", "Error: Your system clock must be accurate to within 30 seconds")
    answer: web.StreamResponse = await handler(request)
    return answer


def _no(status: int, name: str, words: str) -> web.Response:
    errors = [{"error": name, "message": words}]
    return web.json_response({"status_code": status, "errors": errors}, status=status)


def _row(each: Notification) -> dict[str, Any]:
    address = "email_address" if each.type == "email" else "phone_number"
    return {
        "id": each.id,
        "reference": each.reference,
        "type": each.type,
        "status": each.status,
        address: each.to,
        "body": " ".join(each.personalisation.values()),
    }
