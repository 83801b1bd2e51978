"""The clock jumps both ways, and afterwards it is right again, whatever ends the nemesis."""

import time
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import cast

import pytest

from deploy.embedded.processes import Children
from deploy.embedded.system import System
from tests.chaos.nemeses import clock_jumps
from tests.chaos.target import Target


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """Return a target of which nothing is used but its clock."""
    return Target(cast("System", None), tmp_path, cast("Children", None))


def test_the_clock_jumps_an_hour_ahead_or_back(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seed decides which; while it is held the offset is an hour, then none."""
    seen: set[timedelta] = set()
    monkeypatch.setattr(time, "sleep", lambda _: seen.add(target.clock_offset))
    for seed in range(10):
        clock_jumps.act(target, Random(seed))
        assert target.clock_offset == timedelta()
    assert seen == {timedelta(hours=1), timedelta(hours=-1)}


def test_a_nemesis_that_is_interrupted_sets_the_clock_right(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it stays."""

    def interrupted(_: float) -> None:
        raise InterruptedError

    monkeypatch.setattr(time, "sleep", interrupted)
    with pytest.raises(InterruptedError):
        clock_jumps.act(target, Random(7))
    assert target.clock_offset == timedelta()
