"""Everything that can go wrong, by name. A nemesis does its harm, heals it and returns."""

from collections.abc import Callable, Mapping
from random import Random

from tests.chaos.nemeses import (
    backends_killed,
    broker_ended,
    broker_network,
    broker_paused,
    broker_wiped,
    clock_jumps,
    disk_full,
    killed_at_point,
    partner_echo,
    poison,
    pool_exhausted,
    postgres_ended,
    postgres_network,
    postgres_paused,
    process_killed,
    process_stopped,
    rebalance_storm,
    rolling_deploy,
)
from tests.chaos.target import Target

Nemesis = Callable[[Target, Random], None]
"""Blocks until the harm is done and healed; what ended is by then on its way up again. All that it leaves to
chance comes from the argument, so that a seed repeats it. Raises when the harm could not be done."""

ROTATION: Mapping[str, Nemesis] = {
    "process_killed": process_killed.act,
    "killed_at_point": killed_at_point.act,
    "rolling_deploy": rolling_deploy.act,
    "rebalance_storm": rebalance_storm.act,
    "broker_restarted": broker_ended.restart,
    "broker_killed": broker_ended.kill,
    "broker_paused": broker_paused.act,
    "broker_network": broker_network.act,
    "broker_wiped": broker_wiped.act,
    "postgres_restarted": postgres_ended.restart,
    "postgres_killed": postgres_ended.kill,
    "postgres_paused": postgres_paused.act,
    "postgres_network": postgres_network.act,
    "backends_killed": backends_killed.act,
    "pool_exhausted": pool_exhausted.act,
    "disk_full": disk_full.act,
    "clock_jumps": clock_jumps.act,
    "partner_echo": partner_echo.act,
    "poison": poison.act,
}
"""What takes turns in an ordinary run."""

NEMESES: Mapping[str, Nemesis] = {**ROTATION, "process_stopped": process_stopped.act}
