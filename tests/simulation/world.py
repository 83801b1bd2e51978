"""The world of one run: every operation of a fake passes through `step`, where the plan may disturb it."""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal, NamedTuple, Protocol

from tests.builders import MONDAY
from tests.simulation.virtual import OWNER, VirtualLoop

Fault = Literal["error", "lost", "after", "late", "cancel", "kill"]
"""What may happen to an operation.

`error`: refused, it may be tried again. `lost`: the connection breaks and nothing was done. `after`: done,
then the connection breaks. `late`: the connection breaks now, it is done a little later. `cancel`: the task
is cancelled here. `kill`: the process vanishes here.
"""


PART: ContextVar[str] = ContextVar("PART", default="")
"""Which part of a process runs: intake, relay, scanner or bus watch."""


class Act(NamedTuple):
    """What happens at one step."""

    delay: float = 0.0
    fault: Fault | None = None


class Plan(Protocol):
    """Decides on every step of a run."""

    def at(self, point: str, faults: Sequence[Fault], *, process: str, part: str, moment: float) -> Act:
        """Return what happens at a point; a fault only of those that the operation can suffer."""
        ...


class Calm:
    """Disturbs nothing."""

    def at(self, point: str, faults: Sequence[Fault], *, process: str, part: str, moment: float) -> Act:
        """Let everything happen at once."""
        return Act()


class Session(Protocol):
    """A connection that a process has to something."""

    def drop(self) -> None:
        """Notice that the process has gone."""
        ...


@dataclass(eq=False)
class Process:
    """Something that runs tasks and can vanish. When it comes back under its name, it is another one."""

    name: str
    alive: bool = True
    sessions: list[Session] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    resumed: asyncio.Event | None = None
    """Set while it runs; None when it was never paused."""


@dataclass(eq=False)
class World:
    """Time, chance, and what may go wrong. The fakes ask it before and after what they do."""

    plan: Plan
    random: Random
    traced: bool = False
    trace: list[str] = field(default_factory=list)
    steps: int = 0
    faults: list[str] = field(default_factory=list)
    ahead: timedelta = timedelta()
    """How far the wall clock has been set forward or back."""
    context: Context = field(default_factory=copy_context)

    def now(self) -> datetime:
        """Return what the wall clock shows."""
        return MONDAY + timedelta(seconds=self.moment) + self.ahead

    @property
    def moment(self) -> float:
        """The virtual moment."""
        return asyncio.get_running_loop().time()

    def later(self, seconds: float, action: Callable[..., object], *args: Any) -> None:
        """Do something in a while, whoever has died by then."""
        asyncio.get_running_loop().call_later(seconds, action, *args, context=self.context)

    async def step(self, point: str, faults: Sequence[Fault] = ()) -> Fault | None:
        """Pass a point: wait as long as the plan says; return the fault that the caller must now carry out.

        Cancellation and death happen right here.
        """
        process: Process | None = OWNER.get()
        self.steps += 1
        if process is not None and process.resumed is not None:
            await process.resumed.wait()
        name, part = ("", "") if process is None else (process.name, PART.get())
        if part == "group":
            faults = [fault for fault in faults if fault != "cancel"]
        delay, fault = self.plan.at(point, faults, process=name, part=part, moment=self.moment)
        if fault is not None:
            self.faults.append(f"{fault} at {point}")
        if self.traced:
            self.note(f"{name} {part} {point}{f' ! {fault}' if fault else ''}")
        if delay:
            await asyncio.sleep(delay)
        if fault == "kill" and process is not None:
            self.kill(process)
            await asyncio.get_running_loop().create_future()
        if fault == "cancel":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        return fault

    def kill(self, process: Process) -> None:
        """Let a process vanish; what it was connected to notices a little later."""
        if not process.alive:
            return
        process.alive = False
        process.ended.set()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.forget(process)
        for session in process.sessions:
            self.later(self.random.uniform(0.0, 0.2), session.drop)
        process.sessions = []

    def note(self, line: str) -> None:
        """Write a line into the trace."""
        if self.traced:
            self.trace.append(f"{self.moment:10.6f} {line}")


def connected(world: World, session: Session) -> None:
    """Remember that the running process has a connection."""
    process: Process | None = OWNER.get()
    if process is not None:
        process.sessions.append(session)
