"""The notifier, again and again, each life killed by SIGKILL at a place of its own.

A program: it reads its settings from the environment and its orders as JSON from standard input, imports
once and forks once per life, so that a hundred deaths cost seconds. A life receives every event again, as
after a crash before the offsets were committed, and sends what is queued. It dies at the n-th step between
claim and record, or after some milliseconds wherever it is. The last life is not killed. What each died of
is printed as JSON.
"""

import asyncio
import json
import os
import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from schemas.events import Event
from schemas.events.codes import Channel
from services.kernel.base.clock import SystemClock
from services.kernel.base.settings import Settings
from services.kernel.postgres.connection import Connection, Engine
from services.notify.app import build
from services.notify.delivery.channels.carrier import Carrier, Outcome
from services.notify.delivery.channels.configured import Carriers
from services.notify.delivery.dispatcher import Dispatcher
from services.notify.delivery.store.queue import Message
from services.notify.delivery.store.subscriptions import Endpoint
from tests.connected.notify_rig import LEASE, REAL, case_overdue, received
from tests.flow.conftest import Bench, MovableClock

MOST_STEPS = 30
LONGEST_LIFE_SECONDS = 0.25
POLL = 10
"""Events of one delivery."""


@dataclass
class Death:
    """Comes at the n-th step; never when there are none to go."""

    steps: int
    told: int
    """Where to write which step it was: a pipe to the parent."""

    def step(self, name: str) -> None:
        """Pass a step, or die there."""
        self.steps -= 1
        if self.steps == 0:
            self.now(name)

    def now(self, name: str) -> None:
        """Die: nothing is cleaned up, nothing is flushed."""
        os.write(self.told, name.encode())
        os.kill(os.getpid(), signal.SIGKILL)


class MortalEngine(Engine):
    """Connections with steps around every commit."""

    def __init__(self, address: str, death: Death) -> None:
        super().__init__(address, size=5, application="leadline-notify-doomed")
        self._death = death

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Connection]:
        async with super().begin() as connection:
            yield connection
            self._death.step("before the commit")
        self._death.step("after the commit")

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        async with super().connect() as connection:
            yield connection
        self._death.step("after the claim")


class MortalCarrier:
    """A carrier with steps before and after each message."""

    def __init__(self, carrier: Carrier, death: Death) -> None:
        self._carrier = carrier
        self._death = death
        self.provider = carrier.provider
        self.at_once = carrier.at_once
        self.side_by_side = carrier.side_by_side
        self.timeout_seconds = carrier.timeout_seconds
        self.attempts_allowed = carrier.attempts_allowed

    async def send(self, message: Message) -> Outcome:
        self._death.step("before sending")
        outcome = await self._carrier.send(message)
        self._death.step("after sending")
        return outcome

    async def rest(self) -> None:
        await self._carrier.rest()


class MortalCarriers(Carriers):
    """Carriers of a life."""

    def __init__(self, settings: Settings, death: Death) -> None:
        super().__init__(settings, real=SystemClock())
        self._death = death

    def direct(self, channel: Channel) -> Carrier:
        return MortalCarrier(super().direct(channel), self._death)

    def subscribed(self, endpoint: Endpoint) -> Carrier:
        return MortalCarrier(super().subscribed(endpoint), self._death)


def events(referrals: int, cases: int) -> list[Event]:
    """Return what every life is told: the same each time."""
    told: list[Event] = [received(number) for number in range(1, referrals + 1)]
    for number in range(1, cases + 1):
        told += case_overdue(number)
    return told


async def live(settings: Settings, number: int, told: list[Event], death: Death) -> int:
    """Live one life; return how many messages were taken.

    Real time stands a lease later in each: what the last life had claimed is free again.
    """
    engine = MortalEngine(settings.database_of("notify"), death)
    bench = Bench(build(settings), engine, MovableClock(), settings)
    real = MovableClock(REAL + number * (LEASE + timedelta(seconds=1)))
    sending = Dispatcher(settings, engine, bench.clock, real=real, carriers=MortalCarriers(settings, death))

    async def hear() -> None:
        for first in range(0, len(told), POLL):
            await bench.deliver(*told[first : first + POLL])

    _, taken = await asyncio.gather(hear(), sending.send_due())
    await engine.dispose()
    return taken


async def finish(settings: Settings, number: int, told: list[Event]) -> None:
    """Live until nothing is left to do."""
    quiet = 0
    while quiet < 2:
        taken = await live(settings, number, told, Death(0, 0))
        number += 30  # pauses of attempts that failed pass, too
        quiet = 0 if taken else quiet + 1


def main() -> None:
    """Die as often as ordered, then live."""
    orders: dict[str, Any] = json.load(sys.stdin)
    chance = random.Random(orders["seed"])
    settings, told = Settings(), events(orders["referrals"], orders["cases"])
    died: Counter[str] = Counter()
    number = 0
    while died.total() < orders["deaths"] and number < 3 * orders["deaths"]:
        number += 1
        steps = chance.randint(1, MOST_STEPS) if chance.random() < 0.7 else 0
        seconds = chance.uniform(0.0, LONGEST_LIFE_SECONDS)
        told_by, tells = os.pipe()
        child = os.fork()
        if child == 0:
            death = Death(steps, tells)
            if not steps:
                threading.Timer(seconds, death.now, ["anywhere"]).start()
            asyncio.run(live(settings, number, told, death))
            os._exit(0)
        os.close(tells)
        _, status = os.waitpid(child, 0)
        name = os.read(told_by, 100).decode()
        os.close(told_by)
        if os.WIFSIGNALED(status):
            died[name] += 1
        elif status:
            sys.exit(f"life {number} ended by itself with status {status}")
    asyncio.run(finish(settings, number + 1, told))
    print(json.dumps({"lives": number, "died": died}))  # noqa: T201 - a program's answer


if __name__ == "__main__":
    main()
