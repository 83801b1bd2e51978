"""One service's store: its engine, its migrations, and which of its errors are temporary."""

import asyncio
from collections.abc import Callable
from importlib import resources
from typing import TypeVar

import structlog
from alembic import command
from alembic.config import Config
from asyncpg import InterfaceError, InternalClientError, PostgresError, UniqueViolationError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from services.kernel.base.settings import Settings
from services.kernel.postgres.connection import Engine

log = structlog.get_logger()

T = TypeVar("T")

TRANSIENT_STATES = frozenset({"40001", "40P01", "55P03"})
"""Serialization failure, deadlock, lock not available."""

TRANSIENT_CLASSES = ("08", "53", "57P", "58")
"""Connection lost, resources exhausted (connections, disk), shutdowns, operating system errors."""

STORE_ERRORS = (PostgresError, InterfaceError, InternalClientError)
"""The errors of a statement, besides OSError and TimeoutError when the server does not answer."""

MIGRATION_LOCK = 7_301_944


def create_engine(settings: Settings, service: str) -> Engine:
    """Return the engine of a service's store. Connects when first used; dispose of it when done."""
    address = settings.database_of(service)
    return Engine(address, size=settings.database_pool, application=f"leadline-{service}")


def is_transient(error: BaseException) -> bool:
    """Return whether a retry may succeed without help: the database is unavailable or busy."""
    if isinstance(error, PostgresError):
        state = error.sqlstate or ""
        return state in TRANSIENT_STATES or state.startswith(TRANSIENT_CLASSES)
    if isinstance(error, InterfaceError):
        return not isinstance(error, ValueError)  # an unacceptable value is permanent
    # The driver's internal error: the server has ended an idle connection that is not yet closed.
    return isinstance(error, (OSError, TimeoutError, InternalClientError))


def is_conflict(error: BaseException) -> bool:
    """Return whether another transaction has meanwhile written the same unique value: a reload shows it."""
    return isinstance(error, UniqueViolationError)


async def migrate(engine: Engine, service: str) -> None:
    """Migrate a service's tables: the kernel's branch and the service's own.

    Processes that start together do not collide: an advisory lock lets one go first.
    """

    def upgrade(connection: Connection) -> None:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        _upgrade(connection, service)

    await synchronously(engine, upgrade)


async def synchronously(engine: Engine, work: Callable[[Connection], T]) -> T:
    """Run `work` in one of SQLAlchemy's own transactions on a store: Alembic supports no other."""
    alone = create_async_engine(engine.address, poolclass=NullPool, hide_parameters=True)
    try:
        async with alone.begin() as connection:
            return await connection.run_sync(work)
    except DBAPIError as error:
        # Callers handle one kind of error: the driver's.
        raise (error.orig.__cause__ if error.orig is not None else None) or error from None
    finally:
        await alone.dispose()


async def open_store(engine: Engine, service: str, *, patience_seconds: float = 60.0) -> None:
    """Migrate a store as soon as its database answers; raise the error if it takes too long."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + patience_seconds
    while True:
        try:
            await migrate(engine, service)
        except Exception as error:
            if not is_transient(error) or loop.time() > give_up:
                raise
            log.warning("database unavailable, waiting", error=type(error).__name__)
            await asyncio.sleep(1.0)
        else:
            return


def _upgrade(connection: Connection, service: str) -> None:
    kernel = resources.files("services.kernel") / "migrations"
    own = resources.files(f"services.{service}") / "migrations" / "versions"
    config = Config()
    config.set_main_option("script_location", str(kernel))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{kernel / 'versions'}\n{own}")
    config.attributes["connection"] = connection
    command.upgrade(config, "heads")
