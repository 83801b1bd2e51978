"""The services' stores as commands reach them, and the questions that only people at a command line ask."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any, TypeVar
from uuid import UUID

import typer
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import Connection as Synchronous
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from services.cli.catalogue import ServiceName
from services.cli.running import Unable
from services.kernel.base.settings import Settings
from services.kernel.postgres.connection import Connection, Engine
from services.kernel.postgres.database import STORE_ERRORS, create_engine, synchronously

NO_TABLE, NO_DATABASE = "42P01", "3D000"

JOURNAL = text("""
    SELECT position, event_id, type, subject, sequence, key, time, correlation_id, causation_id, data
    FROM journal
    WHERE (CAST(:subject AS uuid) IS NULL OR subject = :subject)
      AND (CAST(:child AS uuid) IS NULL OR key = :child)
      AND (CAST(:type AS text) IS NULL OR type = :type)
      AND position > :after
    ORDER BY position LIMIT :limit
""")
EXTENT = text("SELECT count(*), coalesce(max(position), 0) FROM journal WHERE position >= :since")
OUTBOX_UP_TO = text("SELECT count(*) FROM outbox WHERE position <= :position")
OUTBOX_OLDEST = text("SELECT count(*), min(time) FROM outbox JOIN journal USING (position)")
WAITING = text("SELECT count(*) FROM dead_letters WHERE state = 'waiting' AND key = :key")

T = TypeVar("T")


class NoStore(Unable):
    """This service has never run here: its database or its tables are not there."""


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One event of a service's journal."""

    position: int
    event_id: UUID
    type: str
    subject: UUID
    sequence: int
    child_id: UUID
    time: datetime
    correlation_id: UUID
    causation_id: UUID
    data: dict[str, Any]


@asynccontextmanager
async def store_of(settings: Settings, service: ServiceName) -> AsyncIterator[Engine]:
    """Give a service's store, close it at the end. Raises NoStore or Unable when it cannot answer."""
    engine = create_engine(settings, service)
    try:
        yield engine
    except (OSError, SQLAlchemyError, *STORE_ERRORS) as error:
        if _sqlstate(error) in {NO_TABLE, NO_DATABASE}:
            sentence = f"The {service} service has no store yet: `leadline worker {service}` makes it."
            raise NoStore(sentence) from error
        raise Unable(
            f"The store of the {service} service does not answer ({type(error).__name__}):"
            " is the database of LEADLINE_DATABASE running?"
        ) from error
    finally:
        await engine.dispose()


async def ask_each(
    settings: Settings,
    services: Sequence[ServiceName],
    ask: Callable[[Connection], Awaitable[T]],
) -> dict[ServiceName, T]:
    """Ask the same of several stores; a service that has none is named on standard error and left out."""
    answers = {}
    for service in services:
        try:
            async with store_of(settings, service) as engine, engine.begin() as connection:
                answers[service] = await ask(connection)
        except NoStore as missing:
            typer.echo(str(missing), err=True)
    return answers


async def list_journal(
    connection: Connection,
    *,
    subject: UUID | None = None,
    child: UUID | None = None,
    wire_type: str | None = None,
    limit: int = 50,
    after: int = 0,
) -> list[JournalLine]:
    """Return events after a position, in the order in which they were written."""
    rows = await connection.execute(
        JOURNAL,
        {"subject": subject, "child": child, "type": wire_type, "limit": limit, "after": after},
    )
    return [JournalLine(*row) for row in rows]


async def extent(connection: Connection, *, since: int) -> tuple[int, int]:
    """Return how many events the journal has from a position on, and the position of the last one."""
    count, last = (await connection.execute(EXTENT, {"since": since})).one()
    return count, last


async def pending_up_to(connection: Connection, position: int) -> int:
    """Return how many events up to a position are not yet on the bus."""
    return int((await connection.execute(OUTBOX_UP_TO, {"position": position})).scalar_one())


async def outbox(connection: Connection) -> tuple[int, datetime | None]:
    """Return how many events are not yet on the bus, and when the oldest of them happened."""
    count, oldest = (await connection.execute(OUTBOX_OLDEST)).one()
    return count, oldest


async def waiting(connection: Connection, key: bytes | None) -> int:
    """Return how many events wait behind a parked one of the same key."""
    return int((await connection.execute(WAITING, {"key": key})).scalar_one())


async def missing_migrations(engine: Engine, service: ServiceName) -> set[str]:
    """Return the heads, the kernel's and the service's own, that a store has not reached.

    Raises Unable when the store has a migration that this program does not know.
    """
    kernel = resources.files("services.kernel") / "migrations"
    own = resources.files(f"services.{service}") / "migrations" / "versions"
    script = ScriptDirectory(str(kernel), version_locations=[str(kernel / "versions"), str(own)])
    current = await synchronously(engine, _revisions)
    try:
        reached = {revision.revision for revision in script.get_all_current(current)}
    except (CommandError, ResolutionError):
        raise Unable("it is newer than this program") from None
    return set(script.get_heads()) - reached


def _revisions(connection: Synchronous) -> tuple[str, ...]:
    return MigrationContext.configure(connection).get_current_heads()


def _sqlstate(error: Exception) -> str:
    return str(getattr(getattr(error, "orig", None) or error, "sqlstate", ""))
