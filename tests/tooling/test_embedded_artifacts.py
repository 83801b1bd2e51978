"""Fetching Kafka's artifacts: once per pin, each as it was pinned, with Maven or without it."""

import hashlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from deploy.embedded import artifacts, kafka
from deploy.embedded.errors import EngineError

BROKER, LOGGER = b"the broker", b"the logger"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and keeps no log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@pytest.fixture(autouse=True)
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A list of two small files in place of the real one."""
    file = tmp_path / "artifacts.txt"
    file.write_text(
        "# a comment\n"
        f"org.example:broker_2.13:4.1 sha256:{hashlib.sha256(BROKER).hexdigest()}\n"
        f"org.example.log:logger:1.7 sha256:{hashlib.sha256(LOGGER).hexdigest()}\n"
    )
    monkeypatch.setattr(artifacts, "LIST", file)
    monkeypatch.setattr(kafka, "LIST", file)
    return file


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The directory of a Maven repository that has both files."""
    for name, content in (
        ("org/example/broker_2.13/4.1/broker_2.13-4.1.jar", BROKER),
        ("org/example/log/logger/1.7/logger-1.7.jar", LOGGER),
    ):
        path = tmp_path / "repository" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return tmp_path / "repository"


@pytest.fixture
def environ(repository: Path) -> Iterator[dict[str, str]]:
    """An environment without Maven that names the repository, which is served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(repository))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield {"PATH": "", "LEADLINE_MAVEN": f"http://127.0.0.1:{server.server_port}"}
        server.shutdown()
        thread.join()


def maven(folder: Path, *, script: str) -> dict[str, str]:
    """An environment with a stand-in for `mvn` whose `$OUT` is the directory to fill, and no repository."""
    command = folder / "bin" / "mvn"
    command.parent.mkdir(exist_ok=True)
    find_out = 'for a in "$@"; do case "$a" in -DoutputDirectory=*) OUT="${a#*=}";; esac; done'
    command.write_text(f"#!/bin/sh\n{find_out}\n{script}\n")
    command.chmod(0o755)
    return {"PATH": str(command.parent), "LEADLINE_MAVEN": "http://127.0.0.1:9/nobody-listens"}


def printing(broker: bytes = BROKER) -> str:
    """The script of a Maven that brings both files."""
    return f"""
printf '%s' '{broker.decode()}' > "$OUT/broker_2.13-4.1.jar"
printf '%s' '{LOGGER.decode()}' > "$OUT/logger-1.7.jar"
"""


def names(folder: Path) -> list[str]:
    """What lies in the directory."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """An empty directory."""
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


def test_without_maven_every_pinned_file_is_fetched(into: Path, environ: dict[str, str]) -> None:
    """From the repository that the environment names."""
    artifacts.fetch(into, environ=environ)
    assert names(into) == ["broker_2.13-4.1.jar", "logger-1.7.jar"]
    assert (into / "broker_2.13-4.1.jar").read_bytes() == BROKER


def test_maven_comes_first_where_it_is_installed(tmp_path: Path, into: Path) -> None:
    """The repository, which does not answer here, is not asked."""
    artifacts.fetch(into, environ=maven(tmp_path, script=printing()))
    assert names(into) == ["broker_2.13-4.1.jar", "logger-1.7.jar"]


@pytest.mark.parametrize(
    "script", ["exit 1", printing(b"something else"), printing() + 'touch "$OUT/more.jar"', "exit 0"]
)
def test_where_maven_brings_something_else_the_files_come_without_it(
    script: str, tmp_path: Path, into: Path, environ: dict[str, str]
) -> None:
    """Nothing of what Maven left stays."""
    artifacts.fetch(into, environ=environ | {"PATH": maven(tmp_path, script=script)["PATH"]})
    assert names(into) == ["broker_2.13-4.1.jar", "logger-1.7.jar"]
    assert (into / "broker_2.13-4.1.jar").read_bytes() == BROKER


def test_a_file_that_differs_from_its_pin_is_never_taken(
    into: Path, environ: dict[str, str], repository: Path
) -> None:
    """One sentence that names the file; nothing is kept."""
    (repository / "org/example/log/logger/1.7/logger-1.7.jar").write_bytes(b"swapped")
    with pytest.raises(EngineError, match=r"\(logger-1\.7\.jar does not have the SHA-256 .*: check the"):
        artifacts.fetch(into, environ=environ)
    assert names(into) == []


def test_each_way_that_failed_gives_its_reason_in_one_sentence(tmp_path: Path, into: Path) -> None:
    """Maven's first error, and why it did not go without Maven."""
    broken = maven(tmp_path, script='echo "[ERROR] Could not transfer artifact"; exit 1')
    with pytest.raises(EngineError) as caught:
        artifacts.fetch(into, environ=broken)
    words = str(caught.value)
    assert "(Maven: Could not transfer artifact; without Maven: ConnectionError)" in words
    assert "\n" not in words
    assert "LEADLINE_KAFKA" in words


def test_the_artifacts_are_fetched_once_for_each_pin(
    tmp_path: Path, environ: dict[str, str], pins: Path, repository: Path
) -> None:
    """A second start needs neither Maven nor a network; a changed list makes what is kept worthless."""
    said: list[str] = []
    cache = tmp_path / "cache"
    first = kafka.ensure_artifacts(cache, environ=environ, say=said.append)
    assert kafka.have_artifacts(cache)
    assert kafka.ensure_artifacts(cache, environ={}, say=said.append) == first
    assert len(said) == 1
    pins.write_text(pins.read_text().splitlines()[1])
    assert not kafka.have_artifacts(cache)
    assert names(kafka.ensure_artifacts(cache, environ=environ, say=said.append)) == ["broker_2.13-4.1.jar"]


def test_a_download_that_broke_off_is_made_anew(
    tmp_path: Path, environ: dict[str, str], repository: Path
) -> None:
    """Nothing half-done counts as there."""
    cache = tmp_path / "cache"
    logger = repository / "org/example/log/logger/1.7/logger-1.7.jar"
    logger.rename(tmp_path / "away")
    with pytest.raises(EngineError, match="HTTPError"):
        kafka.ensure_artifacts(cache, environ=environ, say=print)
    assert not kafka.have_artifacts(cache)
    assert not list(cache.rglob("*.jar"))
    (tmp_path / "away").rename(logger)
    kafka.ensure_artifacts(cache, environ=environ, say=print)
    assert kafka.have_artifacts(cache)


def test_the_list_belongs_to_the_pom(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pom that changed without its list is found here: `python -m deploy.embedded.artifacts` writes it."""
    monkeypatch.undo()
    text = artifacts.LIST.read_text()
    assert f"# pom.xml sha256:{hashlib.sha256(artifacts.POM.read_bytes()).hexdigest()}" in text.splitlines()
    files = [artifact.file for artifact in artifacts.pinned()]
    assert f"kafka_2.13-{artifacts.version()}.jar" in files
    assert len(files) == len(set(files))
    assert all(len(artifact.sha256) == 64 for artifact in artifacts.pinned())


def test_the_version_is_the_one_that_the_pom_pins() -> None:
    """The pom is the only place with the number."""
    assert f"<kafka.version>{artifacts.version()}</kafka.version>" in artifacts.POM.read_text()
