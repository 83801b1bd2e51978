"""The doctor where nothing runs: it looks at the machine and the pack, and starts nothing."""

import json
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from services.cli import running
from services.cli.catalogue import ServiceName
from services.cli.checks import SystemCheck, of_clock, of_machine, of_outbox, of_policy
from services.kernel.base.clock import HeldClock, SystemClock
from services.kernel.base.settings import Settings
from tests.unit.test_cli_commands import leadline


class Usage(NamedTuple):
    """What shutil tells of a disk."""

    total: int
    used: int
    free: int


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "VAR", tmp_path)


def named(name: str, found: list[SystemCheck]) -> SystemCheck:
    return next(check for check in found if check.name == name)


def test_a_system_that_does_not_run_is_no_problem() -> None:
    """Code 0; every check of the system is skipped and says why."""
    result = leadline("doctor", "--json")
    found = {check["name"]: check for check in json.loads(result.stdout)}
    assert result.exit_code == 0
    for name in ("broker", "topics", "lag", "stores", "outboxes", "dead letters"):
        assert (found[name]["state"], found[name]["words"]) == ("skipped", "not running")


def test_a_broken_pack_is_a_problem_with_file_and_line(tmp_path: Path) -> None:
    """Code 1; each mistake is told once, although four services read the pack."""
    base = Path("deploy/policies/cambridgeshire.yaml").resolve()
    pack = tmp_path / "broken.yaml"
    pack.write_text(f"extends: {base}\ncalendar:\n  extra_holiday: [2026-12-24]\n", encoding="utf-8")
    result = leadline("doctor", LEADLINE_POLICY=str(pack))
    assert result.exit_code == 1
    assert result.stdout.count(f"{pack}, line 3: calendar.extra_holiday is not a known field") == 1
    assert "1 problem, " in result.stdout


def test_problems_of_every_service_are_told(tmp_path: Path) -> None:
    """A section that only one service reads is checked as well."""
    pack = tmp_path / "empty.yaml"
    pack.write_text("pack: {council: test, name: Test, version: test-1}\n", encoding="utf-8")
    words = [check.words for check in of_policy(Settings(policy=pack))]
    assert any("triage is missing" in sentence for sentence in words)
    assert len(words) == len(set(words)) > 5


@pytest.mark.parametrize(("free", "state"), [(0, "problem"), (2**30, "warning"), (100 * 2**30, "ok")])
def test_a_disk_that_fills_is_told_in_time(free: int, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below two GiB a warning, below a quarter of one a problem."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    assert named("disk", list(of_machine({}))).state == state


def test_a_python_that_is_too_old_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the versions that would do."""
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    check = named("python", list(of_machine({"LEADLINE_KAFKA": "k:1", "LEADLINE_DATABASE": "d"})))
    assert (check.state, check.words) == ("problem", "3.10.4")


def test_named_engines_are_what_would_serve() -> None:
    """The doctor gives the reason that the start would give."""
    found = list(of_machine({"LEADLINE_KAFKA": "k:1", "LEADLINE_DATABASE": "d"}))
    assert "LEADLINE_KAFKA names it" in named("broker choice", found).words
    assert "LEADLINE_DATABASE names it" in named("database choice", found).words


def test_an_engine_that_cannot_serve_is_a_problem() -> None:
    """What was asked for is unknown."""
    check = named("broker choice", list(of_machine({"PATH": "", "LEADLINE_BROKER": "rabbit"})))
    assert check.state == "problem"
    assert "set kafka or mesh" in check.words


def test_a_broker_that_forgets_is_a_warning() -> None:
    """With the way to one that does not."""
    check = named("broker choice", list(of_machine({"LEADLINE_BROKER": "mesh"})))
    assert check.state == "warning"
    assert "unset LEADLINE_BROKER" in check.advice


def test_simulated_time_is_told(tmp_path: Path) -> None:
    """An operator must see that alerts are not of today."""
    file = tmp_path / "clock"
    HeldClock(file).set(datetime(2026, 9, 7, 9, 0, tzinfo=UTC))
    assert (
        of_clock(Settings(clock_file=file)).words
        == "simulated time, moved by hand, 2026-09-07 10:00 in London"
    )
    assert of_clock(Settings(clock_file=tmp_path / "none")).state == "problem"
    assert of_clock(Settings()).words.startswith("real time, ")


@pytest.mark.parametrize(
    ("speed", "age", "state"),
    [
        (1.0, timedelta(seconds=30), "ok"),
        (1.0, timedelta(minutes=2), "warning"),
        (600.0, timedelta(minutes=2), "ok"),
    ],
)
def test_an_event_that_waits_for_a_minute_of_real_time_says_that_no_relay_runs(
    speed: float, age: timedelta, state: str
) -> None:
    """Under a fast clock two simulated minutes are a moment."""
    now = SystemClock().now()
    settings = Settings(clock_start=now, clock_epoch=now, clock_speed=speed)
    check = of_outbox(settings, ServiceName.REFERRAL, 3, now - age)
    assert (check.state, check.words[:28]) == (state, "3 events not on the bus yet,")


def test_an_empty_outbox_is_said_in_words() -> None:
    """Nothing waits."""
    assert of_outbox(Settings(), ServiceName.REFERRAL, 0, None).words == "empty"
