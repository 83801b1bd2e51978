"""Every command meets every kind of nonsense: one sentence, a code that is documented, nothing of a library.

Commands and their parameters are read from the application: new ones are covered without being named here.
"""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from services.cli.main import app

ROOT = Path(__file__).parents[2]
SECRET = "hunter2"
ID = "0b1f6c1e-8f7c-5d0a-9f52-6a1f0d0c7e11"

NONSENSE = (
    "",
    "-1",
    "0",
    "99999999999999999999999",
    "nan",
    "inf",
    "nonsense",
    "St Mary's School \u2603",
    "\x1b[2Jgone",
    "\udcff",
    "'; DROP TABLE journal; --",
    "../../etc/passwd",
    "https://[",
    ID[:-1],
    "x" * 5000,
)
A_LIBRARYS = re.compile(
    r"Traceback|[Ii]nput should|[Pp]ydantic|Value error|sqlalchemy(?!\.)|Errno|object at 0x|invalid literal"
    r"|unable to parse|\x1b"
)

NO_PORT: Mapping[str, str] = {
    "LEADLINE_KAFKA": "127.0.0.1:1",
    "LEADLINE_DATABASE": f"postgresql+asyncpg://n:{SECRET}@127.0.0.1:1/leadline_{{service}}",
}
"""Engines where nothing listens."""

FAULTS: Mapping[str, str] = {
    "LEADLINE_BATCH": SECRET,
    "LEADLINE_CLOCK_FILE": __file__,
    "LEADLINE_CLOCK_START": SECRET,
    "LEADLINE_DATABASE": f"{SECRET}{{service}}",
    "LEADLINE_GOVUK_NOTIFY_TEMPLATES": f"{{{SECRET}",
    "LEADLINE_KAFKA": f"broker:{SECRET}",
    "LEADLINE_KAFKA_SECURITY": SECRET,
}
"""Settings that nobody can use, by variable."""

SERVERS = {("worker",), ("web",)}
"""They serve until they are told to stop: where nothing is wrong they would."""
STARTS = {("up",), ("demo",)}
"""They look for engines of their own, and bring their own clock."""
OF_EMBEDDED_MODE = {"LEADLINE_CLOCK_FILE", "LEADLINE_DATABASE"}
IMPORTS = {("import-ssda903",)}
"""Its producer tries for some seconds, and leaves a socket behind: it has a process of its own below."""
LOOKS_AROUND = {("doctor",)}
"""Without a system there is something to do for it."""


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Walk the application."""

    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield path, command
            return
        for name, child in inner.items():
            yield from walk(child, (*path, name))

    yield from walk(get_command(app), ())


COMMANDS = dict(commands())


def is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def proper(path: tuple[str, ...], directory: Path) -> list[str]:
    """Return what a command needs to run. A new kind of argument needs an example here."""
    examples = {
        "service": "placement",
        "letter": ID,
        "position": "1204",
        "subscription": ID,
        "agency": "school-0001",
        "key": "3f9ac0d41b7e",
        "url": "https://school.example/hook",
        "directory": str(directory),
    }
    given = [examples[each.name] for each in COMMANDS[path].params if is_argument(each) and each.required]
    more: dict[tuple[str, ...], list[str]] = {
        ("dead-letters", "replay"): ["--all"],
        ("dead-letters", "discard"): ["--yes"],
        ("journal", "replay"): ["--yes"],
        ("subscriptions", "add"): ["--agency", "school-0001", "--key", "school-0001"],
    }
    return [*path, *given, *more.get(path, ())]


def returns(directory: Path) -> Path:
    """Write a statutory return of one year with nobody in it."""
    columns = "CHILD,SEX,DOB,ETHNIC,UPN,MOTHER,MC_DOB\n"
    directory.joinpath("2026-header.csv").write_text(columns, encoding="utf-8")
    return directory


def told(arguments: list[str], env: Mapping[str, str]) -> tuple[int, str]:
    """Run a command; return its exit code and all it said, after a look at both."""
    unset = dict.fromkeys((*NO_PORT, *FAULTS))
    settings = {
        **unset,
        "LEADLINE_POLICY": str(ROOT / "deploy/policies/cambridgeshire.yaml"),
        "LEADLINE_BROKER": "none",  # no command starts an engine
        "COLUMNS": "200",
        **env,
    }
    result = CliRunner().invoke(app, arguments, env=settings)
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code in {0, 1, 2}
    found = A_LIBRARYS.search(result.output)
    assert found is None, result.output
    assert SECRET not in result.output
    return result.exit_code, result.output


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory where nothing runs."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_nonsense_in_any_argument_or_option_is_answered_in_a_sentence(
    path: tuple[str, ...], tmp_path: Path
) -> None:
    """With a code that is documented; wherever it stands, and when the rest is as it should be."""
    right = proper(path, returns(tmp_path))
    for parameter in COMMANDS[path].params:
        if getattr(parameter, "is_flag", False):
            continue
        for value in NONSENSE:
            if is_argument(parameter):
                _, said = told([*path, value], {})
            else:
                _, said = told([*right, parameter.opts[0], value], {})
            assert said.strip()


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_an_unknown_option_is_answered_with_those_that_there_are(path: tuple[str, ...]) -> None:
    """And too much is wrong usage as well."""
    code, said = told([*path, "--nonsense"], {})
    assert code == 2
    assert "There are: " in said
    for parameter in COMMANDS[path].params:
        if not is_argument(parameter):
            assert parameter.opts[0] in said


@pytest.mark.parametrize("path", [(), *sorted({path[:1] for path in COMMANDS if len(path) > 1})])
def test_an_unknown_command_is_answered_with_those_that_there_are(path: tuple[str, ...]) -> None:
    """Of the same group."""
    code, said = told([*path, "nonsense"], {})
    assert code == 2
    words = " ".join(re.sub(r"[\u2500-\u257f]", " ", said).split())
    known = [each[len(path)] for each in COMMANDS if each[: len(path)] == path]
    assert f"There are: {', '.join(dict.fromkeys(known))}." in words


@pytest.mark.parametrize(
    ("path", "variable"),
    [
        pytest.param(path, variable, id=f"{' '.join(path)}-{variable}")
        for path in COMMANDS
        for variable in FAULTS
        if path not in STARTS or variable not in OF_EMBEDDED_MODE
    ],
)
def test_a_setting_that_cannot_be_used_is_code_2_and_named(
    path: tuple[str, ...], variable: str, tmp_path: Path
) -> None:
    """By every command and every process alike, before anything is touched or started."""
    code, said = told(proper(path, returns(tmp_path)), {**NO_PORT, variable: FAULTS[variable]})
    assert code == (1 if path in LOOKS_AROUND else 2)
    assert variable in said


@pytest.mark.parametrize("path", sorted(set(COMMANDS) - SERVERS - IMPORTS), ids=" ".join)
def test_engines_that_do_not_answer_are_told_in_a_sentence(path: tuple[str, ...], tmp_path: Path) -> None:
    """At once, and never as success."""
    code, said = told(proper(path, returns(tmp_path)), NO_PORT)
    assert code == (2 if path == ("audit",) else 1)
    assert said.strip()


@pytest.mark.parametrize(
    "path", sorted(set(COMMANDS) - SERVERS - STARTS - LOOKS_AROUND - IMPORTS), ids=" ".join
)
def test_a_policy_pack_that_is_not_there_is_never_a_traceback(path: tuple[str, ...], tmp_path: Path) -> None:
    """Whether a command reads it or not."""
    code, _ = told(proper(path, returns(tmp_path)), {**NO_PORT, "LEADLINE_POLICY": str(tmp_path / "none")})
    assert code in {1, 2}


def process(arguments: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own: what it opens and configures ends with it."""
    pack = str(ROOT / "deploy/policies/cambridgeshire.yaml")
    return subprocess.run(
        [sys.executable, "-m", "services.cli.main", *arguments],
        capture_output=True,
        check=False,
        env={**os.environ, **NO_PORT, "LEADLINE_POLICY": pack, **env},
        text=True,
        timeout=120,
    )


def test_an_import_without_a_broker_is_told_in_a_sentence(tmp_path: Path) -> None:
    """And nothing but that."""
    done = process(proper(("import-ssda903",), returns(tmp_path)))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("The broker did not accept the events")
    assert A_LIBRARYS.search(done.stderr) is None
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("server", "variable"), [("worker", "LEADLINE_METRICS_PORT"), ("web", "LEADLINE_PORT")]
)
def test_a_port_that_is_taken_is_code_2_and_named(server: str, variable: str) -> None:
    """Each has one: the worker for its metrics, the web process for pages and APIs."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = process([server, "referral"], **{variable: port}, LEADLINE_LOG_LEVEL="error")
    assert (done.returncode, done.stdout) == (2, "")
    assert variable in done.stderr
    assert f"port {port}" in done.stderr
    assert A_LIBRARYS.search(done.stderr) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--agency", "a-1", "--key", "k", "--kind", "deadline.overdue:nonsense"], "deadline.overdue:*"),
        (["--agency", "a-1", "--key", "k", "--kind", "referral.refused"], "referral.accepted"),
        (["--team", "nonsense", "--key", "k"], "lt-ely"),
    ],
)
def test_a_subscription_to_what_there_is_not_is_answered_with_what_there_is(
    arguments: list[str], words: str
) -> None:
    """A kind or a team that the pack does not know would silently never be heard of."""
    code, said = told(["subscriptions", "add", "https://s.example/x", *arguments], NO_PORT)
    assert code == 2
    assert words in said


def test_a_signing_key_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    """Where this machine has the keys at all."""
    tmp_path.joinpath("school-1").write_text("whsec_x", encoding="utf-8")
    command = ["subscriptions", "add", "https://s.example/x", "--agency", "a-1", "--key", "../school-1"]
    code, said = told(command, {**NO_PORT, "LEADLINE_WEBHOOK_SECRETS": str(tmp_path)})
    assert (code, said) == (2, "There is no signing key '../school-1'. There are: school-1.\n")


def test_a_council_without_a_pack_is_answered_with_those_that_have_one(tmp_path: Path) -> None:
    """Every child of a return would get another id under a code that is misspelt."""
    code, said = told(["import-ssda903", str(returns(tmp_path)), "--authority", "devonn"], NO_PORT)
    assert code == 2
    assert "There are: cambridgeshire, devon, oxfordshire, stockton-on-tees." in said


def test_a_type_that_a_service_does_not_publish_is_answered_with_those_that_it_does() -> None:
    """Its journal could never hold it."""
    code, said = told(["journal", "show", "assessment", "--type", "referral.accepted.v1"], NO_PORT)
    assert code == 2
    words = " ".join(re.sub(r"[\u2500-\u257f]", " ", said).split())
    assert "the assessment service publishes no referral.accepted.v1." in words
    assert "case.closed.v1" in words
