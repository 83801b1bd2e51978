"""The bad network of the chaos runs: what arrives, when, and what everybody is told."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.proxy import BLACKHOLE, CUT, PASSING, Proxy, latency, trickle

SOON_SECONDS = 5.0
"""What must come, comes within this time."""
NEVER_SECONDS = 0.2
"""What has not come by then, is held back."""


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets."""

    def handle(self) -> None:
        """Serve one connection until it ends, whichever way."""
        try:
            while got := self.request.recv(65536):
                self.request.sendall(got)
        except OSError:
            return


class EchoServer(socketserver.ThreadingTCPServer):
    """Ends its threads with itself."""

    daemon_threads = True
    block_on_close = False


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A network before an echo."""
    with EchoServer(("127.0.0.1", 0), Echo) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        try:
            with Proxy(("127.0.0.1", server.server_address[1])) as one:
                yield one
        finally:
            server.shutdown()
            serving.join()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    """A client of the echo that is connected through the network."""
    with connected(proxy) as one:
        yield one


def connected(proxy: Proxy) -> socket.socket:
    """Connect to the echo."""
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=SOON_SECONDS)


def echoed(client: socket.socket, sent: bytes) -> bytes:
    """Send, and return as many bytes as come back before the connection ends."""
    sender = threading.Thread(target=client.sendall, args=(sent,))
    sender.start()
    got = b""
    while len(got) < len(sent) and (piece := client.recv(65536)):
        got += piece
    sender.join()
    return got


def is_silent(client: socket.socket) -> bool:
    """Return whether nothing comes for a while, not even an end."""
    client.settimeout(NEVER_SECONDS)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(SOON_SECONDS)
    return False


def is_ended(client: socket.socket) -> bool:
    """Return whether the connection has been ended by the other side."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def test_a_network_passes_everything_in_order(client: socket.socket) -> None:
    """More than any buffer holds comes back unchanged."""
    sent = bytes(range(256)) * 8192
    assert echoed(client, sent) == sent


def test_an_end_is_passed_on_after_what_was_sent_before(client: socket.socket) -> None:
    """A client that has said all still hears the whole answer, then the end."""
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)
    got = b""
    while piece := client.recv(65536):
        got += piece
    assert got == b"last words"


def test_latency_is_paid_once_in_each_direction_and_does_not_limit_how_much_is_sent(
    proxy: Proxy, client: socket.socket
) -> None:
    """Two megabytes need hardly longer than two bytes, and neither less than twice the latency."""
    proxy.behave(latency(0.1))
    for size in (2, 2_000_000):
        begun = time.monotonic()
        assert len(echoed(client, b"x" * size)) == size
        assert 0.2 <= time.monotonic() - begun < 2.0


def test_a_trickle_lets_no_more_than_its_bytes_through(proxy: Proxy, client: socket.socket) -> None:
    """Five thousand bytes at ten thousand a second take half a second, less what the last piece saves."""
    proxy.behave(trickle(10_000))
    begun = time.monotonic()
    assert echoed(client, b"x" * 5_000) == b"x" * 5_000
    assert time.monotonic() - begun >= 0.4


def test_a_black_hole_takes_everything_and_says_nothing_until_it_is_healed(
    proxy: Proxy, client: socket.socket
) -> None:
    """Nothing is lost: what was sent into it arrives after the healing, in order."""
    proxy.behave(BLACKHOLE)
    client.sendall(b"first ")
    assert is_silent(client)
    client.sendall(b"second")
    proxy.behave(PASSING)
    got = b""
    while len(got) < len(b"first second"):
        got += client.recv(65536)
    assert got == b"first second"


def test_a_cut_ends_every_connection_and_each_new_one_until_it_is_healed(
    proxy: Proxy, client: socket.socket
) -> None:
    """Who is connected is told at once; who connects afterwards, too."""
    assert echoed(client, b"before") == b"before"
    proxy.behave(CUT)
    assert is_ended(client)
    with connected(proxy) as refused:
        assert is_ended(refused)
    assert proxy.connections == 0
    proxy.behave(PASSING)
    with connected(proxy) as fresh:
        assert echoed(fresh, b"after") == b"after"


def test_a_silent_network_can_still_be_cut(proxy: Proxy, client: socket.socket) -> None:
    """What it held is gone with the connection."""
    proxy.behave(BLACKHOLE)
    client.sendall(b"lost")
    assert is_silent(client)
    proxy.behave(CUT)
    assert is_ended(client)


def test_an_engine_that_does_not_answer_is_no_engine_for_the_client_either(tmp_path: Path) -> None:
    """A unix socket on which nobody listens ends the client's connection."""
    with Proxy(tmp_path / "nobody") as proxy, connected(proxy) as client:
        assert is_ended(client)


def test_a_taken_port_is_an_error_of_whoever_opens_the_network(proxy: Proxy) -> None:
    """It is not a thread that dies silently."""
    with pytest.raises(OSError, match="address already in use"), Proxy(("127.0.0.1", 1), port=proxy.port):
        pass
