"""A fault at every await: each step of deliver, relay and scanner, each kind of fault, several seeds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from tests.simulation.feed import feed_of
from tests.simulation.nemesis import Doom
from tests.simulation.plan import Injected
from tests.simulation.play import Outcome, Setting, play
from tests.simulation.world import Fault

Kind = Literal["exception", "cancellation", "unknown outcome", "kill"]

WANTED: Mapping[Kind, Sequence[Fault]] = {
    "exception": ("error", "lost"),
    "cancellation": ("cancel",),
    "unknown outcome": ("late", "after", "lost"),
    "kill": ("kill",),
}
"""What each kind is at an operation: the first that it can suffer."""

PARTS = {"deliver": "intake", "relay": "relay", "scanner": "scanner"}
PROCESS = "referral/1"
SEEDS = (1, 2)


@dataclass(frozen=True)
class Case:
    """One fault at one step."""

    part: str
    kind: Kind
    number: int
    seed: int

    def plan(self) -> Injected:
        """Return the plan that injects it."""
        return Injected(
            Random(f"{self.seed}/{self.part}"),
            process=PROCESS,
            part=PARTS[self.part],
            number=self.number,
            wanted=WANTED[self.kind],
        )


def setting_of(case: Case, plan: Injected) -> Setting:
    """Return a small run: one service, one worker, six events, one of them poison, deadlines for each."""
    random = Random(f"{case.seed}/feed")
    return Setting(
        plan=plan,
        doom=Doom(()),
        feed=feed_of(random, count=6, seconds=0.5, poison=0.1),
        feed_seconds=0.5,
        until=0.5,
        services=("referral",),
        batch=4,
        constants={"PART": 2},
        released=case.seed % 2 == 0,
    )


def steps_of(part: str, seed: int) -> list[str]:
    """Return the points that a part passes in a run without a fault."""
    case = Case(part, "exception", 0, seed)
    plan = case.plan()
    outcome = play(seed, setting=setting_of(case, plan))
    if outcome.findings:
        message = f"the undisturbed run is not exact: {outcome.findings}"
        raise AssertionError(message)
    return plan.points


def cases(part: str, seeds: Sequence[int] = SEEDS) -> Iterator[Case]:
    """Yield every case of a part: each of its steps, each kind, each seed."""
    for seed in seeds:
        for number in range(1, len(steps_of(part, seed)) + 1):
            for kind in WANTED:
                yield Case(part, kind, number, seed)


def inject(case: Case) -> tuple[Outcome, str | None]:
    """Play a case; return what came of it, and what was injected: None where the step cannot suffer it."""
    plan = case.plan()
    return play(case.seed, setting=setting_of(case, plan)), plan.injected
