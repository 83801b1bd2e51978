"""The site when things are away: problems that say what to do."""

from pathlib import Path

import httpx
import pytest

from services.cli.catalogue import SERVICES, served
from services.kernel.base.settings import Settings
from services.kernel.web.site import create_site

NOWHERE = Settings(
    database="postgresql+asyncpg://nobody@127.0.0.1:1/leadline_{service}",
    kafka="127.0.0.1:1",
    policy=Path("deploy/policies/cambridgeshire.yaml"),
)


@pytest.fixture
def http() -> httpx.AsyncClient:
    site = create_site(NOWHERE, [served(name, NOWHERE) for name in SERVICES])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=site), base_url="http://leadline")


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
