"""A service on its real store, without a broker: deliver events, execute commands, move time, look."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest
from sqlalchemy import text

from deploy.embedded.engines import Engines
from schemas.events import REGISTRY, Event
from schemas.topics import TOPICS
from services.kernel.base.settings import Settings
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.messages.envelope import Envelope, encode
from services.kernel.messages.record import Record
from services.kernel.postgres.connection import Engine
from services.kernel.postgres.database import create_engine, migrate
from services.kernel.processing.batches import BatchProcessor
from services.kernel.processing.commands import CommandExecutor
from services.kernel.processing.due_scanner import scan_once
from services.kernel.processing.replay import Replay
from services.kernel.processing.service import Command, Service
from tests.builders import MONDAY

TESTS = UUID("5a1f3c5e-0000-4000-8000-000000000000")


@dataclass
class MovableClock:
    """A clock that a test moves by hand."""

    moment: datetime = MONDAY

    def now(self) -> datetime:
        return self.moment

    def move(self, to: datetime | timedelta) -> None:
        """Move to a moment, or on by a duration."""
        self.moment = self.moment + to if isinstance(to, timedelta) else to


@dataclass
class Bench:
    """One service with everything around it that is ours."""

    service: Service[Any, Any]
    engine: Engine
    clock: MovableClock
    settings: Settings
    delivery: BatchProcessor[Any] = field(init=False)
    executor: CommandExecutor[Any, Any] = field(init=False)
    replay: Replay[Any] = field(init=False)
    _offset: int = 0

    @property
    def calendar(self) -> WorkingCalendar:
        """The council's working days."""
        return self.service.calendar

    def __post_init__(self) -> None:
        parts = (self.service, self.engine, self.clock)
        self.delivery = BatchProcessor(
            *parts,
            calendar=self.calendar,
            max_value_bytes=self.settings.max_value_bytes,
            retry_seconds=5,
        )
        self.executor = CommandExecutor(*parts, calendar=self.calendar)
        self.replay = Replay(*parts, calendar=self.calendar)

    def record(
        self,
        event: Event,
        *,
        event_id: str | None = None,
        topic: str | None = None,
        source: str = "/tests",
        sequence: int | None = None,
    ) -> Record:
        """Return an event as a Kafka record; the same event has the same id unless another is given."""
        where = topic or next(topic.name for topic in TOPICS if event.wire_type in topic.types)
        key, value, headers = encode(
            Envelope(
                id=event_id or str(uuid5(TESTS, f"{event.wire_type}{event.model_dump_json()}")),
                source=source,
                type=event.wire_type,
                time=self.clock.now(),
                data=event.encode(),
                subject=str(event.subject),
                key=str(event.child_id),
                sequence=sequence,
            )
        )
        self._offset += 1
        return Record(where, 0, self._offset, key, value, tuple(headers))

    async def deliver(self, *events: Event) -> None:
        """Deliver events as one poll."""
        await self.delivery.deliver([self.record(event) for event in events])

    async def execute(self, command: Command, *, key: str | None = None) -> dict[str, Any]:
        """Execute a command; the answer holds the wire types that it produced, under `events`."""
        return await self.executor.execute(
            command,
            key=key or f"test-{uuid5(TESTS, repr(command))}-{self.clock.now().isoformat()}",
            respond=lambda _book, events: {"events": [event.wire_type for event in events]},
        )

    async def scan(self) -> None:
        """Raise every deadline state that is due by the clock."""
        while await scan_once(self.engine, self.clock, service=self.service.name, calendar=self.calendar):
            pass

    async def journal(self) -> list[Event]:
        """Return every event that the service has published, in order."""
        rows = await self.rows("SELECT type, data::text FROM journal ORDER BY position")
        return [REGISTRY[row[0]].model_validate_json(row[1]) for row in rows]

    async def journal_types(self) -> list[str]:
        """Return the wire types that the service has published, in order."""
        return [row[0] for row in await self.rows("SELECT type FROM journal ORDER BY position")]

    async def rows(self, sql: str, **parameters: object) -> list[Any]:
        """Return the rows of a query."""
        async with self.engine.connect() as connection:
            return list(await connection.execute(text(sql), parameters))


MakeBench = Callable[[str, Callable[[Settings], Service[Any]]], Awaitable[Bench]]

TABLES = """
    SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables
    WHERE schemaname = 'public' AND tablename <> 'alembic_version'
"""


@pytest.fixture
async def bench(engines: Engines) -> AsyncIterator[MakeBench]:
    """Make a bench for a service: `await bench("referral", build)`. Its store is migrated and empty."""
    async with AsyncExitStack() as stack:

        async def make(name: str, build: Callable[[Settings], Service[Any]]) -> Bench:
            settings = Settings(
                database=engines.database_url,
                kafka=engines.kafka,
                kafka_idempotent=engines.kafka_idempotent,
            )
            engine = create_engine(settings, name)
            stack.push_async_callback(engine.dispose)
            await migrate(engine, name)
            async with engine.begin() as connection:
                tables = (await connection.execute(text(TABLES))).scalar_one()
                await connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
            return Bench(build(settings), engine, MovableClock(), settings)

        yield make
