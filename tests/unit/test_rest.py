"""When a service is at rest: what is on its way between the looks at its store and at the bus."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, cast

import pytest

from schemas.topics import TOPICS
from services.cli.catalogue import SERVICES, served
from services.county import settled
from services.kernel.base.settings import Settings
from services.kernel.processing.commands import CommandExecutor
from services.kernel.store.standing import StoreStanding
from services.kernel.web import status as rest
from services.kernel.web.status import Bridge, Stand, look, rested

NOON = datetime(2026, 9, 7, 12, tzinfo=UTC)
IDLE = StoreStanding(pending=0, deadlines_due=0, parked=0, waiting=0, events={"alert.raised.v2": 7})


class OneEvent:
    """A service that reads its own topic, and one event of its own that goes from stage to stage."""

    STAGES = ("yet to come", "in the outbox", "unread on the bus", "handled")

    def __init__(self, *stages: int) -> None:
        self._stages = iter(stages)
        self.service, self.clock = self, self
        self.name = "notify"

    def now(self) -> datetime:
        return NOON

    async def stored(self, _: object) -> Stand:
        stage = next(self._stages)
        events = {"alert.raised.v2": 7 if stage == 0 else 8}
        return Stand("notify", NOON, replace(IDLE, pending=int(stage == 1), events=events), due=0)

    async def lag(self, _: object) -> dict[str, int]:
        return {"notify-events": int(next(self._stages) == 2)}


@pytest.mark.parametrize("stages", [each for each in product(range(4), repeat=3) if sorted(each) == [*each]])
async def test_an_event_on_its_way_is_seen_at_one_of_three_questions(
    stages: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is when store, bus and store are asked: rest is believed only when its way is over.

    Or when it has not begun at the last question: then whatever is to bring it about is left to do.
    """
    event = OneEvent(*stages)
    monkeypatch.setattr(rest, "_stored", event.stored)
    seen = await look(cast("CommandExecutor[Any]", event), cast("Bridge", event), thorough=False)
    assert seen.at_rest == (stages in {(0, 0, 0), (2, 3, 3), (3, 3, 3)})


async def test_services_are_waited_for_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has come to rest is not asked again; the time that is given is for all together."""
    asked = []
    busy = {"referral": 2, "notify": 10**9}

    async def looked(executor: Any, _: Bridge, *, thorough: bool) -> Stand:
        assert not thorough
        asked.append(executor)
        busy[executor] = busy.get(executor, 0) - 1
        return Stand(executor, NOON, IDLE, due=int(busy[executor] >= 0), lag={"any": 0})

    monkeypatch.setattr(rest, "look", looked)
    executors = cast("Any", ["referral", "assessment", "notify", "never asked"])
    stands = await rested(executors, cast("Bridge", None), within_seconds=0.1)
    assert [(stand.service, stand.at_rest) for stand in stands] == [
        ("referral", True),
        ("assessment", True),
        ("notify", False),
    ]
    assert asked[:4] == ["referral", "referral", "referral", "assessment"]


def test_no_service_reads_what_one_behind_it_publishes() -> None:
    """Waiting for one after the other rests on it: events flow one way, and to whoever published them."""
    order = ("partners", *settled.SERVICES)
    backwards = [
        (topic.name, reader)
        for topic in TOPICS
        for reader in topic.readers
        if order.index(reader) < order.index(topic.owner)
    ]
    assert backwards == []


def test_the_site_has_its_services_in_this_order() -> None:
    """The commands serve them as the county expects."""
    settings = Settings(policy=Path("deploy/policies/cambridgeshire.yaml"))
    assert tuple(served(name, settings).service.name for name in SERVICES) == settled.SERVICES
