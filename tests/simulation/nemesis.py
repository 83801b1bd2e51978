"""What goes wrong with whole processes and engines: killed, paused, gone, emptied, moved in time."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from tests.simulation.broker import MemoryBroker
from tests.simulation.database import Database
from tests.simulation.process import Slot
from tests.simulation.world import World

KINDS = (
    "kill",
    "terminate",
    "pause",
    "database down",
    "sessions lost",
    "broker down",
    "expel",
    "clock",
    "wipe",
)
MOST = 5


@dataclass(frozen=True)
class Doom:
    """What is going to happen in one run."""

    events: Sequence[tuple[float, str]]


def doom_of(random: Random, *, until: float) -> Doom:
    """Return what happens, and when. Some runs have only a few kinds of it, so that they meet often."""
    kinds = random.sample(KINDS, random.randint(1, 4))
    count = random.randint(0, MOST)
    return Doom(sorted((random.uniform(0.2, until), random.choice(kinds)) for _ in range(count)))


@dataclass(eq=False)
class Nemesis:
    """Carries it out. Every method returns when the damage is mended."""

    world: World
    random: Random
    slots: Sequence[Slot]
    databases: Sequence[Database]
    broker: MemoryBroker
    resend: Callable[[], None]
    """Partners say again what they have said: the broker has lost it."""

    async def act(self, doom: Doom) -> None:
        """Do all of it, each at its moment; return when everything is mended."""
        mending = []
        for moment, kind in doom.events:
            await asyncio.sleep(max(0.0, moment - self.world.moment))
            self.world.faults.append(kind)
            self.world.note(f"nemesis: {kind}")
            method: Callable[[], Coroutine[Any, Any, None]] = getattr(self, kind.replace(" ", "_"))
            mending.append(asyncio.create_task(method()))
        for task in mending:
            await task

    async def kill(self) -> None:
        """SIGKILL."""
        process = self.random.choice(self.slots).process
        if process is not None:
            self.world.kill(process)

    async def terminate(self) -> None:
        """SIGTERM."""
        self.random.choice(self.slots).terminate()

    async def pause(self) -> None:
        """SIGSTOP, perhaps for longer than the group waits, and SIGCONT."""
        process = self.random.choice(self.slots).process
        if process is not None and process.alive:
            process.resumed = resumed = asyncio.Event()
            await asyncio.sleep(self.random.uniform(0.1, 4.0))
            resumed.set()

    async def database_down(self) -> None:
        """A restart: every connection breaks, and for a while nobody answers."""
        database = self.random.choice(self.databases)
        database.stop()
        await asyncio.sleep(self.random.uniform(0.05, 2.0))
        database.down = False

    async def sessions_lost(self) -> None:
        """Every connection to one database breaks; it answers new ones at once."""
        database = self.random.choice(self.databases)
        database.stop()
        database.down = False

    async def broker_down(self) -> None:
        """For a while nobody answers; nothing is lost."""
        self.broker.stop()
        await asyncio.sleep(self.random.uniform(0.1, 3.0))
        self.broker.down = False

    async def expel(self) -> None:
        """The group takes a member for dead that is not: for a while two read the same."""
        groups = [group for group in self.broker.groups.values() if group.members]
        if groups:
            group = self.random.choice(groups)
            self.broker.expel(group, self.random.choice(group.members))

    async def clock(self) -> None:
        """The wall clock is set forward or back."""
        self.world.ahead += timedelta(seconds=self.random.uniform(-2.0, 4.0))

    async def wipe(self) -> None:
        """The broker loses its disk and comes back empty, as another cluster."""
        self.broker.stop()
        await asyncio.sleep(self.random.uniform(0.1, 2.0))
        self.broker.wipe()
        self.resend()
        self.broker.down = False
