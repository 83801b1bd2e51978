"""The worker's life cycle: what ends it, with which exit code, and what it leaves alone."""

import asyncio
import logging
import os
import signal
import time
from pathlib import Path

import pytest
from mode import Service

from services.kernel.worker.faust_worker import create_app, run


class Part(Service):
    """Does something once it runs, and notes its life in a list that parts share."""

    def __init__(self, name: str, notes: list[str]) -> None:
        super().__init__()
        self.name, self.notes = name, notes

    async def on_start(self) -> None:
        self.notes.append(f"{self.name} starts")

    async def on_stop(self) -> None:
        self.notes.append(f"{self.name} stops")

    @Service.task
    async def _act(self) -> None:
        await self.act()

    async def act(self) -> None:
        """Do nothing unless a test says otherwise."""


class Signalling(Part):
    """Sends this process a signal."""

    which = signal.SIGTERM

    async def act(self) -> None:
        os.kill(os.getpid(), self.which)


class Interrupting(Signalling):
    """Sends SIGINT."""

    which = signal.SIGINT


class Failing(Part):
    """Fails while it runs."""

    async def act(self) -> None:
        raise LookupError("failed while running")


class FailingToStart(Part):
    """Cannot start."""

    async def on_start(self) -> None:
        raise LookupError("failed to start")


class SlowToStart(Part):
    """Starts for longer than anybody waits."""

    async def on_start(self) -> None:
        self.notes.append(f"{self.name} starts")
        await asyncio.sleep(3600)


class SlowToStop(Part):
    """Needs a moment to stop, as a running batch does."""

    async def on_stop(self) -> None:
        await asyncio.sleep(0.2)
        self.notes.append(f"{self.name} stops")


@pytest.mark.parametrize("part", [Signalling, Interrupting])
def test_a_signal_lets_every_part_finish_and_exits_with_zero(part: type[Part]) -> None:
    """Parts start in order, stop in reverse order, and a slow one is waited for."""
    notes: list[str] = []
    app = create_app("test-worker", services=[SlowToStop("store", notes), part("intake", notes)])
    assert run(app) == 0
    assert notes == ["store starts", "intake starts", "intake stops", "store stops"]


def test_a_part_that_fails_ends_the_worker_with_one() -> None:
    """The other parts stop in order; nothing restarts."""
    notes: list[str] = []
    app = create_app("test-worker", services=[SlowToStop("store", notes), Failing("intake", notes)])
    assert run(app) == 1
    assert notes == ["store starts", "intake starts", "intake stops", "store stops"]


def test_a_part_that_cannot_start_ends_the_worker_with_one() -> None:
    """What had started before is stopped."""
    notes: list[str] = []
    app = create_app("test-worker", services=[Part("store", notes), FailingToStart("intake", notes)])
    assert run(app) == 1
    assert notes[0] == "store starts"
    assert "store stops" in notes


def test_a_signal_cuts_a_long_start_short() -> None:
    """A worker that still waits for its database ends at once when it is told to."""
    notes: list[str] = []
    app = create_app(
        "test-worker", services=[Signalling("first", notes), SlowToStart("store", notes), Part("late", notes)]
    )
    begun = time.monotonic()
    assert run(app) == 0
    assert time.monotonic() - begun < 5
    assert "first stops" in notes
    assert "late starts" not in notes


def test_a_worker_leaves_logging_output_and_directory_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Faust sets up no logging, prints nothing and creates no directories."""
    monkeypatch.chdir(tmp_path)
    handlers, level = list(logging.root.handlers), logging.root.level
    assert run(create_app("test-worker", services=[Signalling("only", [])])) == 0
    assert logging.root.handlers == handlers
    assert logging.root.level == level
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")
