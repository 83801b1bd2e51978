"""The site when things are away: problems that say what to do."""

import asyncio
from pathlib import Path

import httpx
import pytest

from services.cli.catalogue import SERVICES, served
from services.kernel.base.settings import Settings
from services.kernel.web import site
from services.kernel.web.site import create_site

NOWHERE = Settings(
    database="postgresql+asyncpg://nobody@127.0.0.1:1/leadline_{service}",
    kafka="127.0.0.1:1",
    policy=Path("deploy/policies/cambridgeshire.yaml"),
)


@pytest.fixture
def http() -> httpx.AsyncClient:
    app = create_site(NOWHERE, [served(name, NOWHERE) for name in SERVICES])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1")


@pytest.mark.parametrize("path", ["/referrals", "/cases", "/placements", "/alerts", "/referral/status"])
async def test_a_store_that_is_away_is_said_with_what_to_do(http: httpx.AsyncClient, path: str) -> None:
    """503 and a sentence, not a stack of frames."""
    answer = await http.get(path)
    assert answer.status_code == 503
    assert "send the request again" in answer.json()["detail"]


async def test_health_tells_that_a_store_does_not_answer(http: httpx.AsyncClient) -> None:
    """An orchestrator takes the process out of rotation."""
    assert (await http.get("/health")).status_code == 503


async def test_metrics_are_served_whatever_else_is_away(http: httpx.AsyncClient) -> None:
    """Watching must not depend on what is watched."""
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert "leadline_messages_total" in answer.text


async def test_one_waits_for_rest_at_a_time(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd that asks to wait does not keep the stores busy: the others are answered at once."""
    waits, go_on = list[float](), asyncio.Event()

    async def rested(*_: object, within_seconds: float) -> list[object]:
        waits.append(within_seconds)
        if within_seconds:
            await go_on.wait()
        return []

    monkeypatch.setattr(site, "rested", rested)
    first = asyncio.create_task(http.get("/status?at_rest_within=1"))
    while not waits:
        await asyncio.sleep(0)
    assert (await http.get("/status?at_rest_within=1")).json() == {"services": []}
    go_on.set()
    assert (await first).is_success
    assert waits == [1.0, 0.0]
    assert (await http.get("/status?at_rest_within=1.1")).status_code == 422
