"""The simulation is itself checked: it finds every mistake planted in the kernel, and invents none."""

from collections.abc import Callable
from random import Random

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.bugs.search import SEEDS, SHOWN_BY, first_found
from tests.simulation.feed import Feed, feed_of
from tests.simulation.nemesis import Doom
from tests.simulation.play import Setting, play
from tests.simulation.world import Calm

SHOWN_WITHOUT_TROUBLE = {
    "ordered_by_id",
    "deadlines_from_memory",
    "raised_without_marking",
    "marked_without_raising",
    "raised_early",
}
"""All others need a fault, a duplicate, poison or a second worker to do harm."""


def test_there_are_enough_of_them() -> None:
    """Twenty kinds of mistake, no two of one name."""
    assert len(BUGS) >= 20
    assert SHOWN_BY.keys() <= BUGS.keys()


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_mistake_is_found_and_its_seed_is_clean_without_it(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    """Within 500 seeds; the seed that shows it shows nothing once the patch is gone."""
    found = first_found(BUGS[name], begin=SHOWN_BY.get(name, 0))
    assert found is not None, f"{SEEDS} seeds do not show {name}"
    record_property("seed", found.seed)
    record_property("finding", found.finding)
    assert play(found.seed).findings == []


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_mistake_is_one_that_somebody_could_overlook(name: str) -> None:
    """As long as nothing goes wrong the kernel works with it: a patch that crashed would prove nothing."""
    said = feed_of(Random(5), count=15, seconds=2.0, poison=0.0).said
    undisturbed = Setting(plan=Calm(), doom=Doom(()), feed=Feed(said, ()), feed_seconds=2.0, until=2.0)
    findings = play(1, bug=BUGS[name], setting=undisturbed).findings
    assert bool(findings) == (name in SHOWN_WITHOUT_TROUBLE), findings
