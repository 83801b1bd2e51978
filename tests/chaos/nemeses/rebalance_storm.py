"""Workers that join and leave every few seconds: partitions move in the middle of batches."""

import time
from random import Random

from tests.chaos.target import SERVICES, Target

ROUNDS = 2
STAY_SECONDS = (3.0, 7.0)
"""A process needs some seconds before it joins: some leave before they have, some in the middle."""


def act(target: Target, chance: Random) -> None:
    """Let extra workers of one service join and leave a few times."""
    service = chance.choice(SERVICES[:2])
    for _ in range(ROUNDS):
        child = target.join(service)
        time.sleep(chance.uniform(*STAY_SECONDS))
        target.leave(child)
