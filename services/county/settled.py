"""Whether the system has come to rest: all that is to happen at this moment has happened."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from schemas.topics import TOPICS
from services.county.site import PlayError, Site

SERVICES = tuple(topic.owner for topic in TOPICS if topic.owner != "partners")
"""From upstream to downstream."""

PATIENCE_SECONDS = 180.0
_ONE_WAIT_SECONDS, _PAUSE_SECONDS = 1.0, 0.01


@dataclass(frozen=True)
class Status:
    """How far one service has come."""

    service: str
    now: datetime
    at_rest: bool
    """Nothing to publish, nothing due, nothing unread."""
    parked: int
    events: Mapping[str, int] = field(default_factory=dict)
    """Events in its journal by name, without the version."""
    words: str = ""

    @classmethod
    def of(cls, shown: Mapping[str, Any]) -> Self:
        """Return the status of one service that `GET /status` shows."""
        lag: Mapping[str, int] | None = shown["lag"]
        unread = "unread events unknown" if lag is None else f"{sum(lag.values())} unread"
        events: Counter[str] = Counter()
        for wire_type, count in shown["events"].items():
            events[wire_type.rpartition(".v")[0]] += count
        pending, due = shown["outbox_pending"], shown["deadlines_due"] + shown["due"]
        return cls(
            service=shown["service"],
            now=datetime.fromisoformat(shown["now"]),
            at_rest=shown["at_rest"],
            parked=shown["parked"],
            events=dict(events),
            words=f"{shown['service']} at {shown['now']}: {pending} to publish, {due} due, {unread}",
        )


@dataclass(frozen=True)
class SystemStanding:
    """How far all services have come."""

    services: tuple[Status, ...]

    @property
    def parked(self) -> int:
        """Return how many events were set aside."""
        return sum(status.parked for status in self.services)

    @property
    def events(self) -> Counter[str]:
        """Return the published events of all services by name."""
        return sum((Counter(status.events) for status in self.services), Counter())


async def settled(
    site: Site, moment: datetime, *, patience_seconds: float = PATIENCE_SECONDS
) -> SystemStanding:
    """Wait until the system is at rest at a moment of its clock, and return how far it has come.

    The site waits for its services in the order of SERVICES: no service reads what one behind it publishes,
    so what has come to rest stays at rest while the others are waited for.
    Raises PlayError, with what is left, when the patience is over.
    """
    loop = asyncio.get_running_loop()
    give_up = loop.time() + patience_seconds
    while True:
        within = max(0.0, min(_ONE_WAIT_SECONDS, give_up - loop.time()))
        shown = await site.get("/status", at_rest_within=str(within))
        seen = tuple(Status.of(each) for each in shown["services"])
        busy = next((each for each in seen if not each.at_rest or each.now != moment), None)
        if busy is None:
            if tuple(each.service for each in seen) != SERVICES:
                raise PlayError(f"the county needs a site that serves {', '.join(SERVICES)}, in this order")
            return SystemStanding(seen)
        if loop.time() >= give_up:
            raise PlayError(
                f"the system has not come to rest in {patience_seconds:.0f} seconds: {busy.words}"
            )
        await asyncio.sleep(_PAUSE_SECONDS)
