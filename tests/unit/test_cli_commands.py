"""Every command explains itself, and wrong usage is told in words, before anything is touched."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from services.cli import running
from services.cli.main import app
from services.kernel.store import deadlines

ID = "0b1f6c1e-8f7c-5d0a-9f52-6a1f0d0c7e11"
DEADLINES_CURSOR = deadlines.OPEN.cursors({}).write((datetime(2026, 9, 7, tzinfo=UTC), UUID(ID)))


def commands() -> Iterator[tuple[str, ...]]:
    """Walk the application: new commands are covered without being named here."""

    def walk(command: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield path
            return
        for name, child in inner.items():
            yield from walk(child, (*path, name))

    yield from walk(get_command(app), ())


def leadline(*arguments: str, **env: str) -> Result:
    """Run a command where no system runs and a terminal is 200 columns wide."""
    names = ("LEADLINE_KAFKA", "LEADLINE_DATABASE", "LEADLINE_POLICY", "LEADLINE_SYSTEM")
    environment: dict[str, str | None] = {**dict.fromkeys(names), "COLUMNS": "200", **env}
    return CliRunner().invoke(app, arguments, env=environment)


@pytest.fixture
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "VAR", tmp_path)


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_shows_an_example_of_itself(path: tuple[str, ...]) -> None:
    """`--help` says what the command does and has one line that can be copied."""
    result = leadline(*path, "--help")
    assert result.exit_code == 0
    assert f"Example: leadline {' '.join(path)}" in result.stdout


def test_the_commands_that_operators_need_are_there() -> None:
    """A command that is written and not registered is no command."""
    wanted = {
        *(("dead-letters", verb) for verb in ("list", "show", "replay", "discard")),
        *(("journal", verb) for verb in ("show", "replay", "refused", "resend")),
        *((name,) for name in ("up", "worker", "web", "deadlines", "doctor", "import-ssda903")),
    }
    assert wanted <= set(commands())


def test_the_version_is_told() -> None:
    """`leadline --version` is the installed package's."""
    result = leadline("--version")
    assert (result.exit_code, result.stdout) == (0, f"leadline {version('leadline')}\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("dead-letters", "replay"), "give either an ID or --all"),
        (("dead-letters", "replay", ID, "--all"), "give either an ID or --all"),
        (("dead-letters", "show", "17"), "must be an id, for example"),
        (("dead-letters", "list", "--state", "lost"), "'lost' is not one of"),
        (("dead-letters", "list", "--service", "billing"), "'billing' is not one of"),
        (("deadlines", "--limit", "0"), "must be at least 1"),
        (("deadlines", "--after", "x"), "This is not a valid cursor: send one exactly as you received it"),
        (("dead-letters", "list", "--after", DEADLINES_CURSOR), "This cursor belongs to another list"),
        (
            ("journal", "show", "referral", "--type", "referral.acepted.v1"),
            "mean referral.accepted.v1?",
        ),
        (("journal", "replay", "referral", "--since", "-1"), "must be at least 0"),
        (("import-ssda903", "no-such-directory"), "does not exist"),
        (("import-ssda903", ".", "--report", "refused.txt"), "name a .csv or .json file"),
    ],
)
def test_wrong_usage_is_code_2_and_says_what_is_wrong(arguments: tuple[str, ...], words: str) -> None:
    """Told apart from a failure by its code; the words lead to the right call."""
    result = leadline(*arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("dead-letters", "list"),
        ("dead-letters", "show", ID),
        ("dead-letters", "replay", "--all"),
        ("dead-letters", "discard", ID, "--yes"),
        ("journal", "show", "referral"),
        ("journal", "replay", "referral", "--yes"),
        ("deadlines",),
        ("topics", "list"),
    ],
)
@pytest.mark.usefixtures("nothing_runs")
def test_without_a_system_the_sentence_says_how_to_get_one(arguments: tuple[str, ...]) -> None:
    """One line, code 2, no traceback."""
    result = leadline(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("No system runs from this directory: start one with `leadline up`")
    assert result.stderr.count("\n") == 1


def test_a_wrong_setting_is_named_and_its_value_is_not() -> None:
    """A password that stands in the wrong variable must not appear on the screen."""
    result = leadline(
        "deadlines", LEADLINE_KAFKA="k:1", LEADLINE_DATABASE="d", LEADLINE_KAFKA_SECURITY="hunter2"
    )
    assert result.exit_code == 2
    assert "LEADLINE_KAFKA_SECURITY" in result.stderr
    assert "hunter2" not in result.output


def test_a_directory_without_returns_is_a_failure_and_starts_nothing(tmp_path: Path) -> None:
    """What can be known without engines is said without starting them."""
    result = leadline("import-ssda903", str(tmp_path))
    assert result.exit_code == 1
    assert "holds no file of the return" in result.stderr
    assert "starting" not in result.output


def test_a_return_of_which_nothing_can_be_read_is_a_failure_that_says_why_and_starts_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "2026-episodes.xlsx").write_bytes(b"PK")
    result = leadline("import-ssda903", str(tmp_path))
    assert result.exit_code == 1
    assert "2026-episodes.xlsx was not read: it is an Excel workbook" in result.stderr
    assert "starting" not in result.output


@pytest.fixture(scope="module")
def asked_nobody() -> subprocess.CompletedProcess[str]:
    """A question to a broker where nothing listens; a process of its own, for what clients log counts too."""
    nowhere = {
        "LEADLINE_KAFKA": "127.0.0.1:1",
        "LEADLINE_DATABASE": "postgresql+asyncpg://n@127.0.0.1:1/x_{service}",
    }
    return subprocess.run(
        [sys.executable, "-m", "services.cli.main", "topics", "list"],
        capture_output=True,
        check=False,
        env={**os.environ, **nowhere},
        text=True,
        timeout=120,
    )


def test_a_broker_that_does_not_answer_is_told_in_words(
    asked_nobody: subprocess.CompletedProcess[str],
) -> None:
    """The first line says it, and no traceback follows."""
    assert (asked_nobody.returncode, asked_nobody.stdout) == (1, "")
    assert asked_nobody.stderr.startswith(f"{running.NO_BROKER}\n")
    assert "Traceback" not in asked_nobody.stderr


def test_a_broker_that_does_not_answer_is_one_sentence(
    asked_nobody: subprocess.CompletedProcess[str],
) -> None:
    """Nothing but the sentence."""
    assert asked_nobody.stderr == f"{running.NO_BROKER}\n"


def test_a_database_that_does_not_answer_is_one_sentence() -> None:
    """Nothing listens on port 1; the sentence names the service whose store is away."""
    result = leadline(
        "deadlines",
        LEADLINE_KAFKA="127.0.0.1:1",
        LEADLINE_DATABASE="postgresql+asyncpg://n:secret@127.0.0.1:1/leadline_{service}",
    )
    assert result.exit_code == 1
    assert result.stderr.startswith("The store of the referral service does not answer")
    assert "secret" not in result.output
