"""How large everything is: in full, and in a run that ends within five minutes.

The full run's time on two cores, in minutes, when one of our workers makes 3,000 events a second, two make
4,500, the batch peers 1,400 to 3,300, and the per-event peers 65 and 150. Each run of the pipeline needs half
a minute beside the measured time: empty topics and store, workers that join, the backlog written, a recount.

    a round of the pipeline     9.6    200,000 events: ours 1.1 and 0.7, aiokafka's 1.5 and 1.0; FastStream's
                                       batches, 100,000, 1.2; per event 0.8 and 0.7; seven times 0.4
    three rounds               28.8
    twelve partitions, once     3.5    100,000 events, four runs
    limit, stages, relay        2.5
    latency                     3.5    150 seconds at three rates; before them 9,600 referrals are made
    cost                        3.5    notify reads 140,000 events, placement 72,000, the others less
    growth                     12.0    1,000,000 events, 100,000 on another store, then both in turns
    catch-up                    1.3    180,000 events, of which 27,000 are handled
    deadlines, inbox            1.5
    all                        57
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Sizes of one benchmark run. Seconds are real ones."""

    name: str
    most_seconds: float
    """What is not measured by then is left out, and the report says so."""
    warm_up_events: int
    """One worker of ours works so many off before anything counts: the broker's JVM, the database's memory
    and the files are cold for whoever is first."""
    rounds: int
    single_rounds: int
    """Rounds in which those who commit once per event take part."""
    rounds_seconds: float
    """No further round begins when the rounds so far have taken longer than this."""
    events: int
    """Backlog of a variant that `events_of` does not name."""
    events_of: Mapping[str, int]
    """Backlog of variants that would take too long for it. What is given is speed, and a variant's speed
    does not depend on the backlog: each of theirs lasts 20 seconds at least in a full run, longer than our
    own, and the store stays so small that it favours them, if anybody."""
    partitions: int
    wide_partitions: int
    """Of the courses that run once, to see what partitions cost; 0 for none."""
    wide_events: int
    part_events: int
    """Backlog of the limit and of the stages that run alone."""
    relay_per_second: int
    relay_seconds: float
    latency_seconds: Mapping[int, float]
    """How long, by referrals a second."""
    cost_referrals: int
    """Accepted referrals of which all topics tell, in the mix of a county's month."""
    county: float
    """The scale of the county whose agencies refer for a month: about 190 messages for 1."""
    growth_events: int
    growth_rounds: int
    """How often a store of that size and one of a tenth take turns."""
    growth_round_events: int
    away_seconds: float
    """How long the worker that catches up was away."""
    open_deadlines: int
    due_deadlines: int
    due_burst: int
    alerts: int


QUICK = Scale(
    name="quick",
    most_seconds=275.0,
    warm_up_events=3_000,
    rounds=2,
    single_rounds=1,
    rounds_seconds=70.0,
    events=10_000,
    events_of={"faust_single": 400, "faststream_single": 200},
    partitions=4,
    wide_partitions=0,
    wide_events=0,
    part_events=8_000,
    relay_per_second=50,
    relay_seconds=4.0,
    latency_seconds={5: 3.0, 50: 5.0, 200: 2.0},
    cost_referrals=1_000,
    county=25.0,
    growth_events=20_000,
    growth_rounds=1,
    growth_round_events=4_000,
    away_seconds=180.0,
    open_deadlines=100_000,
    due_deadlines=1_000,
    due_burst=10_000,
    alerts=100_000,
)
FULL = Scale(
    name="full",
    most_seconds=3 * 3600.0,
    warm_up_events=3_000,
    rounds=3,
    single_rounds=3,
    rounds_seconds=3600.0,
    events=200_000,
    events_of={"faust_single": 6_000, "faststream_single": 3_000, "faststream_batch": 100_000},
    partitions=4,
    wide_partitions=12,
    wide_events=100_000,
    part_events=40_000,
    relay_per_second=50,
    relay_seconds=60.0,
    latency_seconds={5: 60.0, 50: 60.0, 200: 30.0},
    cost_referrals=10_000,
    county=250.0,
    growth_events=1_000_000,
    growth_rounds=7,
    growth_round_events=20_000,
    away_seconds=3600.0,
    open_deadlines=1_000_000,
    due_deadlines=1_000,
    due_burst=100_000,
    alerts=100_000,
)
