"""One database per service, in whichever PostgreSQL serves.

`LEADLINE_DATABASE` is a SQLAlchemy URL with the placeholder `{service}` in it. A URL without one gets it at
the end of its database name: `postgresql://me@host/care` means `care_referral`, `care_assessment` and so on.
"""

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from asyncpg import PostgresError
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from deploy.embedded.errors import EngineError

PLACEHOLDER = "{service}"
SERVICES = ("referral", "assessment", "placement", "notify")


def database_template(url: str) -> str:
    """Return the URL as Leadline uses it: the asyncpg driver, `{service}` in the database name.

    Raises EngineError when it is not the URL of a PostgreSQL database.
    """
    try:
        # The placeholder's braces are no URL characters; a plain word stands in while SQLAlchemy parses.
        parsed = make_url(url.replace(PLACEHOLDER, "__service__"))
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.drivername.partition("+")[0] not in ("postgresql", "postgres"):
        raise EngineError(
            "LEADLINE_DATABASE is not a PostgreSQL URL: "
            "write it like postgresql+asyncpg://user:password@host:5432/leadline_{service}."
        )
    database = parsed.database or "leadline"
    if "__service__" not in url.replace(PLACEHOLDER, "__service__"):
        database += "___service__"
    parsed = parsed.set(drivername="postgresql+asyncpg", database=database)
    return parsed.render_as_string(hide_password=False).replace("__service__", PLACEHOLDER)


def service_url(template: str, service: str) -> str:
    """Return the URL of one service's database."""
    return template.replace(PLACEHOLDER, service)


def ensure_databases(template: str, services: Iterable[str] = SERVICES) -> None:
    """Create the services' databases that are absent. May be called inside or outside an event loop.

    Raises EngineError when the server does not answer or refuses.
    """
    with ThreadPoolExecutor(1) as thread:  # a thread of its own: the caller's may already run an event loop
        thread.submit(asyncio.run, _ensure(template, tuple(services))).result()


async def _ensure(template: str, services: tuple[str, ...]) -> None:
    wanted = [make_url(service_url(template, service)) for service in services]
    try:
        present = await _present(wanted[0])
        for url in wanted:
            if url.database not in present:
                await _create(url)
    except (OSError, PostgresError, SQLAlchemyError) as error:
        raise EngineError(
            f"PostgreSQL at {wanted[0].render_as_string(hide_password=True)} does not serve "
            f"({_reason(error)}): start it, correct LEADLINE_DATABASE, or create the databases "
            f"{', '.join(str(url.database) for url in wanted)} yourself."
        ) from None


async def _present(url: URL) -> set[str]:
    """Return the names of the server's databases.

    Asked through the database `postgres`, which every server has, or through ours where that one is closed
    to the user: then the administrator has created ours.
    """
    try:
        return await _names(url.set(database="postgres"))
    except (PostgresError, SQLAlchemyError):
        return await _names(url)


async def _names(url: URL) -> set[str]:
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return set(await connection.scalars(text("SELECT datname FROM pg_database")))
    finally:
        await engine.dispose()


async def _create(url: URL) -> None:
    engine = create_async_engine(
        url.set(database="postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    try:
        async with engine.connect() as connection:
            name = engine.dialect.identifier_preparer.quote(str(url.database))
            await connection.execute(text(f"CREATE DATABASE {name}"))
    except (PostgresError, SQLAlchemyError) as error:
        if _sqlstate(error) != "42P04":  # somebody else created it in between: what we wanted
            raise
    finally:
        await engine.dispose()


def _sqlstate(error: Exception) -> str:
    return str(getattr(getattr(error, "orig", None) or error, "sqlstate", ""))


def _reason(error: Exception) -> str:
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
