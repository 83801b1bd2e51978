"""The ways in which a network between services and an engine can be bad, through a proxy that is one."""

import time
from collections.abc import Sequence
from random import Random

from tests.chaos.proxy import BLACKHOLE, CUT, PASSING, Manner, Proxy, latency, trickle

BAD_SECONDS = (4.0, 6.5)
LATE_SECONDS = (0.02, 0.12)
"""In each direction; a transaction has a handful of round trips, a poll has one."""

NARROW_BYTES = (30_000.0, 150_000.0)
"""A second and direction of each connection: less than what the feed and its consequences are."""


def ways(chance: Random) -> Sequence[Sequence[Manner]]:
    """Return the ways, each a sequence of manners. Which numbers they have is left to chance."""
    return (
        [latency(chance.uniform(*LATE_SECONDS))],
        [trickle(chance.uniform(*NARROW_BYTES))],
        [BLACKHOLE],  # a cable that is pulled and put back: what was sent arrives after all
        [BLACKHOLE, CUT],  # a firewall that has forgotten its connections, and then says so
        [CUT],
        [latency(chance.uniform(*LATE_SECONDS)), CUT, BLACKHOLE],
    )


def disturb(proxy: Proxy, chance: Random) -> None:
    """Let the network be bad in one way for some seconds, then heal it."""
    manners = chance.choice(ways(chance))
    seconds = chance.uniform(*BAD_SECONDS)
    try:
        for manner in manners:
            proxy.behave(manner)
            time.sleep(seconds / len(manners))
    finally:
        proxy.behave(PASSING)
