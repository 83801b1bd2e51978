"""The clock jumps an hour ahead and back, or back and ahead again: a time server that was wrong for a while.

Also what a night with two three o'clocks would be to a system that counted in local time.
"""

import time
from datetime import timedelta
from random import Random

from tests.chaos.target import Target

JUMP = timedelta(hours=1)
HELD_SECONDS = (1.2, 2.5)
"""The run moves the clock every half second; services look every fifth of one."""


def act(target: Target, chance: Random) -> None:
    """Jump, stay there for a moment, jump back."""
    jump = chance.choice((JUMP, -JUMP))
    target.clock_offset += jump
    try:
        time.sleep(chance.uniform(*HELD_SECONDS))
    finally:
        target.clock_offset -= jump
