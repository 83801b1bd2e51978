"""When the county believes that the system is at rest."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from services.county.settled import SERVICES, settled
from services.county.site import PlayError, Site

NOON = datetime(2026, 9, 7, 12, tzinfo=UTC)


class System:
    """Answers `/status` from a script of looks, the last one for ever; counts them."""

    def __init__(self, *looks: dict[str, dict[str, Any]]) -> None:
        self._looks: Iterator[dict[str, dict[str, Any]]] = iter(looks)
        self._last = looks[-1]
        self.looks = 0

    def site(self) -> Site:
        return Site("http://county.test", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        look = next(self._looks, self._last)
        self.looks += 1
        services = [
            {
                "service": service,
                "now": NOON.isoformat(),
                "at_rest": True,
                "lag": {"referral-events": 0},
                "outbox_pending": 0,
                "deadlines_due": 0,
                "due": 0,
                "parked": 0,
                "events": {"referral.received.v1": 1} if service == "referral" else {},
                **look.get(service, {}),
            }
            for service in SERVICES
        ]
        return httpx.Response(200, json={"services": services})


REST: dict[str, dict[str, Any]] = {}


async def looks_until_settled(system: System) -> int:
    async with system.site() as site:
        await settled(site, NOON)
    return system.looks


async def test_one_answer_at_rest_is_believed() -> None:
    """The site itself has waited for its services one after the other."""
    assert await looks_until_settled(System(REST)) == 1


@pytest.mark.parametrize(
    "busy",
    [
        {"notify": {"at_rest": False, "lag": {"referral-events": 1}}},
        {"notify": {"at_rest": False, "lag": None}},
        {"referral": {"now": "2026-09-07T11:00:00+00:00"}},
    ],
)
async def test_whatever_is_left_anywhere_is_waited_for(busy: dict[str, dict[str, Any]]) -> None:
    """Unread events, a silent broker, a clock that lags."""
    assert await looks_until_settled(System(busy, busy, REST)) == 3


async def test_a_system_that_never_rests_is_given_up_with_what_is_left() -> None:
    """The error names the service and its backlog."""
    async with System({"assessment": {"at_rest": False, "outbox_pending": 3}}).site() as site:
        with pytest.raises(PlayError, match=r"assessment.*3 to publish"):
            await settled(site, NOON, patience_seconds=0)


async def test_a_standing_adds_up_the_services() -> None:
    """Events by name without their version, and parked events of all services."""
    look: dict[str, dict[str, Any]] = {
        "notify": {"events": {"event.parked.v1": 2}, "parked": 2},
        "referral": {"parked": 1},
    }
    async with System(look).site() as site:
        standing = await settled(site, NOON)
    assert standing.parked == 3
    assert standing.events == {"event.parked": 2, "referral.received": 1}
