"""The route for receipts of GOV.UK Notify asks for the token first, and passes over what is not ours."""

import json
from typing import Any, cast

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import SecretStr

from services.kernel.processing.commands import CommandExecutor
from services.kernel.web import bodies
from services.kernel.web.api import PROBLEM, install_errors
from services.kernel.web.bodies import BodyRoute
from services.notify.api import receipts as receipts_api
from services.notify.book import NotifyBook

TOKEN = "agreed-with-notify"
NO_STORE = cast("CommandExecutor[NotifyBook]", None)
"""Nothing in here may come as far as the store: it would fail."""

JSON = {"content-type": "application/json"}
AGREED = JSON | {"authorization": f"Bearer {TOKEN}"}


def site() -> FastAPI:
    app = FastAPI()
    install_errors(app)
    routes = APIRouter(route_class=BodyRoute)
    receipts_api.add(routes, NO_STORE, SecretStr(TOKEN))
    app.include_router(routes)
    return app


async def post(content: Any, headers: dict[str, str]) -> httpx.Response:
    transport = httpx.ASGITransport(app=site())
    async with httpx.AsyncClient(transport=transport, base_url="http://leadline") as client:
        return await client.post("/govuk-notify/receipts", content=content, headers=headers)


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN])
@pytest.mark.parametrize("length", [None, "5", str(10**12)])
async def test_who_has_no_token_is_refused_before_the_body_is_looked_at(
    authorization: str | None, length: str | None
) -> None:
    """Whatever it is, and however long it says it is."""
    headers = {"content-type": "x"}
    if authorization is not None:
        headers["authorization"] = authorization
    if length is not None:
        headers["content-length"] = length
    asked: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        pytest.fail("the body was looked at")

    async def send(message: dict[str, Any]) -> None:
        asked.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/govuk-notify/receipts",
        "raw_path": b"/govuk-notify/receipts",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await site()(scope, receive, send)  # type: ignore[arg-type] # Starlette's types are mutable mappings
    assert asked[0]["status"] == 401
    assert (b"content-type", PROBLEM.encode()) in asked[0]["headers"]
    assert (b"www-authenticate", b"Bearer") in asked[0]["headers"]


@pytest.mark.parametrize("reference", ["", "other-42", "x" * 100_000, "\x00", "\ud800", None])
async def test_a_receipt_of_another_system_changes_nothing(reference: str | None) -> None:
    """Systems of one council share an account: Notify tells each of the messages of all."""
    answer = await post(json.dumps({"reference": reference, "status": "delivered"}), AGREED)
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b"\xff\xfe{\x00}\x00", 400),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"status": 1}', 422),
        (b'{"status": "delivered", "reference": 42}', 422),
        (b" " * 2000, 413),
    ],
)
async def test_what_is_no_receipt_is_a_problem(
    body: bytes, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also from Notify itself, and never more of it than is allowed."""
    if status == 413:
        monkeypatch.setattr(bodies, "LARGEST_BODY", 1000)
    answer = await post(body, AGREED)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)


def test_the_api_document_describes_the_body_and_the_token() -> None:
    """Though neither is a parameter of the function behind it."""
    described = site().openapi()["paths"]["/govuk-notify/receipts"]["post"]
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["status"]
    assert described["security"] == [{"GOV.UK Notify": []}]
    assert {"204", "400", "401", "413"} <= described["responses"].keys()
