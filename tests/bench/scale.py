"""How large everything is: in full, and in a run that ends within five minutes."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Sizes of one benchmark run. Seconds are real ones."""

    name: str
    most_seconds: float
    """What is not measured by then is left out, and the report says so."""
    rounds: int
    rounds_seconds: float
    """No further round begins when the rounds so far have taken longer than this."""
    events: int
    """Backlog of those who work in batches."""
    single_events: int
    """Backlog of those who commit once per event: their speed does not depend on it."""
    part_events: int
    """Backlog of the limit and of the stages that run alone."""
    mixed_referrals: int
    """Accepted referrals of the backlog in which other events lie between them."""
    partitions: tuple[int, ...]
    relay_per_second: int
    relay_seconds: float
    latency_seconds: Mapping[int, float]
    """How long, by referrals a second."""
    growth_events: int
    open_deadlines: int
    due_deadlines: int
    due_burst: int
    alerts: int


QUICK = Scale(
    name="quick",
    most_seconds=275.0,
    rounds=2,
    rounds_seconds=50.0,
    events=20_000,
    single_events=600,
    part_events=10_000,
    mixed_referrals=3_000,
    partitions=(4,),
    relay_per_second=50,
    relay_seconds=4.0,
    latency_seconds={5: 4.0, 50: 6.0, 200: 2.0},
    growth_events=20_000,
    open_deadlines=100_000,
    due_deadlines=1_000,
    due_burst=10_000,
    alerts=100_000,
)
FULL = Scale(
    name="full",
    most_seconds=6 * 3600.0,
    rounds=5,
    rounds_seconds=3600.0,
    events=200_000,
    single_events=20_000,
    part_events=100_000,
    mixed_referrals=40_000,
    partitions=(4, 12),
    relay_per_second=50,
    relay_seconds=60.0,
    latency_seconds={5: 60.0, 50: 60.0, 200: 30.0},
    growth_events=1_000_000,
    open_deadlines=1_000_000,
    due_deadlines=1_000,
    due_burst=100_000,
    alerts=100_000,
)
