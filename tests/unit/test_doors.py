"""What every request passes: the names of the site, headers of every answer, forms that are not too large."""

from pathlib import Path

import httpx
import pytest
from fastapi import Response
from pydantic import SecretStr

from services.cli.catalogue import ServiceName, served
from services.kernel.base.clock import SystemClock
from services.kernel.base.settings import Settings
from services.kernel.web.bodies import LARGEST_BODY
from services.kernel.web.pages.session import Sessions
from services.kernel.web.site import create_site

SECRET = "a secret of the tests, which has 32 bytes"
NOWHERE = Settings(
    database="postgresql+asyncpg://nobody@127.0.0.1:1/leadline_{service}",
    kafka="127.0.0.1:1",
    policy=Path("deploy/policies/cambridgeshire.yaml"),
    sign_in="demo",
)


def browser(**settings: object) -> httpx.AsyncClient:
    """Return a client at a site whose store is nowhere."""
    changed = NOWHERE.model_copy(update=settings)
    site = create_site(changed, [served(ServiceName.NOTIFY, changed)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=site), base_url="http://127.0.0.1")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8000",
        "localhost:8000",
        "[::1]:8000",
        "LEADLINE.example",
        "leadline.internal:81",
    ],
)
async def test_the_site_answers_under_its_names(host: str) -> None:
    """Those of its address, of this machine, and those that the settings add; whatever the port."""
    async with browser(site="https://leadline.example", hosts="leadline.internal, other.internal") as http:
        assert (await http.get("/metrics", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "a b", "[::2", "leadline"])
async def test_under_any_other_name_nothing_is_answered(host: str) -> None:
    """A page elsewhere whose name leads here reads nothing (DNS rebinding)."""
    async with browser() as http:
        for path in ("/metrics", "/inbox", "/alerts"):
            answer = await http.get(path, headers={"Host": host})
            assert answer.status_code == 400
            assert answer.json()["title"] == "Unknown host"


@pytest.mark.parametrize("path", ["/metrics", "/alerts", "/openapi.json", "/sign-in", "/nothing"])
async def test_every_answer_is_kept_nowhere_and_taken_for_nothing_else(path: str) -> None:
    """JSON as well as pages."""
    async with browser() as http:
        headers = (await http.get(path)).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "strict-transport-security" not in headers


async def test_over_https_browsers_stay_with_it_and_keep_a_cookie_that_no_neighbour_can_set() -> None:
    """The cookie's prefix is the browser's promise: secure, for this host alone."""
    async with browser(site="https://leadline.example") as http:
        assert "max-age=" in (await http.get("/metrics")).headers["strict-transport-security"]
        http.cookies.set("__Host-leadline_session", "none of ours")
        answer = await http.get("/inbox")
    assert answer.status_code == 303


async def test_a_form_that_is_too_large_is_refused_with_a_page() -> None:
    """Whatever its fields are called; it is not read to its end."""
    sessions, answer = Sessions(SECRET, SystemClock(), secure=False), Response()
    sessions.keep(answer, sessions.start("W-0601"))
    name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
    async with browser(session_secret=SecretStr(SECRET)) as http:
        http.cookies.set(name, value.strip('"'))
        refused = await http.post("/sign-out", data={"token": "x" * LARGEST_BODY})
    assert (refused.status_code, "The form is too large." in refused.text) == (413, True)
