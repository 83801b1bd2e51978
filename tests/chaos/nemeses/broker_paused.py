"""The broker stands still for longer than the consumers' session time-out, then goes on."""

import signal
import time
from random import Random

from tests.chaos.target import Target

PAUSE_SECONDS = (7.0, 9.0)
"""The session time-out is 6 seconds."""


def act(target: Target, chance: Random) -> None:
    """Freeze the broker, then let it go on."""
    target.signal_engine("kafka", signal.SIGSTOP)
    try:
        time.sleep(chance.uniform(*PAUSE_SECONDS))
    finally:
        target.signal_engine("kafka", signal.SIGCONT)
