"""A worker that is killed again and again, at any moment, changes no figure of what happened."""

import contextlib
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deploy.embedded.system import System, running_system
from services.cli.catalogue import SERVICES
from services.cli.demo import START, run_demo
from services.county.pace import held_time
from services.kernel.base.clock import HeldClock
from services.kernel.base.settings import Settings

pytestmark = [pytest.mark.connected, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
DAYS = 4
ROUNDS = 2
BETWEEN_SECONDS = (0.5, 2.5)
"""Real seconds between two kills."""

VICTIMS = (*(f"worker-{service}" for service in SERVICES), "web")

Nemesis = Callable[[System, threading.Event], Counter[str]]


def nobody(_system: System, over: threading.Event) -> Counter[str]:
    """Kill nothing."""
    over.wait()
    return Counter()


def everybody(system: System, over: threading.Event) -> Counter[str]:
    """Kill each process with SIGKILL, twice, in a random order at random moments, wherever it stands."""
    chance, kills = random.Random(7), Counter[str]()
    for _ in range(ROUNDS):
        for name in chance.sample(VICTIMS, len(VICTIMS)):
            if over.wait(chance.uniform(*BETWEEN_SECONDS)):
                return kills
            if system.supervisor.is_running(name):
                system.supervisor.kill(name)
                kills[name] += 1
    over.wait()
    return kills


@contextlib.contextmanager
def unleashed(nemesis: Nemesis, system: System) -> Iterator[list[Counter[str]]]:
    """Let a nemesis act in a thread; the list holds its kills afterwards."""
    over, kills = threading.Event(), list[Counter[str]]()
    thread = threading.Thread(target=lambda: kills.append(nemesis(system, over)))
    thread.start()
    try:
        yield kills
    finally:
        over.set()
        thread.join()


def play(nemesis: Nemesis) -> tuple[dict[str, Any], Counter[str]]:
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
        extra_env=held_time(clock),
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


def test_killing_every_process_again_and_again_changes_no_figure() -> None:
    """Not one referral, case, placement, deadline or alert more or less, and nothing parked."""
    undisturbed, _ = play(nobody)
    assert undisturbed["referrals"] > 5
    assert undisturbed["alerts"] > 20
    figures, kills = play(everybody)
    assert set(kills) == set(VICTIMS), "the play was over before everybody was killed"
    assert figures == undisturbed
