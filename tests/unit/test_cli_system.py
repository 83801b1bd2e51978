"""Commands find what runs from this directory: `leadline up`, `leadline demo`, or the one that is picked."""

from pathlib import Path

import pytest

from deploy.embedded.running import announce, withdraw
from services.cli import running
from services.cli.running import CHOSEN, Started, Unable, find_settings, home_of
from tests.unit.test_cli_commands import leadline

ADDRESSES = {Started.UP: "127.0.0.1:1", Started.DEMO: "127.0.0.1:2"}


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "VAR", tmp_path)
    for name in ("LEADLINE_KAFKA", "LEADLINE_DATABASE", "LEADLINE_SYSTEM"):
        monkeypatch.setenv(name, "")  # commands take over what they find: at the end it is as it was
        monkeypatch.delenv(name)
    CHOSEN.set(None)


def start(*systems: Started) -> None:
    """Tell of systems that run, as they do themselves."""
    for system in systems:
        home_of(system).joinpath("run").mkdir(parents=True)
        announce(home_of(system), {"env": {"LEADLINE_KAFKA": ADDRESSES[system]}})


def found() -> str | None:
    settings = find_settings()
    return None if settings is None else settings.kafka


@pytest.mark.parametrize("system", Started)
def test_the_one_that_runs_is_found_and_nothing_is_said(
    system: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever it is."""
    start(system)
    assert found() == ADDRESSES[system]
    assert capsys.readouterr().err == ""


def test_where_both_run_commands_speak_to_up_and_say_how_to_pick_the_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is done to `up` stays; the demo's data end with it."""
    start(Started.DEMO, Started.UP)
    assert found() == ADDRESSES[Started.UP]
    told = capsys.readouterr().err
    assert "this command uses the first" in told
    assert "leadline --system demo" in told
    assert "LEADLINE_SYSTEM=demo" in told


@pytest.mark.parametrize("how", ["option", "variable"])
@pytest.mark.parametrize("system", Started)
def test_option_and_variable_pick_one_of_both(how: str, system: Started) -> None:
    """Then nothing has to be said; it wins over engines that are named, too."""
    start(*Started)
    named = {"LEADLINE_KAFKA": "127.0.0.1:3", "LEADLINE_DATABASE": "postgresql://n@127.0.0.1:1/l_{service}"}
    if how == "option":
        result = leadline("--system", system.value, "topics", "list", **named)
    else:
        result = leadline("topics", "list", LEADLINE_SYSTEM=system.value, **named)
    assert result.stderr == f"{running.NO_BROKER}\n"
    assert CHOSEN.get() is system
    assert found() == ADDRESSES[system]


def test_picking_one_that_does_not_run_is_code_2() -> None:
    """Silently speaking to the other one would be worse than not at all."""
    start(Started.UP)
    result = leadline("--system", "demo", "topics", "list")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("`leadline demo` does not run from this directory")


def test_a_system_that_there_is_not_is_told_with_those_that_there_are() -> None:
    """As every other name."""
    result = leadline("--system", "down", "topics", "list")
    assert result.exit_code == 2
    assert "'down' is not one of" in result.stderr


def test_one_that_has_stopped_is_not_found() -> None:
    """Neither after its end, nor when its process died without a word."""
    start(Started.DEMO)
    withdraw(home_of(Started.DEMO))
    assert found() is None
    CHOSEN.set(Started.DEMO)
    with pytest.raises(Unable):
        find_settings()
