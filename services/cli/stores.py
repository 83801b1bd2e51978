"""How commands reach the services' stores."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from typing import TypeVar

import typer
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import Connection as Synchronous
from sqlalchemy.exc import SQLAlchemyError

from services.cli.catalogue import ServiceName
from services.cli.running import Unable
from services.kernel.base.settings import Settings
from services.kernel.postgres.connection import Connection, Engine
from services.kernel.postgres.database import STORE_ERRORS, create_engine, synchronously

NO_TABLE, NO_DATABASE = "42P01", "3D000"


T = TypeVar("T")


class NoStore(Unable):
    """This service has never run here: its database or its tables do not exist."""


@asynccontextmanager
async def store_of(settings: Settings, service: ServiceName) -> AsyncIterator[Engine]:
    """Yield a service's store and close it at the end. Raises NoStore or Unable when it cannot answer."""
    engine = create_engine(settings, service)
    try:
        yield engine
    except (OSError, SQLAlchemyError, *STORE_ERRORS) as error:
        if _sqlstate(error) in {NO_TABLE, NO_DATABASE}:
            sentence = f"The {service} service has no store yet: `leadline worker {service}` creates it."
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
    """Ask several stores the same; a service without a store is named on standard error and skipped."""
    answers = {}
    for service in services:
        try:
            async with store_of(settings, service) as engine, engine.begin() as connection:
                answers[service] = await ask(connection)
        except NoStore as missing:
            typer.echo(str(missing), err=True)
    return answers


async def missing_migrations(engine: Engine, service: ServiceName) -> set[str]:
    """Return the migration heads, the kernel's and the service's own, that a store has not reached.

    Raises Unable when the store has a migration unknown to this program.
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
