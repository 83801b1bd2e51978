"""A fault at every await of deliver, relay and scanner: an exception, a cancellation, and worse."""

from collections import Counter

import pytest

from tests.simulation.injection import WANTED, cases, inject

SEEDS = {"deliver": (1,), "relay": (1, 2), "scanner": (1,)}
LEAST = {"deliver": 400, "relay": 500, "scanner": 200}
"""Cases in which the fault took place, at the least."""


def test_there_are_more_than_a_thousand_cases() -> None:
    """All parts together; `python -m tests.simulation --injection` plays about twice as many."""
    assert sum(LEAST.values()) > 1000


@pytest.mark.parametrize("part", SEEDS)
def test_a_fault_at_any_await_loses_nothing_and_does_nothing_twice(part: str) -> None:
    """Every step and every kind of fault, each in a run of its own, recounted from what was sent."""
    failed: dict[str, list[str]] = {}
    injected: Counter[str] = Counter()
    for case in cases(part, SEEDS[part]):
        outcome, what = inject(case)
        if what is not None:
            injected[case.kind] += 1
        if outcome.findings:
            failed[f"{case}: {what}"] = outcome.findings
    assert failed == {}
    assert injected.total() >= LEAST[part]
    assert set(injected) == set(WANTED)
