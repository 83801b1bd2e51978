"""Ports: the fixed one, the user's, a free one, and the sentence when it is taken."""

import socket
from collections.abc import Iterator

import pytest

from deploy.embedded.errors import EngineError
from deploy.embedded.ports import LOOPBACK, free_port, is_free, pick_port, wants_free_ports


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which something listens."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        yield listener.getsockname()[1]


def pick(default: int, environ: dict[str, str] | None = None, *, free: bool = False) -> int:
    """`pick_port` for a broker."""
    return pick_port(
        "Kafka", default=default, variable="LEADLINE_KAFKA_PORT", environ=environ or {}, free=free
    )


def test_the_fixed_port_is_used_when_it_is_free() -> None:
    """People can remember it."""
    port = free_port()
    assert pick(port) == port


def test_the_users_port_comes_before_the_fixed_one_and_before_a_free_one(taken: int) -> None:
    """The variable always decides."""
    port = free_port()
    assert pick(taken, {"LEADLINE_KAFKA_PORT": str(port)}, free=True) == port


def test_a_free_port_is_found_when_asked_for(taken: int) -> None:
    """The fixed one being taken does not matter then."""
    port = pick(taken, free=True)
    assert port != taken
    assert is_free(port)


def test_a_taken_port_says_which_variable_changes_it(taken: int) -> None:
    """One sentence: the port, what it is for, the variable."""
    with pytest.raises(EngineError, match=rf"Port {taken} for Kafka is taken: .*LEADLINE_KAFKA_PORT"):
        pick(taken)


@pytest.mark.parametrize("text", ["kafka", "0", "65536", "-1"])
def test_what_is_no_port_is_refused(text: str) -> None:
    """The sentence repeats what was written and says what would do."""
    with pytest.raises(EngineError, match=rf"LEADLINE_KAFKA_PORT={text} is not a port: set a number"):
        pick(1, {"LEADLINE_KAFKA_PORT": text})


@pytest.mark.parametrize(
    ("value", "wanted"), [("free", True), (" Free ", True), ("", False), ("fixed", False)]
)
def test_free_ports_are_asked_for_by_one_word(value: str, wanted: bool) -> None:
    """LEADLINE_PORTS=free."""
    assert wants_free_ports({"LEADLINE_PORTS": value}) is wanted
