"""Named points: whoever comes to an armed one dies there, one process per trigger, and it can be seen."""

import os
import signal
from pathlib import Path

import pytest

from tests.chaos.nemeses.killed_at_point import PLACES
from tests.chaos.points import OF_A_TRANSACTION, OF_A_WORKER, Points, program_of
from tests.chaos.target import PROGRAMS


@pytest.fixture
def points(tmp_path: Path) -> Points:
    return Points(tmp_path / "points", "worker-referral")


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return the signals that would have been sent."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    return sent


def test_nobody_dies_at_a_point_that_is_not_armed(points: Points, killed: list[tuple[int, int]]) -> None:
    """Nor at another point than the armed one, nor in another program."""
    points.arm("after_claim")
    points.reached("before_claim")
    Points(points.folder, "worker-notify").reached("after_claim")
    assert killed == []
    assert points.died("after_claim") is None


def test_one_process_dies_at_an_armed_point_and_says_which(
    points: Points, killed: list[tuple[int, int]]
) -> None:
    """The second to come lives on, until the point is armed again."""
    points.arm("after_claim")
    assert points.is_armed("after_claim")
    points.reached("after_claim")
    points.reached("after_claim")
    assert killed == [(os.getpid(), signal.SIGKILL)]
    assert points.died("after_claim") == os.getpid()
    assert not points.is_armed("after_claim")
    points.disarm("after_claim")
    points.arm("after_claim")
    points.reached("after_claim")
    assert len(killed) == 2


def test_a_point_that_was_disarmed_kills_nobody(points: Points, killed: list[tuple[int, int]]) -> None:
    """A nemesis that gave up leaves nothing behind that would strike later."""
    points.arm("before_commit")
    points.disarm("before_commit")
    points.reached("before_commit")
    assert killed == []
    assert points.died("before_commit") is None


def test_no_point_is_taken_for_a_part_of_another(points: Points) -> None:
    """A trigger's name, with anything behind it, is one point's alone."""
    names = [*OF_A_WORKER, *OF_A_TRANSACTION]
    assert not [(one, two) for one in names for two in names if one != two and two.startswith(one)]
    points.arm("before_commit")
    points.disarm("before_claim")
    assert points.is_armed("before_commit")


def test_programs_have_the_supervisors_names() -> None:
    """What dies is what the nemesis chose."""
    assert program_of(["worker", "referral"]) == "worker-referral"
    assert program_of(["web", "referral", "notify"]) == "web"
    assert {program for program, _ in PLACES} <= set(PROGRAMS)
