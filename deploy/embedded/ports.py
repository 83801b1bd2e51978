"""TCP ports: fixed ones that people can remember, free ones for tests and parallel checkouts."""

import socket
from collections.abc import Mapping

from deploy.embedded.errors import EngineError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a port nothing listens on now. Another process may still take it before it is used."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Return whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As every server does it: connections of an earlier run that are winding down do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def wants_free_ports(environ: Mapping[str, str]) -> bool:
    """Return whether `LEADLINE_PORTS=free` asks for free ports in place of the fixed ones."""
    return environ.get("LEADLINE_PORTS", "").strip().lower() == "free"


def pick_port(what: str, *, default: int, variable: str, environ: Mapping[str, str], free: bool) -> int:
    """Return the port for `what`: `variable` when set, else a free one when `free`, else `default`.

    Raises EngineError when the port is not a number or already taken.
    """
    text = environ.get(variable, "").strip()
    if not text:
        if free:
            return free_port()
        text = str(default)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise EngineError(f"{variable}={text} is not a port: set a number between 1 and 65535.")
    port = int(text)
    if not is_free(port):
        raise EngineError(
            f"Port {port} for {what} is taken: stop what listens there, or set {variable} to another port "
            f"(LEADLINE_PORTS=free takes any)."
        )
    return port
