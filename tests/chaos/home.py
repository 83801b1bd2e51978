"""A system of a run's own, on engines of its own, in a directory that no other run uses."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from deploy.embedded.system import System, running_system
from services.kernel.base.clock import HeldClock
from tests.chaos import at_work, inside, joined, points
from tests.chaos.feed import START
from tests.chaos.target import JOINED, POINTS, SERVICES, WORK
from tests.homes import free_home

VAR = Path(__file__).parents[2] / "var"
NOT_OURS_TO_BREAK = ("LEADLINE_KAFKA", "LEADLINE_DATABASE")
"""Whoever names an engine does not mean that it should be killed."""


@contextmanager
def own_system(
    say: Callable[[str], None],
    *,
    start: datetime = START,
    put_inside: Sequence[str] = (),
    more_env: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[tuple[System, Path, HeldClock]]:
    """Start everything, empty, at the feed's first moment `start`; stop everything at the end.

    `put_inside` names what each service process is changed by (inside.py); `more_env` goes to all of them.
    """
    # A broker that keeps its events in memory would be wiped by every restart: another nemesis.
    environ = {name: value for name, value in os.environ.items() if name not in NOT_OURS_TO_BREAK}
    environ |= {"LEADLINE_BROKER": "kafka"}
    with free_home(VAR / "chaos") as home:
        for folder in (WORK, POINTS, JOINED):
            shutil.rmtree(home / folder, ignore_errors=True)
        clock = HeldClock(home / "clock")
        clock.set(start)
        with running_system(
            home,
            say=say,
            environ=environ,
            services=SERVICES,
            fresh=True,
            free_ports=True,
            cache=VAR / "engines",
            leadline=inside.COMMAND,
            extra_env={
                "LEADLINE_CLOCK_FILE": str(clock.file),
                "LEADLINE_SCAN_SECONDS": "0.2",
                "LEADLINE_LOG_LEVEL": "warning",
                inside.VARIABLE: ",".join(put_inside),
                at_work.VARIABLE: str(home / WORK),
                points.VARIABLE: str(home / POINTS),
                joined.VARIABLE: str(home / JOINED),
                **more_env,
            },
        ) as system:
            yield system, home, clock
