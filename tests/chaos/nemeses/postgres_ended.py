"""PostgreSQL ends, orderly or not, and recovers."""

import signal
from random import Random

from tests.chaos.target import Target


def restart(target: Target, _chance: Random) -> None:
    """Restart the server the fast way: every connection ends, a checkpoint is written."""
    target.signal_engine("postgres", signal.SIGINT)


def kill(target: Target, _chance: Random) -> None:
    """Kill the postmaster; its next start replays the log."""
    target.signal_engine("postgres", signal.SIGKILL)
