"""The simulation: fifty seeds with every test run, those that once failed, and the same seed the same way."""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from tests.simulation.play import Outcome, play
from tests.simulation.seeds import REGRESSIONS

ROOT = Path(__file__).parents[2]
SOME = range(50)
SHOWN = "import sys; from tests.simulation.test_seeds import shown; sys.stdout.write(shown(int(sys.argv[1])))"


def shown(seed: int) -> str:
    """Return the digest of all that happens in a seed."""
    return sha256("\n".join(play(seed, traced=True).trace).encode()).hexdigest()


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """What comes of fifty seeds."""
    return [play(seed) for seed in SOME]


def test_fifty_seeds_are_exact(outcomes: list[Outcome]) -> None:
    """Nothing lost, nothing twice, in order, every deadline once, whatever the seed lets happen."""
    assert {outcome.seed: outcome.findings for outcome in outcomes if outcome.findings} == {}


def test_the_seeds_disturb_what_they_play(outcomes: list[Outcome]) -> None:
    """Among fifty there are faults of every kind; a run without any would prove nothing."""
    kinds = {fault.partition(" at ")[0] for outcome in outcomes for fault in outcome.faults}
    assert {"error", "lost", "after", "late", "cancel", "kill", "wipe", "pause", "clock"} <= kinds


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_a_seed_that_once_showed_a_mistake_is_exact(seed: int) -> None:
    """What it was stands beside it in `seeds.py`."""
    assert play(seed).findings == []


@pytest.mark.parametrize("seed", [3, 8])
def test_a_seed_plays_the_same_way_in_every_process(seed: int) -> None:
    """Step for step, whatever the process's hash seed is and whatever it has played before."""
    here = shown(seed)
    assert shown(seed) == here
    elsewhere = subprocess.run(
        [sys.executable, "-c", SHOWN, str(seed)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert elsewhere.stdout == here
