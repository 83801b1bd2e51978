"""A system of a run's own, on engines of its own, in a directory that no other run uses."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from deploy.embedded.system import System, running_system
from services.kernel.clock import HeldClock
from tests.chaos.feed import START
from tests.chaos.target import SERVICES

VAR = Path(__file__).parents[2] / "var"
NOT_OURS_TO_BREAK = ("LEADLINE_KAFKA", "LEADLINE_DATABASE")
"""Whoever names an engine does not mean that it should be killed."""


@contextmanager
def own_system(say: Callable[[str], None]) -> Iterator[tuple[System, Path, HeldClock]]:
    """Start everything, empty, at the feed's first moment; stop everything at the end."""
    # A broker that keeps its events in memory would be wiped by every restart: another nemesis.
    environ = {name: value for name, value in os.environ.items() if name not in NOT_OURS_TO_BREAK}
    environ |= {"LEADLINE_BROKER": "kafka"}
    with _free_home() as home:
        clock = HeldClock(home / "clock")
        clock.set(START)
        with running_system(
            home,
            say=say,
            environ=environ,
            services=SERVICES,
            fresh=True,
            free_ports=True,
            cache=VAR / "engines",
            extra_env={
                "LEADLINE_CLOCK_FILE": str(clock.file),
                "LEADLINE_SCAN_SECONDS": "0.2",
                "LEADLINE_LOG_LEVEL": "warning",
            },
        ) as system:
            yield system, home, clock


@contextmanager
def _free_home() -> Iterator[Path]:
    for number in count(1):
        home = VAR / "chaos" / str(number)
        home.mkdir(parents=True, exist_ok=True)
        with (home / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield home
            return
