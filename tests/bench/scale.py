"""How large everything is: in full, and in a run that ends within five minutes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Sizes of one benchmark run. Seconds are real ones."""

    name: str
    rounds: int
    events: int
    """Backlog of those who work in batches."""
    single_events: int
    """Backlog of those who commit once per event: their speed does not depend on it."""
    partitions: tuple[int, ...]


QUICK = Scale(name="quick", rounds=2, events=20_000, single_events=2_000, partitions=(4,))
FULL = Scale(name="full", rounds=5, events=200_000, single_events=20_000, partitions=(4, 12))
