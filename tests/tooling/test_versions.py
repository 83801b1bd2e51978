"""Which Pythons Leadline accepts is said alike everywhere, and those of a machine are found."""

import re
import sys
from pathlib import Path

import pytest

from services.cli.checks import PYTHON
from tests.versions import find, others

ROOT = Path(__file__).parents[2]
HERE = sys.version_info[:2]
NAME = ".".join(map(str, HERE))


def interpreter(path: Path, *, works: bool = True) -> Path:
    """Something by the name of an interpreter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deed = f'exec "{sys.executable}" "$@"' if works else "exit 127"
    path.write_text(f"#!/bin/sh\n{deed}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("pyproject.toml", 'requires-python = ">={first},<{end}"'),
        ("README.md", "You need git, make, Python {every} with"),
        ("services/cli/checks.py", "install Python {every}"),
    ],
)
def test_every_place_names_the_same_versions(file: str, words: str) -> None:
    """A version that is accepted in one place alone is a surprise in the other."""
    (major, first), (_, end) = PYTHON
    names = [f"{major}.{minor}" for minor in range(first, end)]
    expected = words.format(
        first=names[0],
        end=f"{major}.{end}",
        every=f"{', '.join(names[:-1])} or {names[-1]}",
    )
    assert expected in (ROOT / file).read_text(encoding="utf-8")


def test_the_lock_is_made_for_the_oldest_version() -> None:
    """And universal: one set of pins for all."""
    command = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()[1]
    assert re.search(r"--universal --python-version 3\.11 ", command)


def test_the_running_version_is_not_tried_again() -> None:
    """`make test` has."""
    assert HERE not in others(HERE)
    assert len(others(HERE)) == PYTHON[1][1] - PYTHON[0][1] - 1


def test_an_interpreter_on_the_path_is_taken(tmp_path: Path) -> None:
    """By its name."""
    path = interpreter(tmp_path / f"python{NAME}")
    assert find(HERE, {"PATH": str(tmp_path), "HOME": str(tmp_path)}) == path


def test_a_shim_that_leads_nowhere_is_not_taken_and_pyenvs_own_is(tmp_path: Path) -> None:
    """pyenv puts a name on the path for each version that is not chosen, too."""
    interpreter(tmp_path / "bin" / f"python{NAME}", works=False)
    environ = {"PATH": str(tmp_path / "bin"), "PYENV_ROOT": str(tmp_path / "pyenv")}
    assert find(HERE, environ) is None
    path = interpreter(tmp_path / "pyenv" / "versions" / f"{NAME}.9" / "bin" / "python")
    assert find(HERE, environ) == path


def test_an_interpreter_of_another_version_is_not_taken(tmp_path: Path) -> None:
    """Whatever it is called."""
    interpreter(tmp_path / "python3.99")
    assert find((3, 99), {"PATH": str(tmp_path), "HOME": str(tmp_path)}) is None
