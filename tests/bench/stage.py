"""The stage: one Kafka, one PostgreSQL, and for every run an empty store, empty topics and its processes."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer, TopicPartition
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from sqlalchemy.engine import make_url

from deploy.embedded.engines import Engines, running_engines
from deploy.embedded.processes import Child, Children, Spec, read_run_file
from schemas.topics import ASSESSMENT, REFERRAL, Topic
from services.kernel.base.clock import SystemClock
from services.kernel.base.settings import Settings
from services.kernel.kafka.admin import Bus
from services.kernel.postgres.database import create_engine, migrate
from tests.bench.backlog import START, Message
from tests.bench.say import say
from tests.homes import free_home

ROOT = Path(__file__).parents[2]
VAR = ROOT / "var"
TEMPLATE = "bench_template"
PATIENCE_SECONDS = 60.0
FILL_BATCH_BYTES = 64 * 1024


class BenchFailed(Exception):  # noqa: N818 - a finding, not a mistake
    """The benchmark cannot go on; the text says what was waited for."""


async def until(condition: Callable[[], Any], what: str, *, within: float = PATIENCE_SECONDS) -> None:
    """Wait until an asynchronous condition holds. Raises BenchFailed with `what` when it does not in time."""
    give_up = time.monotonic() + within
    while not await condition():
        if time.monotonic() > give_up:
            raise BenchFailed(f"waited {within:.0f} seconds for this: {what}")
        await asyncio.sleep(0.02)


@dataclass
class Stage:
    """Engines and what is needed to set a run up. All processes it starts end with it."""

    home: Path
    """Where engines, processes and logs of this benchmark live, and of no other that runs meanwhile."""
    engines: Engines
    children: Children
    engine_pids: Mapping[str, int]
    """By name, as far as this process started them: `kafka`, `postgres`."""
    admin: KafkaAdminClient
    epoch: datetime = field(default_factory=SystemClock().now)
    _runs: int = 0

    def now(self) -> datetime:
        """Return the real moment, by the clock on which `epoch` is."""
        return SystemClock().now()

    def settings(self, store: str) -> Settings:
        """Return the settings under which a worker of a run works on the store `store`."""
        return Settings(
            kafka=self.engines.kafka,
            kafka_idempotent=self.engines.kafka_idempotent,
            database=self.address(store),
            clock_start=START,
            clock_epoch=self.epoch,
        )

    def env(self, store: str) -> dict[str, str]:
        """Return the same as environment variables."""
        return {
            **os.environ,
            **self.engines.env(),
            "LEADLINE_DATABASE": self.address(store),
            "LEADLINE_CLOCK_START": START.isoformat(),
            "LEADLINE_CLOCK_EPOCH": self.epoch.isoformat(),
            "LEADLINE_LOG_LEVEL": "warning",
        }

    def address(self, store: str) -> str:
        """Return the address of a store, with `{service}` for the service's name."""
        url = make_url(self.engines.database_url.replace("{service}", "__service__"))
        url = url.set(database=f"{store}___service__")
        return url.render_as_string(hide_password=False).replace("__service__", "{service}")

    def dsn(self, database: str) -> str:
        """Return the address of a database for asyncpg."""
        url = make_url(self.engines.database_url.replace("{service}", "x"))
        return url.set(drivername="postgresql", database=database).render_as_string(hide_password=False)

    @asynccontextmanager
    async def connection(self, database: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
        """Connect to a database by name."""
        connection = await asyncpg.connect(self.dsn(database))
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def store(self, service: str = "assessment") -> AsyncIterator[str]:
        """Give a fresh, migrated store for one service; drop it at the end."""
        self._runs += 1
        store = f"bench_{self._runs}"
        async with self.connection("postgres") as admin:
            await admin.execute(f"CREATE DATABASE {store}_{service} TEMPLATE {TEMPLATE}_{service}")
            await admin.execute("CHECKPOINT")  # nobody pays for what was written before
        try:
            yield store
        finally:
            async with self.connection("postgres") as admin:
                await admin.execute(f"DROP DATABASE {store}_{service} WITH (FORCE)")

    async def make_template(self, service: str) -> None:
        """Make the store that `store` copies."""
        async with self.connection("postgres") as admin:
            await admin.execute(f"DROP DATABASE IF EXISTS {TEMPLATE}_{service} WITH (FORCE)")
            await admin.execute(f"CREATE DATABASE {TEMPLATE}_{service}")
        engine = create_engine(self.settings(TEMPLATE), service)
        try:
            await migrate(engine, service)
        finally:
            await engine.dispose()

    async def topics(self, partitions: int, topics: Sequence[Topic] = (REFERRAL, ASSESSMENT)) -> None:
        """Delete the topics and create them empty; committed offsets go with them."""
        names = {topic.name for topic in topics}
        there = names & set(await self._asked(self.admin.list_topics))
        if there:
            await self._asked(self.admin.delete_topics, sorted(there))

        async def gone() -> bool:
            return not names & set(await self._asked(self.admin.list_topics))

        await until(gone, "old topics are deleted")
        new = {
            topic.name: {"num_partitions": partitions, "replication_factor": 1, "configs": topic.config}
            for topic in topics
        }
        await self._asked(self.admin.create_topics, new, wait_for_metadata=True)

    async def fill(self, topic: str, messages: Iterable[Message]) -> None:
        """Publish messages as fast as one producer can, in order per key."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.engines.kafka, acks="all", linger_ms=5, max_batch_size=FILL_BATCH_BYTES
        )
        await producer.start()
        try:
            for key, value, headers in messages:
                await producer.send(topic, value, key, headers=headers)
            await producer.flush()
        finally:
            await producer.stop()

    async def ends(self, bus: Bus, topic: Topic) -> int:
        """Return how many events a topic holds."""
        (state,) = await bus.states((topic,))
        return state.events

    async def joined(self, group: str, members: int, partitions: int, topic: str) -> None:
        """Wait until every partition of a topic belongs to one of exactly so many members of a group."""

        async def settled() -> bool:
            try:
                described = (await self._asked(self.admin.describe_groups, [group]))[group]
            except KafkaError:
                return False  # the first group of a broker's life waits for its coordinator
            owned = [_partitions_of(member, topic) for member in described["members"]]
            return (
                described["group_state"] == "Stable"
                and sum(1 for own in owned if own) == min(members, partitions)
                and sum(owned) == partitions
            )

        await until(settled, f"{members} workers share the {partitions} partitions of {topic} in {group}")

    async def committed(self, group: str, topic: str, partitions: int) -> int:
        """Return how many events of a topic a group has acknowledged."""
        places = [TopicPartition(topic, number) for number in range(partitions)]
        offsets = (await self._asked(self.admin.list_group_offsets, {group: places}))[group]
        return sum(max(0, offsets[place].offset) for place in places if place in offsets)

    @asynccontextmanager
    async def processes(
        self, name: str, argv: tuple[str, ...], env: Mapping[str, str], *, count: int = 1
    ) -> AsyncIterator[list[Child]]:
        """Run `count` processes of one program; stop them at the end as an orchestrator would."""
        log = self.home / "log"
        started = [
            self.children.spawn(Spec(f"{name}-{number}", argv, log / f"{name}-{number}.log", env, ROOT))
            for number in range(count)
        ]
        try:
            yield started
        finally:
            await asyncio.gather(*(asyncio.to_thread(self.children.stop, child) for child in started))

    async def _asked(self, ask: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return await asyncio.to_thread(ask, *arguments, **named)


def _partitions_of(member: Mapping[str, Any], topic: str) -> int:
    assignment = member["member_assignment"]
    assigned = assignment.get("assigned_partitions", ()) if isinstance(assignment, Mapping) else ()
    return sum(len(each["partitions"]) for each in assigned if each["topic"] == topic)


@contextmanager
def _engines(home: Path) -> Iterator[Engines]:
    with running_engines(
        home / "engines", say=say, free_ports=True, fresh=True, cache=VAR / "engines"
    ) as engines:
        yield engines


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """Start engines of the benchmark's own, empty, with durability on; stop everything at the end.

    Raises BenchFailed when the database does not promise to keep what it commits.
    """
    with (
        free_home(VAR / "bench") as home,
        _engines(home) as engines,
        Children(home / "run", group="workers") as children,
    ):
        _, recorded = read_run_file(home / "engines" / "run" / "engines.processes.json")
        admin = KafkaAdminClient(bootstrap_servers=engines.kafka)
        try:
            stage = Stage(home, engines, children, {one.name: one.pid for one in recorded}, admin)
            await _keeps_what_it_commits(stage)
            await stage.make_template("assessment")
            yield stage
        finally:
            admin.close()


async def _keeps_what_it_commits(stage: Stage) -> None:
    async with stage.connection("postgres") as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            value = await connection.fetchval(f"SHOW {setting}")
            if value != "on":
                raise BenchFailed(f"{setting} is {value}: figures without it would be dishonest")
