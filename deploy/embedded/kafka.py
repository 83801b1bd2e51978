"""A single-node Apache Kafka (KRaft) from its Maven artifacts.

artifacts.py knows the version and brings the artifacts, once per pin. The data stays in `var/kafka`, so
topics and offsets survive a restart.
"""

# ruff: noqa: S603 - starting programs is what this module is for

import base64
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from uuid import uuid4

from deploy.embedded.artifacts import LIST, fetch, version
from deploy.embedded.errors import EngineError
from deploy.embedded.fetched import Fetched
from deploy.embedded.java import Java
from deploy.embedded.ports import LOOPBACK, free_port
from deploy.embedded.processes import Child, Children, Spec
from deploy.embedded.ready import EndedEarlyError, kafka_answers, wait_until_ready

DEFAULT_PORT = 29092
_START_SECONDS = 90.0

FORMATTED = "formatted"
"""Beside the artifacts: a data directory as this version of Kafka formats it."""

_JVM = (
    "-Xms256m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    # The first compiler alone. The second one and the counters it needs cost this small broker more than its
    # code saves: 8.3 ms of CPU against 5.5 for one referral's requests, 34 us against 17 for a bulk event.
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)


def have_artifacts(cache: Path) -> bool:
    """Return whether the artifacts of exactly this pin are kept below `cache`."""
    return _kept(cache).is_complete()


def ensure_artifacts(cache: Path, *, environ: Mapping[str, str], say: Callable[[str], None]) -> Path:
    """Return the directory of the artifacts, fetched unless this pin is there. Raises EngineError."""

    def fill(into: Path) -> None:
        say(f"fetching Apache Kafka {version()}, once (about 43 MB)")
        fetch(into, environ=environ)

    return _kept(cache).ensure(fill)


def _kept(cache: Path) -> Fetched:
    return Fetched(cache / "kafka", LIST)


def server_properties(data: Path, *, port: int, controller_port: int) -> str:
    """Return the broker's settings: one node, broker and controller in one, on the loopback address."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data).replace("\\", "\\\\"),
        "auto.create.topics.enable": "false",  # topics come from schemas/topics.py, never by accident
        "message.max.bytes": "4194304",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",  # one worker should not wait for others that may never come
        # A few clients on a few cores: threads that share the work only wake each other.
        "num.network.threads": "1",
        "num.io.threads": "2",
        "background.threads": "2",
        "group.coordinator.threads": "1",
        "metadata.max.idle.interval.ms": "0",  # an idle broker writes that it is idle, twice a second
        "group.min.session.timeout.ms": "1000",  # tests and the demo want a dead worker noticed fast
        # A broker that was killed may come back only when its former self has timed out (default: 9 s).
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "3000",
        "log.segment.delete.delay.ms": "1000",
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def start(
    children: Children,
    home: Path,
    *,
    java: Java,
    libs: Path,
    port: int,
    log: Path,
    other_port: Callable[[], int] | None = None,
) -> tuple[Child, str]:
    """Start the broker with its data in `home` and return it with its bootstrap address, once it answers.

    `other_port` gives another port when somebody was faster to take the first (free ports); without it that
    is an error. The cluster id stays in the data directory, so a broker that lost its data is noticed.
    """
    for attempts_left in (2, 1, 0):
        child = _spawn(children, home, java=java, libs=libs, port=port, log=log)
        try:
            wait_until_ready(
                child,
                f"Apache Kafka {version()}",
                partial(kafka_answers, f"{LOOPBACK}:{port}"),
                within=_START_SECONDS,
            )
        except EndedEarlyError:
            if other_port is None or not attempts_left or not _port_was_taken(child):
                raise
            port = other_port()
        else:
            return child, f"{LOOPBACK}:{port}"
    raise AssertionError("unreachable")


def _port_was_taken(child: Child) -> bool:
    tail = child.spec.log.read_bytes()[-20_000:]
    return b"Address already in use" in tail


def _spawn(children: Children, home: Path, *, java: Java, libs: Path, port: int, log: Path) -> Child:
    data = home / "data"
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "server.properties"
    # The controller's port matters to nobody outside, so it is always a free one.
    settings.write_text(server_properties(data, port=port, controller_port=free_port()), encoding="utf-8")
    base = (java.command, "-cp", f"{libs}{os.sep}*", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
    if not (data / "meta.properties").exists():
        format_data(data, like=_formatted(base, libs))
    return children.spawn(Spec("kafka", (*base, *_JVM, "kafka.Kafka", str(settings)), log, cwd=home))


def format_data(data: Path, *, like: Path) -> None:
    """Copy a data directory, with new ids of the cluster and the directory."""
    shutil.rmtree(data, ignore_errors=True)  # what a format that was interrupted left
    draft = data.with_name("data.new")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(like, draft)
    names = draft / "meta.properties"
    old = names.read_text(encoding="utf-8")
    fresh = re.sub(r"(?m)^(cluster|directory)\.id=.*$", lambda line: f"{line[1]}.id={_new_id()}", old)
    names.write_text(fresh, encoding="utf-8")
    draft.replace(data)


def _formatted(base: Sequence[str], libs: Path) -> Path:
    """Return a data directory as Kafka formats it; made once for each version, for it takes a JVM's start."""
    kept = libs / FORMATTED
    if kept.is_dir():
        return kept
    with tempfile.TemporaryDirectory(dir=libs) as draft:
        data, settings = Path(draft) / "data", Path(draft) / "server.properties"
        settings.write_text(server_properties(data, port=0, controller_port=0), encoding="utf-8")
        argv = (*base, "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool")
        argv += ("format", "--cluster-id", _new_id(), "--config", str(settings))
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_START_SECONDS, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1][:300]
            raise EngineError(
                f"Apache Kafka could not format a data directory ({reason}):"
                f" remove {libs.parent}, start again, and it is fetched anew."
            )
        with suppress(OSError):  # another process was faster: its directory is as good
            data.rename(kept)
    return kept


def _new_id() -> str:
    """Return an id as Kafka itself spells them; one that starts with a dash would be read as an option."""
    return "L" + base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")[1:]
