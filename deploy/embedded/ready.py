"""Waiting until an engine serves."""

import socket
import struct
import time
from collections.abc import Callable

from deploy.embedded.errors import EngineError
from deploy.embedded.processes import Child


class EndedEarlyError(EngineError):
    """The engine's process ended before it served."""


def wait_until_ready(child: Child, what: str, ready: Callable[[], bool], *, within: float) -> None:
    """Return when `ready()` is true.

    Raises EndedEarlyError when the process ends first, EngineError after `within` seconds.
    """
    deadline = time.monotonic() + within
    while not ready():
        if child.exit_code() is not None:
            hint = child.last_words()
            raise EndedEarlyError(
                f"{what} ended while it was starting, its log {child.spec.log} tells why"
                + (f" (last line: {hint})." if hint else ".")
            )
        if time.monotonic() > deadline:
            raise EngineError(
                f"{what} did not answer within {within:.0f} seconds: "
                f"look into {child.spec.log}, then start again."
            )
        time.sleep(0.05)


def accepts_connections(address: str) -> bool:
    """Return whether something listens at `host:port`."""
    try:
        with _connect(address):
            return True
    except (OSError, ValueError):
        return False


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=2)


def kafka_answers(bootstrap: str) -> bool:
    """Return whether a broker at `host:port` answers Kafka's ApiVersions request.

    A broker opens its client port only when it can serve, so an answer means ready.
    """
    client = b"leadline"
    # Header v1 of request 18 (ApiVersions) version 0: api key, api version, correlation id, client id.
    request = struct.pack(f">hhih{len(client)}s", 18, 0, 1, len(client), client)
    try:
        with _connect(bootstrap) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            return len(connection.recv(8)) == 8  # length and correlation id
    except (OSError, ValueError):
        return False
