"""A fault at every await of deliver, relay and scanner: an exception, a cancellation, and worse."""

from collections import Counter

from tests.simulation.injection import PARTS, WANTED, cases, inject


def test_a_fault_at_any_await_loses_nothing_and_does_nothing_twice() -> None:
    """At least a thousand cases in which the fault took place, of every part and kind, all exact."""
    failed: dict[str, list[str]] = {}
    injected: Counter[tuple[str, str]] = Counter()
    for case in cases():
        outcome, what = inject(case)
        if what is not None:
            injected[case.part, case.kind] += 1
        if outcome.findings:
            failed[f"{case}: {what}"] = outcome.findings
    assert failed == {}
    assert injected.total() >= 1000
    assert set(injected) == {(part, kind) for part in PARTS for kind in WANTED}
