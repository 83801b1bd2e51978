"""The report of `make chaos`: when a run counts as exact, and what it says of recovery."""

import pytest

from tests.chaos.choice import Choice
from tests.chaos.report import Run, show
from tests.chaos.schedule import Fault

CHOICE = Choice(seed=7, seconds=60, per_second=200)


def clean() -> Run:
    """A run in which nothing was found."""
    faults = [Fault(0, 3.0, "broker_killed", 1), Fault(1, 5.0, "process_killed", 2)]
    recoveries: list[tuple[str, float | None]] = [("broker_killed", 6.0), ("process_killed", 2.0)]
    return Run(CHOICE, recoveries, faults, exits=[1.0, 4.9], events=600, feed_seconds=6.0)


def test_a_clean_run_is_exact_and_has_every_figure() -> None:
    """Recovery by nemesis, the counts, and the rate at which events were acknowledged."""
    report = clean().as_data()
    assert report["passed"]
    assert report["faults_by_nemesis"] == {"broker_killed": 1, "process_killed": 1}
    assert (report["recovery_s"]["median"], report["recovery_s"]["worst"]) == (4.0, 6.0)
    assert report["recovery_s"]["by_nemesis"]["broker_killed"] == {"median": 6.0, "worst": 6.0}
    assert report["events_per_s"] == 100.0
    counts = ("lost", "applied_twice", "alerts_doubled", "order_violations", "deadlines_missed")
    assert [report[name] for name in (*counts, "net_violations")] == [0] * 6


@pytest.mark.parametrize(
    "spoil",
    [
        lambda run: setattr(run, "findings", {"lost": ["a child"]}),
        lambda run: setattr(run, "exits", [5.1]),
        lambda run: run.recoveries.append(("broker_paused", None)),
        lambda run: run.unfinished.append("not at rest"),
    ],
    ids=["a loss", "a slow exit", "no recovery", "no rest"],
)
def test_any_finding_makes_a_run_inexact(spoil: object) -> None:
    """A loss, a slow exit, a fault that was never overcome, work that was left."""
    run = clean()
    assert callable(spoil)
    spoil(run)
    assert not run.as_data()["passed"]


def test_the_tables_name_each_nemesis_and_each_finding() -> None:
    """What a person needs to begin to look."""
    run = clean()
    run.findings = {"lost": ["child 1: the acknowledged referral is not there"]}
    lines: list[str] = []
    show(run.as_data(), lines.append)
    text = "\n".join(lines)
    assert "broker_killed" in text
    assert "the acknowledged referral is not there" in text
