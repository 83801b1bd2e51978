"""The files that Apache Kafka consists of, from a Maven repository, with Maven or without.

`kafka-runtime/pom.xml` pins the version and `kafka-runtime/artifacts.txt` every file that it comes to, with
its SHA-256; whoever brings the files, nothing else is taken. After a change of the pom
`python -m deploy.embedded.artifacts` writes the list anew; it needs Maven.
"""

# ruff: noqa: S603 - starting programs is what this module is for

import hashlib
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from deploy.embedded.errors import EngineError

_RUNTIME = Path(__file__).parent / "kafka-runtime"
POM = _RUNTIME / "pom.xml"
LIST = _RUNTIME / "artifacts.txt"
_DOWNLOAD_SECONDS = 900.0
_ANSWER_SECONDS = 60.0
_AT_A_TIME = 6


class _FailedError(Exception):
    """This way did not bring the files; the message is the reason, for a parenthesis."""


@dataclass(frozen=True)
class Pinned:
    """One file of the list. `coordinates` are Maven's: group, artifact and version."""

    coordinates: str
    sha256: str

    @property
    def file(self) -> str:
        """Its name, as Maven names it."""
        _, name, version = self.coordinates.split(":")
        return f"{name}-{version}.jar"

    def is_in(self, content: bytes) -> bool:
        """Return whether `content` is what was pinned."""
        return hashlib.sha256(content).hexdigest() == self.sha256


def version() -> str:
    """Return the pinned Kafka version."""
    found = ET.parse(POM).findtext(".//{*}kafka.version")  # noqa: S314  our own file
    if not found:
        raise EngineError(f"{POM} names no kafka.version: restore the file.")
    return found


def pinned() -> list[Pinned]:
    """Return the list."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return [Pinned(*line.split(" sha256:")) for line in lines if line and not line.startswith("#")]


def find_maven(environ: Mapping[str, str]) -> str | None:
    """Return the `mvn` command of `PATH`, or None."""
    return shutil.which("mvn", path=environ.get("PATH", ""))


def fetch(into: Path, *, environ: Mapping[str, str]) -> None:
    """Put every file of the list, and nothing else, into the empty directory `into`.

    Maven comes first where it is installed: its settings may name a mirror, and it may have the files
    already. Where it is missing or fails, the Python package maven-artifact fetches them; it reads from the
    repository that `LEADLINE_MAVEN` names, else from Maven Central. Raises EngineError with every reason.
    """
    ways: list[Callable[[Path], None]] = [partial(_without_maven, environ.get("LEADLINE_MAVEN", ""))]
    if maven := find_maven(environ):
        ways.insert(0, partial(_with_maven, maven))
    reasons = []
    for way in ways:
        try:
            way(into)
            _check(into)
        except _FailedError as error:
            reasons.append(str(error))
            shutil.rmtree(into)
            into.mkdir()
        else:
            return
    raise EngineError(
        f"Apache Kafka could not be fetched ({'; '.join(reasons)}): check the connection to Maven Central "
        f"(or name a mirror of it in Maven's settings.xml or in LEADLINE_MAVEN) and start again, "
        f"or set LEADLINE_KAFKA to a broker that runs."
    )


def _check(folder: Path) -> None:
    """Raise _FailedError unless exactly the files of the list are there, each as it was pinned."""
    wanted = {artifact.file: artifact for artifact in pinned()}
    there = {path.name for path in folder.iterdir()}
    if there != set(wanted):
        raise _FailedError(f"other files came than are pinned, {min(there ^ set(wanted))} for one")
    for name, artifact in wanted.items():
        if not artifact.is_in((folder / name).read_bytes()):
            raise _FailedError(f"{name} does not have the SHA-256 that is pinned")


def _with_maven(maven: str, into: Path, *options: str) -> None:
    argv = [maven, "-B", "-q", "--file", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    argv += [f"-DoutputDirectory={into}", *options]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise _FailedError(f"Maven had not ended after {_DOWNLOAD_SECONDS:.0f} seconds") from None
    if done.returncode != 0:
        raise _FailedError(f"Maven: {_first_error(done.stdout + done.stderr)}")


def _first_error(output: str) -> str:
    """Return the first error line of Maven's output, short enough for a sentence."""
    errors = (
        [line for line in output.splitlines() if line.startswith("[ERROR]")] or output.splitlines() or [""]
    )
    return errors[0].removeprefix("[ERROR]").strip()[:200] or "it gave no reason"


def _without_maven(repository: str, into: Path) -> None:
    try:
        from maven_artifact import Artifact, Downloader  # noqa: PLC0415  installed with embedded mode only
    except ImportError:
        raise _FailedError("the package maven-artifact is missing") from None
    # Of its downloader we take what knows where things are: its own download prints and checks nothing.
    client = Downloader(repository) if repository else Downloader()

    def fail(_: str, error: Exception) -> NoReturn:
        raise _FailedError(f"without Maven: {type(error).__name__}") from error

    def bring(wanted: Pinned) -> None:
        address = client.resolver.uri_for_artifact(Artifact.parse(wanted.coordinates))
        answer = client.requestor.request(address, fail, timeout=_ANSWER_SECONDS)
        (into / wanted.file).write_bytes(answer.content)

    with ThreadPoolExecutor(_AT_A_TIME) as together:
        list(together.map(bring, pinned()))


def _resolved(maven: str) -> Iterator[Pinned]:
    """Ask Maven what the pom comes to."""
    with tempfile.TemporaryDirectory() as folder:
        _with_maven(maven, Path(folder), "-Dmdep.useRepositoryLayout=true")
        for path in Path(folder).rglob("*.jar"):
            *group, name, release, _ = path.relative_to(folder).parts
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            yield Pinned(f"{'.'.join(group)}:{name}:{release}", digest)


def listing(maven: str) -> str:
    """Return what the list has to say, according to Maven."""
    resolved = sorted(_resolved(maven), key=lambda artifact: artifact.coordinates)
    return "".join(
        [
            "# Every file that pom.xml comes to. Made by `python -m deploy.embedded.artifacts`.\n",
            f"# pom.xml sha256:{hashlib.sha256(POM.read_bytes()).hexdigest()}\n",
            *(f"{artifact.coordinates} sha256:{artifact.sha256}\n" for artifact in resolved),
        ]
    )


def main(environ: Mapping[str, str]) -> None:
    """Write the list anew."""
    maven = find_maven(environ)
    if maven is None:
        sys.exit("Maven is needed to write the list: install it (the command is mvn).")
    try:
        LIST.write_text(listing(maven), encoding="utf-8")
    except _FailedError as error:
        sys.exit(f"{LIST} stays as it is ({error}).")


if __name__ == "__main__":
    import os

    main(os.environ)
