"""Workers that join and leave every few seconds: partitions move in the middle of batches."""

import time
from random import Random

from tests.chaos.joined import has_joined
from tests.chaos.nemeses.patience import until
from tests.chaos.target import SERVICES, Target

ROUNDS = 2
STAY_SECONDS = (0.0, 2.5)
"""From the moment at which it has joined: some leave while the partitions still move."""


def act(target: Target, chance: Random) -> None:
    """Let extra workers of one service join and leave a few times."""
    service = chance.choice(SERVICES[:2])
    for _ in range(ROUNDS):
        child = target.join(service)
        try:
            until(lambda: has_joined(target.joined, child.pid), f"a worker of {service} did not join")  # noqa: B023 - used at once
            time.sleep(chance.uniform(*STAY_SECONDS))
        finally:
            target.leave(child)
