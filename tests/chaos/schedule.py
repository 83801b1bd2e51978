"""Which fault comes when: a function of the seed alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

Storm = Literal["kill", "deploy"]

PAUSE_SECONDS = (0.1, 0.5)
"""From the moment at which the system has recovered from one fault to the next."""

OVERLAP_SECONDS = (0.1, 1.0)
"""From one fault to the next that comes before the system can have recovered."""

OVERLAPPED = 0.8
"""Of the turns, those that find the system already struck by one of the swift; of these, those by another."""
AT_MOST = 2
"""So many of the swift before one turn."""

SWIFT = ("process_killed", "backends_killed", "postgres_restarted", "clock_jumps")
"""Nemeses whose harm takes a moment. Beside their own turns they strike right before another's: so that a
run has many faults, and some of them come together."""

STORMS: dict[Storm, tuple[str, tuple[float, float]]] = {
    "kill": ("worker_killed", (0.9, 1.5)),
    "deploy": ("worker_stopped", (0.7, 1.3)),
}
"""The one nemesis of a storm and its pauses: nobody waits for anybody to recover."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `seed` decides all about it.

    `pause` is how many seconds it comes after the one before it: after that one is overcome, or was brought
    about when it is `overlapped`. In a storm the pauses are from signal to signal.
    """

    number: int
    pause: float
    nemesis: str
    seed: int
    overlapped: bool = False
    """Whether the next fault comes before the system has recovered from this one."""


def schedule(seed: int, *, nemeses: Sequence[str], storm: Storm | None = None) -> Iterator[Fault]:
    """Yield the faults of a run in order, without end. Pure.

    Every nemesis has one turn of its own, in a random order, before any has another.
    """
    chance = Random(f"{seed}/faults")
    named = _storming(chance, storm) if storm is not None else _taking_turns(chance, nemeses)
    for number, (nemesis, pause, overlapped) in enumerate(named):
        yield Fault(number, round(pause, 3), nemesis, chance.getrandbits(32), overlapped)


def _storming(chance: Random, storm: Storm) -> Iterator[tuple[str, float, bool]]:
    nemesis, pause = STORMS[storm]
    while True:
        yield nemesis, chance.uniform(*pause), False


def _taking_turns(chance: Random, nemeses: Sequence[str]) -> Iterator[tuple[str, float, bool]]:
    if not nemeses:
        raise ValueError("there is no nemesis to take turns")
    while True:
        for nemesis in chance.sample(list(nemeses), len(nemeses)):
            pause = PAUSE_SECONDS
            swift = [name for name in SWIFT if name in nemeses and name != nemesis]
            strikes = 0
            while strikes < min(AT_MOST, len(swift)) and chance.random() < OVERLAPPED:
                strikes += 1
            for name in chance.sample(swift, strikes):
                yield name, chance.uniform(*pause), True
                pause = OVERLAP_SECONDS
            yield nemesis, chance.uniform(*pause), False
