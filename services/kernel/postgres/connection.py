"""A service's connections to its store: SQLAlchemy statements, executed directly by the driver.

SQLAlchemy's asynchronous execution costs 300 microseconds of CPU per statement, the driver's own 65; it took
most of the time of small batches (docs/decisions/0013-statements-go-straight-to-the-driver.md).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy import TextClause
from sqlalchemy.dialects.postgresql import asyncpg as dialect
from sqlalchemy.engine import make_url

ACQUIRE_SECONDS = 30.0
"""How long a caller waits for a connection while all are in use."""

STATEMENTS = 256
"""The number of prepared statements that each connection keeps: more than any service has."""

NOTHING: Mapping[str, Any] = {}

DIALECT = dialect.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy gives it no types

if TYPE_CHECKING:
    Driver = asyncpg.Connection["Row"] | asyncpg.pool.PoolConnectionProxy["Row"]


class Row(asyncpg.Record):
    """One row. Columns are available by name (`row.case_id`), by number, and in order."""

    def __getattr__(self, column: str) -> Any:
        """Return a column. Raises AttributeError for one that was not selected."""
        try:
            return self[column]
        except KeyError:
            raise AttributeError(column) from None


class Rows(list[Any]):
    """The rows that a statement returned."""

    def one(self) -> Any:
        """Return the only row. Raises LookupError when there are none or several."""
        if len(self) != 1:
            message = f"there are {len(self)} rows, not one"
            raise LookupError(message)
        return self[0]

    def one_or_none(self) -> Any:
        """Return the only row, or None when there is none. Raises LookupError when there are several."""
        return self.one() if self else None

    def scalar_one(self) -> Any:
        """Return the only row's first column. Raises LookupError when there are no rows or several."""
        return self.one()[0]


class Connection:
    """One connection, valid while its context lasts. A failed statement raises asyncpg's errors."""

    def __init__(self, driver: "Driver") -> None:
        self._driver = driver

    async def execute(self, statement: TextClause, parameters: Mapping[str, Any] = NOTHING) -> Rows:
        """Execute a statement whose parameters are written `:name`, and return its rows."""
        query, names = _compiled(statement.text)
        return Rows(await self._driver.fetch(query, *[parameters[name] for name in names]))


class Engine:
    """The pool of connections to one store. Connects when first used; dispose of it when done.

    A connection that the server has closed is replaced on its next use.
    """

    def __init__(self, address: str, *, size: int, application: str) -> None:
        self.address = address
        self._dsn = make_url(address).set(drivername="postgresql").render_as_string(hide_password=False)
        self._size = size
        self._application = application
        self._pool: asyncpg.Pool[Row] | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Connection]:
        """Open a transaction: committed when the context ends, rolled back on an exception."""
        async with self._pooled() as driver, driver.transaction():
            yield Connection(driver)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Open a connection for reading: every statement is its own transaction."""
        async with self._pooled() as driver:
            yield Connection(driver)

    async def dispose(self) -> None:
        """Close every connection as soon as it is released."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    @asynccontextmanager
    async def _pooled(self) -> AsyncIterator["Driver"]:
        pool = self._pool or await self._opened()
        async with pool.acquire(timeout=ACQUIRE_SECONDS) as driver:
            yield driver

    async def _opened(self) -> "asyncpg.Pool[Row]":
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._dsn,
                    min_size=0,
                    max_size=self._size,
                    record_class=Row,
                    reset=_as_it_is,
                    statement_cache_size=STATEMENTS,
                    max_cached_statement_lifetime=0,
                    server_settings={"application_name": self._application, "TimeZone": "UTC"},
                )
            return self._pool


async def _as_it_is(_driver: object) -> None:
    """Take a connection back without a reset: sessions are never altered, and a reset is a round trip."""


@lru_cache(maxsize=1024)
def _compiled(statement: str) -> tuple[str, tuple[str, ...]]:
    """Return a statement in the driver's form, and the order of its parameters."""
    compiled = TextClause(statement).compile(dialect=DIALECT)
    return str(compiled), tuple(compiled.positiontup or ())
