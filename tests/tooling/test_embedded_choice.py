"""Which engine serves, and what a person reads when none can."""

import re

import pytest

from deploy.embedded.engines import Engines, Found, choose_broker, choose_database
from deploy.embedded.errors import EngineError
from deploy.embedded.java import Java


def found(
    *,
    java: int | None = 17,
    artifacts: bool = True,
    mesh: bool = True,
    pgserver: bool = True,
) -> Found:
    """A machine that has everything but what the test takes away."""
    return Found(
        java=Java("java", java) if java else None,
        kafka_artifacts=artifacts,
        mesh=mesh,
        pgserver=pgserver,
    )


class TestBroker:
    """`choose_broker`."""

    def test_a_broker_that_the_user_names_wins_over_everything(self) -> None:
        """LEADLINE_KAFKA is used even where Apache Kafka could start."""
        choice = choose_broker({"LEADLINE_KAFKA": "broker:9092", "LEADLINE_BROKER": "mesh"}, found())
        assert (choice.kind, choice.reason) == ("external", "LEADLINE_KAFKA names it")

    @pytest.mark.parametrize(
        ("machine", "reason"),
        [
            (found(java=21), "Java 21 is here and its artifacts were fetched before"),
            (found(java=21, artifacts=False), "Java 21 is here and its artifacts were fetched"),
            (found(java=None), "no Java was found, so one came from PyPI"),
            (found(java=11), "Java 11 is older than 17, so another one came from PyPI"),
            (found(java=None, artifacts=False, mesh=False), "no Java was found, so one came from PyPI"),
        ],
    )
    def test_apache_kafka_serves_whatever_the_machine_has(self, machine: Found, reason: str) -> None:
        """What it lacks is fetched, and the reason says so."""
        choice = choose_broker({}, machine)
        assert (choice.kind, choice.reason) == ("kafka", reason)

    @pytest.mark.parametrize("asked", ["kafka", "mesh"])
    def test_a_broker_that_was_asked_for_is_taken(self, asked: str) -> None:
        """LEADLINE_BROKER decides where both could serve."""
        assert choose_broker({"LEADLINE_BROKER": asked}, found()).kind == asked

    @pytest.mark.parametrize(
        ("environ", "machine"),
        [
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


def test_child_processes_learn_the_engines_from_their_environment() -> None:
    """The variables that services/kernel/base/settings.py reads, and nothing else."""
    engines = Engines(
        "127.0.0.1:1", "name", "reason", False, 25, "postgresql+asyncpg:///x_{service}", "pg", "r"
    )
    assert engines.env() == {
        "LEADLINE_KAFKA": "127.0.0.1:1",
        "LEADLINE_KAFKA_IDEMPOTENT": "false",
        "LEADLINE_KAFKA_FETCH_WAIT_MS": "25",
        "LEADLINE_DATABASE": "postgresql+asyncpg:///x_{service}",
    }
