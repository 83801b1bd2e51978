"""A single-node Apache Kafka (KRaft) from its Maven Central artifacts.

`kafka-runtime/pom.xml` pins the version. The artifacts are copied once per pin; the data stays in
`var/kafka`, so topics and offsets survive a restart.
"""

# ruff: noqa: S603 - starting programs is what this module is for

import base64
import hashlib
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from functools import partial
from pathlib import Path
from uuid import uuid4

from deploy.embedded.errors import EngineError
from deploy.embedded.ports import LOOPBACK, free_port
from deploy.embedded.processes import Child, Children, Spec
from deploy.embedded.ready import EndedEarlyError, kafka_answers, wait_until_ready

POM = Path(__file__).parent / "kafka-runtime" / "pom.xml"
DEFAULT_PORT = 29092
JAVA_NEEDED = 17
_START_SECONDS = 90.0

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
_DOWNLOAD_SECONDS = 900.0


def version() -> str:
    """Return the pinned Kafka version."""
    found = ET.parse(POM).findtext(".//{*}kafka.version")  # noqa: S314  our own file
    if not found:
        raise EngineError(f"{POM} names no kafka.version: restore the file.")
    return found


@dataclass(frozen=True)
class Java:
    """A Java that runs: the command and its major version."""

    command: str
    major: int


def find_java(environ: Mapping[str, str]) -> Java | None:
    """Return the Java of `JAVA_HOME`, else of `PATH`; None when neither runs."""
    home = environ.get("JAVA_HOME", "")
    candidates = [str(Path(home) / "bin" / "java")] if home else []
    if on_path := shutil.which("java", path=environ.get("PATH", "")):
        candidates.append(on_path)
    for command in candidates:
        try:
            # macOS ships a `java` that only says there is none: a version must really come out.
            output = subprocess.run(
                [command, "-version"], capture_output=True, text=True, timeout=30, check=True
            )
        except (OSError, subprocess.SubprocessError):
            continue
        if major := java_major(output.stderr + output.stdout):
            return Java(command, major)
    return None


def java_major(output: str) -> int | None:
    """Return the major version in the output of `java -version` (8 for "1.8.0_402"), or None."""
    found = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(found.group(1)) if found else None


def find_maven(environ: Mapping[str, str]) -> str | None:
    """Return the `mvn` command of `PATH`, or None."""
    return shutil.which("mvn", path=environ.get("PATH", ""))


def libraries(cache: Path) -> Path:
    """Return where the artifacts of the pinned version are kept below `cache`."""
    return cache / "kafka" / "libs"


def have_libraries(cache: Path) -> bool:
    """Return whether the artifacts of exactly this pin were copied completely."""
    stamp = cache / "kafka" / "stamp"
    return stamp.exists() and stamp.read_text(encoding="utf-8") == _pin()


def _pin() -> str:
    return hashlib.sha256(POM.read_bytes()).hexdigest()


def ensure_libraries(cache: Path, *, maven: str | None, say: Callable[[str], None]) -> Path:
    """Return the directory of the artifacts, fetched with Maven when this pin is not there yet.

    Raises EngineError when the download fails; nothing half-done is kept.
    """
    libs = libraries(cache)
    with _one_at_a_time(cache / "kafka"):
        if have_libraries(cache):
            return libs
        if maven is None:
            raise EngineError("Maven is needed once to fetch Apache Kafka: install it (the command is mvn).")
        say(f"fetching Apache Kafka {version()} with Maven, once (about 43 MB)")
        draft = cache / "kafka" / "libs.new"
        for old in (draft, libs):
            shutil.rmtree(old, ignore_errors=True)
        _copy_dependencies(maven, draft)
        draft.replace(libs)
        (cache / "kafka" / "stamp").write_text(_pin(), encoding="utf-8")
    return libs


def _copy_dependencies(maven: str, into: Path) -> None:
    argv = [
        maven,
        "-B",
        "-q",
        "--file",
        str(POM),
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={into}",
    ]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False)
        output, failed = done.stdout + done.stderr, done.returncode != 0
    except subprocess.TimeoutExpired:
        output, failed = f"no end after {_DOWNLOAD_SECONDS:.0f} seconds", True
    if failed or not list(into.glob("kafka_2.13-*.jar")):
        shutil.rmtree(into, ignore_errors=True)
        raise EngineError(
            f"Apache Kafka could not be fetched with Maven ({_first_error(output)}): check the connection to "
            f"Maven Central (or the mirror in Maven's settings.xml) and start again, "
            f"or set LEADLINE_KAFKA to a broker that runs."
        )


def _first_error(output: str) -> str:
    """Return the first error line of Maven's output, short enough for a sentence."""
    errors = (
        [line for line in output.splitlines() if line.startswith("[ERROR]")] or output.splitlines() or [""]
    )
    return errors[0].removeprefix("[ERROR]").strip()[:200] or "it gave no reason"


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process at a time fetch into `folder`: parallel starts share what the first one fetched."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        flock(lock, LOCK_EX)
        yield


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
        _format(base, home, settings)
    return children.spawn(Spec("kafka", (*base, *_JVM, "kafka.Kafka", str(settings)), log, cwd=home))


def _format(base: tuple[str, ...], home: Path, settings: Path) -> None:
    """Give the data directory a new cluster id."""
    shutil.rmtree(home / "data", ignore_errors=True)  # what a format that was interrupted left
    cluster = base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")  # Kafka's own spelling of an id
    cluster = "L" + cluster[1:]  # an id that starts with a dash would be read as an option
    argv = (*base, "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool")
    argv += ("format", "--cluster-id", cluster, "--config", str(settings))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_START_SECONDS, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1][:300]
        raise EngineError(
            f"Apache Kafka could not prepare {home} ({reason}): remove that directory, start again."
        )
