"""The seeded plan of one run: what goes wrong at which step, and how long everything takes."""

from collections.abc import Sequence
from random import Random

from tests.simulation.world import Act, Fault

FAULTS: tuple[Fault, ...] = ("error", "lost", "after", "late", "cancel", "kill")
POINTS = (
    "claim",
    "append",
    "save",
    "commit",
    "commit done",
    "publish",
    "acknowledged",
    "sent",
    "commit offsets",
)
"""Where a run may concentrate its faults."""


class SeededPlan:
    """Draws everything from one generator. Runs differ in what can happen at all, and how often.

    After `until` nothing goes wrong any more, and nothing takes long; nor does it ever for an operator, who
    is no process that would begin again.
    """

    def __init__(self, random: Random, *, until: float) -> None:
        self._random = random
        self._until = until
        self._kinds = random.sample(FAULTS, random.randint(1, len(FAULTS)))
        self._rate = random.choice((0.0, 0.004, 0.015, 0.05))
        self._focus = random.choice((None, None, *POINTS))
        self._left = random.randint(1, 25)
        self._slow = random.choice((0.0, 0.01, 0.06))
        self._pause = random.choice((0.05, 0.4, 2.0))

    @property
    def calm(self) -> bool:
        """Whether operations only take time and never fail."""
        return self._rate == 0.0

    def at(self, point: str, faults: Sequence[Fault], *, process: str, part: str, moment: float) -> Act:
        """Return what happens at a point."""
        random = self._random
        drawn = random.random()
        if moment > self._until or not process:
            return Act(drawn * 0.002 if drawn < 0.5 else 0.0)
        rate = self._rate if self._focus is None else (0.2 if point == self._focus else self._rate / 4)
        if self._left and not self.calm and drawn < rate:
            possible = [fault for fault in self._kinds if fault in faults]
            if possible:
                self._left -= 1
                return Act(random.uniform(0.0, 0.01), random.choice(possible))
        if drawn > 1.0 - self._slow:
            return Act(random.uniform(0.0, self._pause))
        return Act(random.uniform(0.0, 0.004) if drawn > 0.5 else 0.0)


class Injected:
    """One fault at one step of one part of one process; everything else takes a little, seeded time."""

    def __init__(
        self, random: Random, *, process: str, part: str, number: int, wanted: Sequence[Fault]
    ) -> None:
        self._random = random
        self._process = process
        self._part = part
        self._number = number
        self._wanted = wanted
        self.passed = 0
        """Steps of that part so far."""
        self.points: list[str] = []
        self.injected: str | None = None
        """What was done where; None as long as nothing was."""

    def at(self, point: str, faults: Sequence[Fault], *, process: str, part: str, moment: float) -> Act:
        """Return the fault at its step; it is the first of the wanted ones that the operation can suffer."""
        delay = self._random.uniform(0.0, 0.003)
        if process != self._process or part != self._part:
            return Act(delay)
        self.passed += 1
        self.points.append(point)
        if self.passed == self._number:
            for fault in self._wanted:
                if fault in faults:
                    self.injected = f"{fault} at {point}"
                    return Act(delay, fault)
        return Act(delay)
