"""`python -m tests.versions`: the tests that need no engine, on every other Python that Leadline accepts.

Takes the versions that are on this machine, each with an environment of its own beside `.venv`, and says
which were not found. The exit code is 1 when tests failed on one of them.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from shutil import rmtree, which

from services.cli.checks import PYTHON

ROOT = Path(__file__).parents[1]
INPUTS = ("requirements.lock", "pyproject.toml")
"""An environment that was made from others than these is made anew."""

Version = tuple[int, int]


@dataclass(frozen=True)
class Environment:
    """One version's own environment."""

    version: Version
    directory: Path

    @property
    def python(self) -> Path:
        """Return its interpreter."""
        return self.directory / "bin" / "python"

    def make(self, interpreter: Path) -> None:
        """Install what the lock names, unless it is all there. Raises CalledProcessError."""
        stamp = self.directory / ".made-from"
        wanted = sha256(b"".join((ROOT / name).read_bytes() for name in INPUTS)).hexdigest()
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
            return
        rmtree(self.directory, ignore_errors=True)
        pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for command in (
            [str(interpreter), "-m", "venv", str(self.directory)],
            [*pip, "--requirement", "requirements.lock"],
            [*pip, "--no-deps", "--editable", "."],
        ):
            subprocess.run(command, cwd=ROOT, check=True)
        stamp.write_text(wanted, encoding="utf-8")


def others(running: Version) -> list[Version]:
    """Return the versions that Leadline accepts beside the one that runs."""
    (major, first), (_, end) = PYTHON
    return [(major, minor) for minor in range(first, end) if (major, minor) != running]


def find(version: Version, environ: Mapping[str, str]) -> Path | None:
    """Return an interpreter of a version: the one on the PATH, else pyenv's; None when there is none."""
    return next((path for path in _candidates(version, environ) if _is(path, version)), None)


def _candidates(version: Version, environ: Mapping[str, str]) -> Iterator[Path]:
    name = ".".join(map(str, version))
    on_path = which(f"python{name}", path=environ.get("PATH", ""))
    if on_path is not None:
        yield Path(on_path)
    home = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME", "/")) / ".pyenv")
    yield from sorted(home.glob(f"versions/{name}.*/bin/python"), reverse=True)


def _is(path: Path, version: Version) -> bool:
    """Return whether an interpreter runs and is what its name says: pyenv has shims that are neither."""
    ask = "import sys; print(*sys.version_info[:2])"
    try:
        done = subprocess.run([path, "-c", ask], capture_output=True, check=False, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.split() == [str(part) for part in version]


def main() -> None:
    """Run the tests on each version."""
    outcomes: dict[Version, str] = {}
    for version in others(sys.version_info[:2]):
        interpreter = find(version, os.environ)
        if interpreter is None:
            outcomes[version] = "not found"
            continue
        _say(f"Python {_words(version)}: {interpreter}")
        environment = Environment(version, ROOT / f".venv-{_words(version)}")
        try:
            environment.make(interpreter)
        except subprocess.CalledProcessError:
            outcomes[version] = "FAILED to install"
            continue
        tests = [str(environment.python), "-m", "pytest", "-q", "-m", "not connected"]
        failed = subprocess.run([*tests, "-p", "no:cacheprovider"], cwd=ROOT, check=False).returncode
        outcomes[version] = "FAILED" if failed else "passed"
    for version, outcome in outcomes.items():
        _say(f"Python {_words(version)}: {outcome}")
    raise SystemExit(any(outcome.startswith("FAILED") for outcome in outcomes.values()))


def _words(version: Version) -> str:
    return ".".join(map(str, version))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
