"""Everything that can go wrong, by name. A nemesis does its harm, heals it and returns."""

from collections.abc import Callable, Mapping
from random import Random

from tests.chaos.nemeses import (
    backends_killed,
    broker_ended,
    broker_paused,
    pool_exhausted,
    postgres_ended,
    process_killed,
    process_stopped,
    rebalance_storm,
    rolling_deploy,
)
from tests.chaos.target import Target

Nemesis = Callable[[Target, Random], None]
"""Blocks until the harm is done and healed; what ended is by then on its way up again. All that it leaves to
chance comes from the argument, so that a seed repeats it."""

ROTATION: Mapping[str, Nemesis] = {
    "process_killed": process_killed.act,
    "rolling_deploy": rolling_deploy.act,
    "rebalance_storm": rebalance_storm.act,
    "broker_restarted": broker_ended.restart,
    "broker_killed": broker_ended.kill,
    "broker_paused": broker_paused.act,
    "postgres_restarted": postgres_ended.restart,
    "postgres_killed": postgres_ended.kill,
    "backends_killed": backends_killed.act,
    "pool_exhausted": pool_exhausted.act,
}
"""What takes turns in an ordinary run."""

NEMESES: Mapping[str, Nemesis] = {**ROTATION, "process_stopped": process_stopped.act}
