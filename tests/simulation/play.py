"""Plays one seed: a feed through two services while the plan disturbs them, to rest, and then the recount."""

import asyncio
import gc
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from random import Random
from unittest.mock import patch

import structlog

from services.kernel.base import ending
from services.kernel.base.settings import Settings
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.kafka import consumer as intake
from services.kernel.processing import batches as delivery
from services.kernel.processing import due_scanner as scanner
from services.kernel.processing import loops as looping
from services.kernel.processing import relay
from services.kernel.processing.replay import Replay
from services.kernel.store import dead_letters
from services.kernel.worker import watch as buswatch
from tests.simulation import chain
from tests.simulation.broker import MemoryBroker
from tests.simulation.database import Database
from tests.simulation.driver import MemoryEngine
from tests.simulation.feed import TOPIC, Feed, Said, feed_of
from tests.simulation.nemesis import Doom, Nemesis, doom_of
from tests.simulation.plan import SeededPlan
from tests.simulation.process import Slot
from tests.simulation.recount import MAIN, Recount
from tests.simulation.virtual import Stuck, VirtualLoop
from tests.simulation.world import Plan, World

REST_SECONDS = 90.0
"""Virtual seconds from the last disturbance, within which everything must have come to rest."""

SETTLED_SECONDS = 1.5
"""How long the system goes on after it has come to rest: nothing may happen twice now."""

LOOK_SECONDS = 0.25

Bug = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Outcome:
    """What came of one seed."""

    seed: int
    findings: list[str]
    steps: int
    faults: list[str]
    seconds: float
    """Virtual ones, until rest."""
    trace: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Setting:
    """One run's circumstances."""

    plan: Plan
    doom: Doom
    feed: Feed
    feed_seconds: float
    until: float
    """When the last disturbance may begin."""
    services: tuple[str, ...] = ("referral", "assessment")
    workers: int = 1
    lets_pass: bool = False
    released: bool = False
    batch: int = 500
    constants: Mapping[str, int] = field(default_factory=dict)
    """Sizes of the kernel that this run makes small, so that its few events reach them."""
    relay_seconds: float = 1.0
    patience_seconds: float = 60.0
    """How long a delivery waits for its database before its process gives up."""


def seeded(seed: int) -> Setting:
    """Return the circumstances that a seed stands for."""
    random = Random(f"{seed}/setting")
    feed_seconds, until = random.uniform(1.0, 4.0), 5.0
    plan = SeededPlan(Random(f"{seed}/plan"), until=until)
    doom = doom_of(random, until=until)
    # Nobody looks by himself in these runs: what is committed must wake the relay.
    trusting = plan.calm and random.random() < 0.5
    if trusting:
        doom = Doom(())
    poison = random.choice((0.0, 0.0, 0.05, 0.2))
    return Setting(
        plan=plan,
        doom=doom,
        feed=feed_of(random, count=random.randint(5, 40), seconds=feed_seconds, poison=poison),
        feed_seconds=feed_seconds,
        until=until,
        workers=1 if trusting else random.choice((1, 2, 2)),
        lets_pass=random.random() < 0.3,
        released=random.random() < 0.5,
        batch=random.choice((2, 5, 500)),
        constants={
            "PART": random.choice((2, 3, 125)),
            "LIMIT": random.choice((1, 500)),
            "BATCH": random.choice((3, 1000)),
        },
        relay_seconds=3600.0 if trusting else 1.0,
        patience_seconds=random.choice((0.3, 60.0, 60.0)),
    )


def play(
    seed: int, *, bug: Bug | None = None, traced: bool = False, setting: Setting | None = None
) -> Outcome:
    """Play a seed from nothing to the recount; `setting` takes the place of the seed's own.

    Blocks; uses nothing outside this process. `bug` is held while the seed plays.
    """
    gc.collect(0)
    gc.freeze()
    gc.disable()
    try:
        with ExitStack() as stack:
            if bug is not None:
                stack.enter_context(bug())
            outcome = _Run(seed, setting or seeded(seed), traced=traced).outcome()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what dead processes left behind
            gc.collect()
    finally:
        gc.enable()
        gc.unfreeze()
    return outcome


class _Run:
    """One run."""

    def __init__(self, seed: int, setting: Setting, *, traced: bool) -> None:
        self.seed = seed
        self.setting = setting
        self.loop = VirtualLoop()
        self.world = World(setting.plan, Random(f"{seed}/world"), traced=traced)
        self.databases = {name: Database(self.world) for name in setting.services}
        self.broker = MemoryBroker(self.world)
        self.broker.create(TOPIC, *(f"{name}-events" for name in setting.services))
        self.sent: dict[Said, None] = {}
        """What partners have sent so far, in order."""
        self.rested = 0.0

    def outcome(self) -> Outcome:
        """Run it."""
        with _surroundings(self.loop, self.setting):
            try:
                findings = self.loop.run_until_complete(self._play())
            except Stuck:
                findings = ["stuck: nothing is scheduled any more"]
            finally:
                self.loop.bury()
        world = self.world
        return Outcome(self.seed, findings, world.steps, world.faults, self.rested, world.trace)

    async def _play(self) -> list[str]:
        slots = [
            self._slot(name, number) for name in self.databases for number in range(self.setting.workers)
        ]
        running = [asyncio.create_task(slot.keep_running()) for slot in slots]
        nemesis = Nemesis(
            self.world,
            Random(f"{self.seed}/nemesis"),
            slots,
            list(self.databases.values()),
            self.broker,
            self._resend,
        )
        await asyncio.gather(self._send(), nemesis.act(self.setting.doom))
        await asyncio.sleep(max(0.0, self.setting.until - self.world.moment))
        findings = await self._rest()
        if not findings and self.setting.released:
            await self._release()
            findings = await self._rest()
        self.rested = self.world.moment
        await asyncio.sleep(SETTLED_SECONDS)
        for task in running:
            task.cancel()
        return findings + self._recount().findings()

    def _slot(self, name: str, number: int) -> Slot:
        setting = self.setting
        service = chain.build(name, lets_pass=setting.lets_pass and name == "referral")
        settings = _settings(setting.batch, setting.relay_seconds)
        return Slot(
            self.world,
            f"{name}/{number + 1}",
            service,
            self.databases[name],
            self.broker,
            settings,
            setting.patience_seconds,
        )

    async def _send(self) -> None:
        """Let partners say what they say; while the broker is away they wait."""
        for moment, said in self.setting.feed.sendings():
            await asyncio.sleep(max(0.0, moment - self.world.moment))
            while self.broker.down:
                await asyncio.sleep(0.05)
            self.broker.publish(TOPIC, *said.encode())
            self.sent[said] = None

    def _resend(self) -> None:
        for said in self.sent:
            self.broker.publish(TOPIC, *said.encode())

    async def _rest(self) -> list[str]:
        """Wait until there is nothing left to do; say what is when that takes too long."""
        give_up = self.world.moment + REST_SECONDS
        while left := self._left():
            if self.world.moment > give_up:
                return [f"not at rest after {REST_SECONDS:.0f} s: {left}"]
            await asyncio.sleep(LOOK_SECONDS)
        return []

    def _left(self) -> str:
        """Return what is still to be done; empty at rest."""
        arrived = len(self.setting.feed.said)
        for name, database in self.databases.items():
            tables = database.tables
            if len(tables["inbox"]) < arrived:
                return f"{name} has not had {arrived - len(tables['inbox'])} events"
            if tables["outbox"]:
                return f"{name} has not published {len(tables['outbox'])} events"
            if any(row["next_at"] is not None for row in tables["deadlines"].values()):
                return f"{name} has deadlines that are not raised"
            on_the_bus = {
                dict(record.headers)["ce_id"]
                for log in self.broker.topics[f"{name}-events"]
                for record in log
            }
            if len(on_the_bus) < len(tables["journal"]):
                return f"the bus lacks {len(tables['journal']) - len(on_the_bus)} events of {name}"
            arrived = sum(1 for row in tables["journal"].values() if row["type"] == MAIN[name])
        return ""

    async def _release(self) -> None:
        """Let an operator give up everything that is parked, one service after the other."""
        for name, database in self.databases.items():
            service = chain.build(name, lets_pass=False)
            engine = MemoryEngine(database)
            replay = Replay(service, engine, self.world, calendar=WorkingCalendar())
            while True:
                async with engine.begin() as connection:
                    parked = await dead_letters.list_letters(connection, states=["parked"])
                if not parked:
                    break
                await replay.discard(parked[0].dead_letter_id, by="simulation")
            await self._rest()

    def _recount(self) -> Recount:
        setting = self.setting
        return Recount(
            tuple(self.sent),
            self.databases,
            self.broker,
            lets_pass=setting.lets_pass,
            released=setting.released,
        )


class _VirtualTime:
    """Stands for the module `time` in the kernel's modules that measure how long something takes."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.monotonic = loop.time


@contextmanager
def _surroundings(loop: VirtualLoop, setting: Setting) -> Iterator[None]:
    """Give the kernel virtual time and small sizes, and keep its logs quiet."""
    time = _VirtualTime(loop)
    sizes = {"PART": delivery, "LIMIT": scanner, "BATCH": relay}
    with ExitStack() as stack:
        for module in (delivery, intake):
            stack.enter_context(patch.object(module, "time", time))
        for name, size in setting.constants.items():
            stack.enter_context(patch.object(sizes[name], name, size))
        for module in (delivery, intake, relay, buswatch, looping, ending):
            stack.enter_context(patch.object(module, "log", _QUIET))
        logging.disable(logging.CRITICAL)
        stack.callback(logging.disable, logging.NOTSET)
        yield


_QUIET = structlog.wrap_logger(
    None, wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
).bind()


@cache
def _settings(batch: int, relay_seconds: float) -> Settings:
    return Settings(
        batch=batch,
        relay_seconds=relay_seconds,
        scan_seconds=0.5,
        kafka_session_timeout_seconds=2.0,
    )
