"""Fetching Kafka's artifacts: once per pin, completely or not at all."""

import os
from pathlib import Path

import pytest

from deploy.embedded import kafka
from deploy.embedded.errors import EngineError


def maven(folder: Path, *, script: str) -> str:
    """A stand-in for `mvn` that counts its calls; `$OUT` is the directory it is to fill."""
    command = folder / "mvn"
    find_out = 'for a in "$@"; do case "$a" in -DoutputDirectory=*) OUT="${a#*=}";; esac; done'
    command.write_text(f'#!/bin/sh\n{find_out}\necho call >> "{folder}/calls"\n{script}\n')
    command.chmod(0o755)
    return str(command)


WORKS = 'mkdir -p "$OUT" && touch "$OUT/kafka_2.13-4.1.1.jar"'
BREAKS = 'mkdir -p "$OUT" && touch "$OUT/half.jar" && echo "[ERROR] Could not transfer artifact" && exit 1'


def calls(folder: Path) -> int:
    """How often the stand-in ran."""
    return len((folder / "calls").read_text().splitlines())


def test_the_artifacts_are_fetched_once(tmp_path: Path) -> None:
    """The second start finds the stamp and needs no Maven."""
    said: list[str] = []
    cache = tmp_path / "cache"
    first = kafka.ensure_libraries(cache, maven=maven(tmp_path, script=WORKS), say=said.append)
    second = kafka.ensure_libraries(cache, maven=None, say=said.append)
    assert first == second
    assert [path.name for path in first.iterdir()] == ["kafka_2.13-4.1.1.jar"]
    assert calls(tmp_path) == 1
    assert len(said) == 1


def test_a_broken_download_leaves_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    """One sentence with Maven's reason; the next start fetches again."""
    cache = tmp_path / "cache"
    with pytest.raises(EngineError, match=r"Could not transfer artifact.*check the connection") as caught:
        kafka.ensure_libraries(cache, maven=maven(tmp_path, script=BREAKS), say=print)
    assert "\n" not in str(caught.value)
    assert not kafka.have_libraries(cache)
    assert not list(cache.rglob("*.jar"))
    kafka.ensure_libraries(cache, maven=maven(tmp_path, script=WORKS), say=print)
    assert kafka.have_libraries(cache)


def test_a_download_that_claims_success_without_the_broker_is_broken_too(tmp_path: Path) -> None:
    """What counts is that the broker's own artifact is there."""
    with pytest.raises(EngineError, match="could not be fetched"):
        kafka.ensure_libraries(tmp_path, maven=maven(tmp_path, script="exit 0"), say=print)
    assert not kafka.have_libraries(tmp_path)


def test_artifacts_of_another_pin_are_fetched_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed pom.xml makes the stamp worthless."""
    command = maven(tmp_path, script=WORKS)
    kafka.ensure_libraries(tmp_path / "cache", maven=command, say=print)
    other = tmp_path / "pom.xml"
    other.write_bytes(kafka.POM.read_bytes() + b"<!-- another pin -->" + os.linesep.encode())
    monkeypatch.setattr(kafka, "POM", other)
    assert not kafka.have_libraries(tmp_path / "cache")
    kafka.ensure_libraries(tmp_path / "cache", maven=command, say=print)
    assert calls(tmp_path) == 2


def test_the_version_is_the_one_that_the_pom_pins() -> None:
    """The pom is the only place with the number."""
    assert f"<kafka.version>{kafka.version()}</kafka.version>" in kafka.POM.read_text()
