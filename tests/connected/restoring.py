"""A small county whose stores can be backed up, lost and restored while the rest of the system goes on."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from aiokafka.admin import AIOKafkaAdminClient
from anyio.from_thread import start_blocking_portal
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from deploy.embedded import postgres
from deploy.embedded.engines import Engines
from deploy.embedded.mail import messages
from deploy.embedded.ports import LOOPBACK, free_port
from deploy.embedded.ready import accepts_connections
from services.cli.catalogue import SERVICES
from services.cli.main import app
from tests.connected.conftest import ROOT, eventually
from tests.counterparts.serving import serving
from tests.counterparts.webhook_receiver import Receiver

Tables = Mapping[str, list[str]]
"""Every row of every table, as text, in an order that does not depend on who wrote it first."""

PASSED_OVER: Mapping[str, frozenset[str]] = {
    "inbox": frozenset({"received_at"}),
    "journal": frozenset({"position"}),
    "objectives": frozenset({"words", "childs_words"}),
    # Where in the queue a delivery stood, and how often its channel was refused before it was taken.
    "deliveries": frozenset({"position", "refusals"}),
    # Counts how often somebody has arranged something: with what they have arranged it need not agree.
    "arrangements": frozenset({"version"}),
    # Given anew, in the order in which a store learns again what it tells.
    "referrer_updates": frozenset({"position", "digest"}),
}
"""Columns that say when and where a store wrote something, and what never leaves it."""

NOT_COMPARED = frozenset({"alembic_version", "bus_marks", "requests"})


@dataclass
class Town:
    """Engines, and the processes of every service on them, each to be stopped and started."""

    engines: Engines
    env: Mapping[str, str]
    site: str
    backups: Path
    mail: Path
    """Where the mail server keeps what it gets."""
    receiver: Receiver
    """The partners' endpoints that webhooks go to."""
    hooks: str
    """Their address."""
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def mails(self) -> list[str]:
        """Return the Message-ID of every email that went out; of one that went twice, twice."""
        return sorted(str(mail["Message-ID"]) for mail in messages(self.mail))

    def start(self, *services: str) -> None:
        """Start the workers of services and, when it is not there, the web process of all."""
        for service in services:
            self._spawn(f"worker-{service}", "worker", service)
        if "web" not in self.processes:
            self._spawn("web", "web", *SERVICES)
            eventually(self._answers, "the site answers", within=180.0)

    def stop(self, *services: str) -> None:
        """Stop the workers of services, and the web process, for it is connected to every store."""
        names = [f"worker-{service}" for service in services] + ["web"]
        ended = [self.processes.pop(name) for name in names if name in self.processes]
        for process in ended:
            process.terminate()
        for process in ended:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def cli(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command as an operator would, in this process: a start of its own takes longer than most."""
        done = CliRunner().invoke(app, arguments, env={**self.env, "COLUMNS": "200"})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def back_up(self) -> None:
        """Take a backup of every store while everybody works: what the runbook says, with pg_dump."""
        self.backups.mkdir(parents=True, exist_ok=True)
        for service in SERVICES:
            file = str(self.backups / f"{service}.dump")
            self._run("pg_dump", "--format=custom", f"--file={file}", self._address(service))

    def restore(self, service: str) -> None:
        """Put a store back to where it was at the backup."""
        self.lose(service)
        file = str(self.backups / f"{service}.dump")
        self._run("pg_restore", "--exit-on-error", f"--dbname={self._address(service)}", file)

    def lose(self, service: str) -> None:
        """Leave nothing of a store but an empty database."""
        name = f"leadline_{service}"
        drop = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
        for statement in (drop, f"CREATE DATABASE {name}"):
            self._run("psql", "--quiet", f"--command={statement}", self._address("referral", "postgres"))

    async def at_work(self, service: str) -> None:
        """Wait until a service's worker reads from the bus: what it would do wrongly, it could do now."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.engines.kafka)
        await admin.start()
        try:
            give_up = asyncio.get_running_loop().time() + 60
            state = ""
            while state != "Stable":
                assert asyncio.get_running_loop().time() < give_up, f"{service} reads nothing: it is {state}"
                await asyncio.sleep(0.1)
                (answer,) = await admin.describe_consumer_groups([service])
                ((_, _, state, *_),) = answer.groups
        finally:
            await admin.close()

    async def tables(self, service: str) -> Tables:
        """Return what a store holds."""
        connection = await asyncpg.connect(self._address(service))
        try:
            names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            return {
                name: sorted(
                    json.dumps(_shown(name, json.loads(row)), sort_keys=True)
                    for (row,) in await connection.fetch(f"SELECT to_jsonb(t)::text FROM {name} AS t")
                )
                for (name,) in names
                if name not in NOT_COMPARED
            }
        finally:
            await connection.close()

    async def rows(self, service: str, sql: str, *arguments: object) -> list[Any]:
        """Return the rows of a query."""
        connection = await asyncpg.connect(self._address(service))
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    def _address(self, service: str, database: str | None = None) -> str:
        url = make_url(self.engines.database_url.replace("{service}", service)).set(drivername="postgresql")
        return url.set(database=database or url.database).render_as_string(hide_password=False)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(postgres.programs() / program), *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def _spawn(self, name: str, *arguments: str) -> None:
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", "services.cli.main", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.env},
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.site}/health", timeout=5.0).is_success
        except httpx.HTTPError:
            return False


@contextmanager
def living(town: Town) -> Iterator[Town]:
    """Run every service of a town; stop whatever is left of them at the end."""
    try:
        town.start(*SERVICES)
        yield town
    finally:
        town.stop(*SERVICES)


@contextmanager
def mail_server(folder: Path) -> Iterator[str]:
    """Run the mail server of the demo as its own process; give its address."""
    port = free_port()
    address = f"{LOOPBACK}:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.embedded.mail", "--port", str(port), "--dir", str(folder)], cwd=ROOT
    )
    try:
        eventually(lambda: accepts_connections(address), "the mail server listens")
        yield address
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def partners() -> Iterator[tuple[Receiver, str]]:
    """Run partners' endpoints on a loop of their own: the tests' loops come and go."""
    receiver = Receiver()
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(receiver.app())) as address,
    ):
        yield receiver, address


def differences(before: Tables, after: Tables) -> dict[str, Sequence[str]]:
    """Return the rows, by table, that only one of two states of a store has."""
    found = {
        name: sorted(set(before.get(name, ())) ^ set(after.get(name, ())))
        or ["one row is there several times"] * (before.get(name) != after.get(name))
        for name in before.keys() | after.keys()
    }
    return {name: rows[:4] for name, rows in found.items() if rows}


def _shown(table: str, row: dict[str, Any]) -> dict[str, Any]:
    shown = {column: cell for column, cell in row.items() if column not in PASSED_OVER.get(table, ())}
    if table == "deliveries" and row["sent_at"] is None:
        del shown["provider"]  # who has refused it: the event says why alone
    return shown
