"""Which fault comes when: a function of the seed alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

Storm = Literal["kill", "deploy"]

FIRST_SECONDS = 3.0
PAUSE_SECONDS = (1.5, 4.0)
"""Between the planned moments of two faults; each also waits until the system has recovered from the last."""

STORMS: dict[Storm, tuple[str, tuple[float, float]]] = {
    "kill": ("process_killed", (0.8, 1.5)),
    "deploy": ("process_stopped", (0.4, 0.8)),
}
"""The one nemesis of a storm and its pauses: nobody waits for anybody to recover."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `at` is the earliest moment, in seconds from the start; `seed` decides all else about it."""

    number: int
    at: float
    nemesis: str
    seed: int


def schedule(seed: int, *, seconds: int, nemeses: Sequence[str], storm: Storm | None = None) -> list[Fault]:
    """Return the faults of a run in order: every nemesis once, in a random order, then all again. Pure."""
    chance = Random(f"{seed}/faults")
    pause = PAUSE_SECONDS
    if storm is not None:
        name, pause = STORMS[storm]
        nemeses = [name]
    faults: list[Fault] = []
    turn: list[str] = []
    at = FIRST_SECONDS
    while at < seconds:
        turn = turn or chance.sample(list(nemeses), len(nemeses))
        faults.append(Fault(len(faults), round(at, 3), turn.pop(), chance.getrandbits(32)))
        at += chance.uniform(*pause)
    return faults
