"""The report of `make chaos`: when a run counts as exact, and what it says of recovery."""

import json

import pytest

from tests.chaos.choice import Choice
from tests.chaos.report import Run, show
from tests.chaos.rest import Mailed
from tests.chaos.schedule import Fault

CHOICE = Choice(seed=7, seconds=60, per_second=200)

COUNTS = (
    "lost",
    "applied_twice",
    "alerts_doubled",
    "order_violations",
    "deadlines_missed",
    "net_violations",
)
PROMISED = ("seed", "seconds", "events_per_s", "faults", "faults_by_nemesis", *COUNTS, "recovery_s")
"""What whoever reads the report counts on."""


def clean() -> Run:
    """A run in which nothing was found."""
    faults = [
        Fault(0, 3.0, "process_killed", 1, overlapped=True),
        Fault(1, 1.0, "broker_killed", 2),
        Fault(2, 5.0, "process_killed", 3),
    ]
    recoveries: list[tuple[str, float | None]] = [("broker_killed", 6.0), ("process_killed", 2.0)]
    return Run(
        CHOICE, recoveries, faults=faults, exits=[1.0, 4.9], events=600, feed_seconds=6.0, after_all=0.3
    )


def test_a_clean_run_is_exact_and_has_every_figure() -> None:
    """Recovery by nemesis, the counts, and the rate at which events were acknowledged."""
    report = clean().as_data()
    assert report["passed"]
    assert set(PROMISED) <= set(report)
    assert report["faults_by_nemesis"] == {"broker_killed": 1, "process_killed": 2}
    assert (report["faults"], report["faults_overlapped"]) == (3, 1)
    assert (report["recovery_s"]["median"], report["recovery_s"]["worst"]) == (4.0, 6.0)
    assert report["recovery_s"]["by_nemesis"]["broker_killed"] == {
        "median": 6.0,
        "worst": 6.0,
        "measured": 1,
    }
    assert report["events_per_s"] == 100.0
    assert [report[name] for name in COUNTS] == [0] * 6


def test_a_report_is_json_that_says_how_to_have_the_run_again() -> None:
    """Nothing in it but plain values; an empty run has the same keys."""
    assert json.loads(json.dumps(clean().as_data()))["command"] == CHOICE.command
    assert Run(CHOICE).as_data().keys() == clean().as_data().keys()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda run: setattr(run, "findings", {"lost": ["a child"]}),
        lambda run: setattr(run, "exits", [5.1]),
        lambda run: run.recoveries.append(("broker_paused", None)),
        lambda run: run.unfinished.append("not at rest"),
        lambda run: setattr(run, "after_all", None),
    ],
    ids=["a loss", "a slow exit", "no recovery", "no rest", "no recovery in the end"],
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
    assert "slower than the bars" not in text


def test_a_run_that_recovers_more_slowly_than_the_bars_says_so() -> None:
    """Ten seconds in the middle, 45 at the worst."""
    run = clean()
    run.recoveries.append(("broker_wiped", 46.0))
    lines: list[str] = []
    show(run.as_data(), lines.append)
    assert any("slower than the bars" in line for line in lines)


def test_the_report_says_how_fast_the_mailer_was_in_the_end() -> None:
    """What waited when all else was over, what of it was left, and how much a second had gone."""
    run = clean()
    assert run.as_data()["mailer"] == {"queued": 0, "left": 0, "seconds": 0.0, "per_s": 0.0}
    run.mailed = Mailed(queued=1000, left=200, seconds=4.0)
    assert run.as_data()["mailer"] == {"queued": 1000, "left": 200, "seconds": 4.0, "per_s": 200.0}
    assert run.as_data()["passed"]
