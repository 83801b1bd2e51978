"""The broker ends, orderly or not, and comes back with its data."""

import signal
from random import Random

from tests.chaos.target import Target


def restart(target: Target, _chance: Random) -> None:
    """Stop the broker as an operator would."""
    target.signal_engine("kafka", signal.SIGTERM)


def kill(target: Target, _chance: Random) -> None:
    """Kill the broker in the middle of whatever it does."""
    target.signal_engine("kafka", signal.SIGKILL)
