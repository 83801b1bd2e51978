"""What the site says of how far its services have come, on the real store."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.errors import KafkaConnectionError
from sqlalchemy import text

from services.cli.catalogue import ServiceName, served
from services.kernel.base.clock import HeldClock
from services.kernel.web.site import create_site
from services.kernel.web.status import Bridge
from services.referral.app import build
from tests.builders import MONDAY, referral_made
from tests.flow.conftest import Bench, MakeBench

pytestmark = pytest.mark.connected


@pytest.fixture
async def referral(bench: MakeBench) -> Bench:
    return await bench("referral", build)


class Broker:
    """In the place of the broker's answer: how much each service has not read, or that nobody answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.unread: int | None = 0
        self.asked: list[str] = []

        async def lag(_: Bridge, service: Any) -> dict[str, int]:
            self.asked.append(service.name)
            if self.unread is None:
                raise KafkaConnectionError
            return {"partner-events": self.unread}

        monkeypatch.setattr(Bridge, "lag", lag)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    return Broker(monkeypatch)


async def ask(bench: Bench, tmp_path: Path, *services: ServiceName, query: str = "") -> list[dict[str, Any]]:
    """Return what the site says at the bench's moment."""
    clock = HeldClock(tmp_path / "clock")
    clock.set(bench.clock.now())
    settings = bench.settings.model_copy(update={"clock_file": clock.file})
    site = create_site(settings, [served(name, settings) for name in services or (ServiceName.REFERRAL,)])
    async with (
        site.router.lifespan_context(site),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=site), base_url="http://127.0.0.1") as http,
    ):
        shown: list[dict[str, Any]] = (await http.get(f"/status{query}")).json()["services"]
        return shown


async def at_rest(bench: Bench, tmp_path: Path) -> bool:
    (shown,) = await ask(bench, tmp_path)
    return bool(shown["at_rest"])


async def receive(bench: Bench) -> None:
    """Let the service receive a referral."""
    await bench.deliver(referral_made())


async def published(bench: Bench) -> None:
    """Empty the outbox as the relay does."""
    async with bench.engine.begin() as connection:
        await connection.execute(text("DELETE FROM outbox"))


async def test_a_service_is_at_rest_when_nothing_is_left_to_do(
    referral: Bench, broker: Broker, tmp_path: Path
) -> None:
    """Not while events are unread or unpublished, while a deadline is due, nor while no broker answers."""
    assert await at_rest(referral, tmp_path)
    await receive(referral)
    assert not await at_rest(referral, tmp_path), "events to publish"
    await published(referral)
    assert await at_rest(referral, tmp_path)
    referral.clock.move(MONDAY + timedelta(days=3))
    assert not await at_rest(referral, tmp_path), "a deadline is due"
    await referral.scan()
    await published(referral)
    assert await at_rest(referral, tmp_path)
    for broker.unread in (1, None):
        assert not await at_rest(referral, tmp_path), "unread events, or nobody knows"


async def test_services_are_asked_in_the_order_of_a_childs_journey(
    referral: Bench, broker: Broker, tmp_path: Path
) -> None:
    """One after the other; who asks whether all is at rest hears no more than the first that is not."""
    both = (ServiceName.REFERRAL, ServiceName.ASSESSMENT)
    await receive(referral)
    assert [each["service"] for each in await ask(referral, tmp_path, *both)] == ["referral", "assessment"]
    (busy,) = await ask(referral, tmp_path, *both, query="?at_rest_within=0.1")
    assert (busy["service"], busy["outbox_pending"]) == ("referral", 2)
    assert broker.asked == ["referral", "assessment"], "what is left in the store is enough to know"
    await published(referral)
    (rested,) = await ask(referral, tmp_path, query="?at_rest_within=1")
    assert rested["at_rest"]
