"""The engine of one service's store, its migrations, and which of its errors pass by themselves."""

import asyncio
from importlib import resources

import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from services.kernel.settings import Settings

log = structlog.get_logger()

TRANSIENT_STATES = frozenset({"40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03"})
"""Serialization failure, deadlock, too many connections, lock not available, shutdowns."""

UNIQUE_VIOLATION = "23505"
MIGRATION_LOCK = 7_301_944


def create_engine(settings: Settings, service: str) -> AsyncEngine:
    """Return the engine of a service's store. Connects when first used; dispose it when done."""
    return create_async_engine(
        settings.database_of(service),
        pool_size=settings.database_pool,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,  # an error's message must quote no value
        connect_args={"server_settings": {"application_name": f"leadline-{service}", "TimeZone": "UTC"}},
    )


def is_transient(error: BaseException) -> bool:
    """Return whether trying again may succeed without anybody's help: the database is away or busy."""
    if isinstance(error, (ConnectionError, TimeoutError, InterfaceError)):
        return True
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        return (
            error.connection_invalidated
            or isinstance(error, OperationalError)
            or state in TRANSIENT_STATES
            or state.startswith("08")
        )
    return isinstance(error, OSError)


def is_conflict(error: BaseException) -> bool:
    """Return whether somebody else has meanwhile written what must be unique: looking again shows it."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == UNIQUE_VIOLATION


async def migrate(engine: AsyncEngine, service: str) -> None:
    """Bring a service's tables up to date: the kernel's branch and the service's own.

    Two processes that start together do not collide: an advisory lock lets one go first.
    """
    async with engine.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        await connection.run_sync(_upgrade, service)


async def open_store(engine: AsyncEngine, service: str, *, patience_seconds: float = 60.0) -> None:
    """Migrate a store as soon as its database answers; raises its error when the patience is over."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + patience_seconds
    while True:
        try:
            await migrate(engine, service)
        except Exception as error:
            if not is_transient(error) or loop.time() > give_up:
                raise
            log.warning("database away, waiting", error=type(error).__name__)
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
