"""Which engine serves, and what a person reads when none can."""

import re
from pathlib import Path

import pytest

from deploy.embedded import kafka
from deploy.embedded.engines import Engines, Found, choose_broker, choose_database, look_around
from deploy.embedded.errors import EngineError
from deploy.embedded.kafka import Java, java_major


def found(
    *,
    java: int | None = 17,
    maven: bool = True,
    libraries: bool = False,
    mesh: bool = True,
    pgserver: bool = True,
) -> Found:
    """A machine that has everything but what the test takes away."""
    return Found(
        java=Java("java", java) if java else None,
        maven="mvn" if maven else None,
        kafka_libraries=libraries,
        mesh=mesh,
        pgserver=pgserver,
    )


class TestBroker:
    """`choose_broker`."""

    def test_a_broker_that_the_user_names_wins_over_everything(self) -> None:
        """LEADLINE_KAFKA is used even where Apache Kafka could start."""
        choice = choose_broker({"LEADLINE_KAFKA": "broker:9092", "LEADLINE_BROKER": "mesh"}, found())
        assert (choice.kind, choice.reason) == ("external", "LEADLINE_KAFKA names it")

    def test_apache_kafka_serves_where_java_and_maven_are_there(self) -> None:
        """The reason names the Java that was found."""
        choice = choose_broker({}, found(java=21))
        assert (choice.kind, choice.reason) == ("kafka", "Java 21 and Maven are here")

    def test_kafka_needs_no_maven_once_its_artifacts_were_fetched(self) -> None:
        """A second start works without Maven and without a network."""
        assert choose_broker({}, found(maven=False, libraries=True)).kind == "kafka"

    @pytest.mark.parametrize(
        ("machine", "reason"),
        [
            (found(java=None), "no Java was found, which Apache Kafka needs"),
            (found(java=11), "Java 11 is older than 17, which Apache Kafka needs"),
            (found(maven=False), "no Maven was found, which Apache Kafka needs"),
        ],
    )
    def test_the_fallback_serves_where_kafka_lacks_something(self, machine: Found, reason: str) -> None:
        """The reason says what is lacking."""
        choice = choose_broker({}, machine)
        assert (choice.kind, choice.reason) == ("mesh", reason)

    @pytest.mark.parametrize("asked", ["kafka", "mesh"])
    def test_a_broker_that_was_asked_for_is_taken(self, asked: str) -> None:
        """LEADLINE_BROKER decides where both could serve."""
        assert choose_broker({"LEADLINE_BROKER": asked}, found()).kind == asked

    def test_kafka_that_was_asked_for_is_never_replaced(self) -> None:
        """Whoever asks for Kafka gets an error rather than the fallback."""
        with pytest.raises(EngineError, match="Java 8 is older than 17: install"):
            choose_broker({"LEADLINE_BROKER": "kafka"}, found(java=8))

    @pytest.mark.parametrize(
        ("environ", "machine"),
        [
            ({}, found(java=None, mesh=False)),
            ({"LEADLINE_BROKER": "mesh"}, found(mesh=False)),
            ({"LEADLINE_BROKER": "rabbit"}, found()),
        ],
    )
    def test_without_a_broker_one_sentence_says_what_to_do(
        self, environ: dict[str, str], machine: Found
    ) -> None:
        """One line, ending with a full stop, that names a remedy."""
        with pytest.raises(EngineError) as caught:
            choose_broker(environ, machine)
        assert re.fullmatch(r"[^\n]+: (install|run|set) [^\n]+\.", str(caught.value))


class TestDatabase:
    """`choose_database`."""

    def test_a_database_that_the_user_names_wins(self) -> None:
        """LEADLINE_DATABASE is used even where the package is installed."""
        assert choose_database({"LEADLINE_DATABASE": "postgresql://db/care"}, found()).kind == "external"

    def test_the_package_serves_otherwise(self) -> None:
        """The reason names the variable that would change it."""
        choice = choose_database({}, found())
        assert (choice.kind, choice.reason) == ("pgserver", "LEADLINE_DATABASE is not set")

    def test_without_a_database_one_sentence_says_what_to_do(self) -> None:
        """It names the package and the variable."""
        with pytest.raises(EngineError, match=r"pip install 'leadline\[embedded\]'.*LEADLINE_DATABASE"):
            choose_database({}, found(pgserver=False))


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
    stub = tmp_path / "java"
    stub.write_text("#!/bin/sh\necho 'no Java Runtime present' >&2\nexit 1\n")
    stub.chmod(0o755)
    assert look_around({"PATH": str(tmp_path)}, tmp_path).java is None


def test_the_java_of_java_home_comes_before_the_one_of_the_path(tmp_path: Path) -> None:
    """As every Java tool does it."""
    for folder, version in (("home/bin", "21.0.1"), ("path", "11.0.2")):
        (tmp_path / folder).mkdir(parents=True)
        stub = tmp_path / folder / "java"
        stub.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
        stub.chmod(0o755)
    environ = {"PATH": str(tmp_path / "path"), "JAVA_HOME": str(tmp_path / "home")}
    java = kafka.find_java(environ)
    assert java is not None
    assert java.major == 21


def test_child_processes_learn_the_engines_from_their_environment() -> None:
    """The variables that services/kernel/settings.py reads, and nothing else."""
    engines = Engines(
        "127.0.0.1:1", "name", "reason", False, 25, "postgresql+asyncpg:///x_{service}", "pg", "r"
    )
    assert engines.env() == {
        "LEADLINE_KAFKA": "127.0.0.1:1",
        "LEADLINE_KAFKA_IDEMPOTENT": "false",
        "LEADLINE_KAFKA_FETCH_WAIT_MS": "25",
        "LEADLINE_DATABASE": "postgresql+asyncpg:///x_{service}",
    }
