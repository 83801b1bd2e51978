"""Plays seed after seed until one shows a planted mistake."""

from typing import NamedTuple

from tests.simulation.bugs import Bug
from tests.simulation.play import play

SEEDS = 500
"""Within so many seeds each mistake must be found."""


SHOWN_BY = {
    "all_up_to_the_last_removed": 17,
    "wake_up_lost": 35,
    "only_the_failed_sent_again": 35,
    "lost_bus_unnoticed": 10,
    "marks_not_kept": 10,
    "failed_batch_passed": 21,
    "nobody_waits_in_one_batch": 38,
}
"""Seeds to begin with, for mistakes that take many: a hint that saves time, no claim."""


class Found(NamedTuple):
    """What showed a mistake."""

    seed: int
    finding: str


def first_found(bug: Bug, *, seeds: int = SEEDS, begin: int = 0) -> Found | None:
    """Return the first of the seeds `begin`, 0, 1, 2, … with a finding; None when none has one."""
    for seed in (begin, *range(seeds)):
        findings = play(seed, bug=bug).findings
        if findings:
            return Found(seed, findings[0])
    return None
