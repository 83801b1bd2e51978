"""The pages while the store is away: a page says so, and what needs no store works."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
from fastapi import Response
from pydantic import SecretStr

from services.cli.catalogue import ServiceName, served
from services.kernel.base.clock import SystemClock
from services.kernel.base.settings import Settings
from services.kernel.web.pages.session import COOKIE, Sessions
from services.kernel.web.site import Served, create_site

SECRET = "a secret of the tests, which has 32 bytes"
NOWHERE = Settings(
    database="postgresql+asyncpg://nobody@127.0.0.1:1/leadline_{service}",
    kafka="127.0.0.1:1",
    policy=Path("deploy/policies/cambridgeshire.yaml"),
    sign_in="demo",
    session_secret=SecretStr(SECRET),
)


@pytest.fixture(scope="module")
def notify() -> Served:
    """The service under a pack that is read once."""
    return served(ServiceName.NOTIFY, NOWHERE)


@pytest.fixture
async def http(notify: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at the site of the notify service alone, whose store is nowhere."""
    transport = httpx.ASGITransport(app=create_site(NOWHERE, [notify]))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


def sign_in(http: httpx.AsyncClient, person: str) -> None:
    """Give a browser the cookie of somebody who signed in while the store was there."""
    sessions = Sessions(SECRET, SystemClock(), secure=False)
    answer = Response()
    sessions.keep(answer, sessions.start(person))
    cookie = answer.headers["set-cookie"].partition(";")[0].removeprefix(f"{COOKIE}=")
    http.cookies.set(COOKIE, cookie.strip('"'))


@pytest.mark.parametrize("path", ["/inbox/W-0600", "/board/lt-ely", "/preferences", "/sign-in"])
async def test_page_says_that_the_store_is_away(http: httpx.AsyncClient, path: str) -> None:
    """503 and words, with the protection that every page has."""
    sign_in(http, "W-0600")
    answer = await http.get(path)
    assert answer.status_code == 503
    assert "Sorry, the service is unavailable" in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_who_has_not_signed_in_is_sent_to_do_so(http: httpx.AsyncClient) -> None:
    """Without asking the store."""
    answer = await http.get(f"/inbox/W-0601/alerts/{UUID(int=1)}")
    assert answer.status_code == 303
    wanted = quote(f"/inbox/W-0601/alerts/{UUID(int=1)}", safe="")
    assert answer.headers["location"] == f"/sign-in?next={wanted}"


async def test_own_inbox_is_where_the_way_in_leads(http: httpx.AsyncClient) -> None:
    """`/inbox` is everybody's address of their own alerts."""
    sign_in(http, "W-0600")
    answer = await http.get("/inbox")
    assert (answer.status_code, answer.headers["location"]) == (303, "/inbox/W-0600")


async def test_files_of_the_pages_need_no_store_and_no_sign_in(http: httpx.AsyncClient) -> None:
    """And nothing else is served from there."""
    style = await http.get("/assets/leadline.css")
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    for path in ("/assets/../web.py", "/assets/%2e%2e/web.py", "/assets/", "/assets/govuk/LICENCE.txt"):
        assert (await http.get(path)).status_code == 404, path


async def test_address_of_nothing_is_answered_with_a_page(http: httpx.AsyncClient) -> None:
    """To somebody who has signed in; what is refused before the store is asked."""
    sign_in(http, "W-0601")
    for path, status in (
        ("/children/elsewhere", 404),
        ("/children/nobody/chronology", 404),
        ("/inbox/W-0601?state=lost", 404),
        ("/inbox/W-0601/alerts/no-id", 404),
        ("/inbox/W-0602", 403),
        ("/board", 403),
        ("/board/lt-ely", 403),
    ):
        answer = await http.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == status, path
        assert "<h1" in answer.text


async def test_form_without_its_token_is_refused(http: httpx.AsyncClient) -> None:
    """Whatever it asks for."""
    sign_in(http, "W-0601")
    for path in (
        "/inbox/W-0601",
        f"/inbox/W-0601/alerts/{'0' * 32}/acknowledge",
        "/preferences",
        "/sign-out",
    ):
        for body in ({}, {"token": "guessed"}):
            assert (await http.post(path, data=body)).status_code == 403, path
