"""Plays seed after seed until one shows a planted mistake."""

from typing import NamedTuple

from tests.simulation.bugs import Bug
from tests.simulation.play import play

SEEDS = 500
"""Within so many seeds each mistake must be found."""


class Found(NamedTuple):
    """What showed a mistake."""

    seed: int
    finding: str


def first_found(bug: Bug, *, seeds: int = SEEDS) -> Found | None:
    """Return the first of the seeds 0, 1, 2, … with a finding; None when none has one."""
    for seed in range(seeds):
        findings = play(seed, bug=bug).findings
        if findings:
            return Found(seed, findings[0])
    return None
