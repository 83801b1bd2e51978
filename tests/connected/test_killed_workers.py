"""A worker that is killed again and again, at any moment, changes no figure of what happened."""

import contextlib
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deploy.embedded.system import System, running_system
from services.cli.catalogue import SERVICES
from services.cli.demo import START, run_demo
from services.kernel.clock import HeldClock
from services.kernel.settings import Settings

pytestmark = [pytest.mark.connected, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
DAYS = 4
KILLS = 3
BETWEEN_SECONDS = (1.0, 3.0)
"""How long a process lives before it is killed: sometimes while it starts, mostly while it works."""

Nemesis = Callable[[System, threading.Event], int]


def nobody(_system: System, over: threading.Event) -> int:
    """Kill nothing."""
    over.wait()
    return 0


def killer_of(name: str) -> Nemesis:
    """Kill one process with SIGKILL at random moments, wherever it stands."""

    def kill(system: System, over: threading.Event) -> int:
        chance, kills = random.Random(name), 0
        while kills < KILLS and not over.wait(chance.uniform(*BETWEEN_SECONDS)):
            if system.supervisor.is_running(name):
                system.supervisor.kill(name)
                kills += 1
        over.wait()
        return kills

    return kill


@contextlib.contextmanager
def unleashed(nemesis: Nemesis, system: System) -> Iterator[list[int]]:
    """Let a nemesis act in a thread; the list holds its number of kills afterwards."""
    over, kills = threading.Event(), list[int]()
    thread = threading.Thread(target=lambda: kills.append(nemesis(system, over)))
    thread.start()
    try:
        yield kills
    finally:
        over.set()
        thread.join()


def play(nemesis: Nemesis) -> tuple[dict[str, Any], int]:
    """Play a few days of a small county on a system of its own; return the figures and the kills."""
    var = ROOT / "var" / "test" / "killed"
    clock = HeldClock(var / "clock")
    clock.set(START)
    with running_system(
        var,
        say=lambda _: None,
        environ=os.environ,
        services=SERVICES,
        fresh=True,
        free_ports=True,
        cache=ROOT / "var" / "engines",
        extra_env={"LEADLINE_CLOCK_FILE": str(clock.file), "LEADLINE_SCAN_SECONDS": "0.05"},
    ) as system:
        assert system.site is not None
        with unleashed(nemesis, system) as kills, Path(os.devnull).open("w") as nowhere:
            summary = run_demo(
                system.site,
                system.engines.kafka,
                clock.file,
                policy=ROOT / Settings().policy,
                console=Console(file=nowhere),
                days=DAYS,
                scale=0.5,
            )
    assert summary.differences == ()
    return summary.figures.as_data(), kills[0]


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Any]:
    """The figures of a play in which nothing is killed."""
    figures, _ = play(nobody)
    assert figures["referrals"] > 5
    assert figures["alerts"] > 20
    return figures


@pytest.mark.parametrize("name", [*(f"worker-{service}" for service in SERVICES), "web"])
def test_killing_a_process_again_and_again_changes_no_figure(name: str, undisturbed: dict[str, Any]) -> None:
    """Not one referral, case, placement, deadline or alert more or less, and nothing parked."""
    figures, kills = play(killer_of(name))
    assert kills == KILLS
    assert figures == undisturbed
