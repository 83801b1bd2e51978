"""What asyncpg gives to the kernel, on a database in memory: connections, transactions, a pool."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import copy_context
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from asyncpg import (
    CannotConnectNowError,
    ConnectionDoesNotExistError,
    DeadlockDetectedError,
    DiskFullError,
    InFailedSQLTransactionError,
    InterfaceError,
    PostgresError,
    TooManyConnectionsError,
)

from services.kernel.postgres.connection import Engine
from services.kernel.store.relaying import Relaying
from tests.simulation.database import Database, Row, Transaction
from tests.simulation.statements import Statement, known
from tests.simulation.world import Fault, connected

T = TypeVar("T")

STATEMENT: Sequence[Fault] = ("error", "lost", "after", "cancel", "kill")
COMMIT: Sequence[Fault] = ("lost", "after", "late", "cancel", "kill")
CONNECT: Sequence[Fault] = ("error", "cancel", "kill")
ROLLBACK: Sequence[Fault] = ("lost", "cancel", "kill")
DONE: Sequence[Fault] = ("lost", "cancel", "kill")
"""After an operation: its answer is lost, or nobody lives to read it."""

REFUSALS = (DeadlockDetectedError, DiskFullError)
LATE_SECONDS = 0.3


class Driver:
    """One connection. One operation at a time, as asyncpg insists."""

    def __init__(self, database: Database) -> None:
        self.world = database.world
        self.database = database
        self.transaction_: Transaction | None = None
        self._busy = False
        self._closed = False

    @classmethod
    async def connect(cls, database: Database) -> "Driver":
        """Connect. Raises what asyncpg raises when the server is away or full."""
        fault = await database.world.step("connect", CONNECT)
        if database.down:
            raise ConnectionRefusedError
        if fault == "error":
            raise database.world.random.choice((CannotConnectNowError, TooManyConnectionsError))("away")
        driver = cls(database)
        database.sessions.append(driver)
        connected(database.world, driver)
        return driver

    async def fetch(self, query: str, *arguments: Any) -> list[Row]:
        """Execute a statement and return its rows."""
        statement = known(query)
        return await self._run(
            statement.name,
            lambda transaction: statement.run(
                transaction, dict(zip(statement.names, arguments, strict=True))
            ),
            changes=statement.changes,
        )

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        """Return the first column of the first row."""
        if "pg_try_advisory_lock" in query:
            return await self._run("try lock", lambda _: self._try_lock(*arguments), changes=True)
        return (await self.fetch(query, *arguments))[0][0]

    async def execute(self, query: str, *arguments: Any) -> str:
        """Execute a statement and return its status."""
        return f"INSERT 0 {len(await self.fetch(query, *arguments))}"

    async def add_listener(self, channel: str, callback: Callable[..., object]) -> None:
        """Call back on every notification of a committed transaction, as long as this is connected."""
        context = copy_context()
        loop = asyncio.get_running_loop()

        def woken() -> None:
            loop.call_later(0.0005, callback, self, 0, channel, "", context=context)

        async def listen(_: Transaction) -> None:
            self.database.listeners.append((self, channel, woken))

        await self._run("listen", listen, changes=True)

    def transaction(self) -> "Block":
        """Return a transaction block."""
        return Block(self)

    async def begin(self) -> None:
        """Begin a transaction."""

        async def open_it(_: Transaction) -> None:
            self.transaction_ = Transaction(self.database)

        if self.transaction_ is not None:
            message = "cannot use Connection.transaction() in a manually started transaction"
            raise InterfaceError(message)
        await self._run("begin", open_it)

    async def end(self, *, commit: bool) -> None:
        """Commit or roll back. What a failed transaction was told to commit is rolled back, silently."""
        transaction = self.transaction_
        assert transaction is not None

        async def end_it(_: Transaction) -> None:
            self.transaction_ = None
            if commit:
                transaction.commit()
            else:
                transaction.rollback()

        await self._run("commit" if commit else "rollback", end_it, changes=commit)

    def terminate(self) -> None:
        """Break off, without a word; the server notices at once."""
        self.drop()

    async def close(self) -> None:
        """Say goodbye."""
        self.drop()

    def is_closed(self) -> bool:
        """Return whether this connection is of no use any more."""
        return self._closed

    def break_off(self) -> None:
        """The server is gone: what was not committed is forgotten, and the client learns it when it asks."""
        self.drop()

    def drop(self) -> None:
        """Roll back, give up locks, listen no longer."""
        self._closed = True
        database = self.database
        if self in database.sessions:
            database.sessions.remove(self)
        database.advisory = {lock: holder for lock, holder in database.advisory.items() if holder is not self}
        database.listeners = [listener for listener in database.listeners if listener[0] is not self]
        transaction, self.transaction_ = self.transaction_, None
        if transaction is not None:
            transaction.rollback()

    async def _try_lock(self, number: int) -> bool:
        return self.database.advisory.setdefault(number, self) is self

    async def _run(
        self, point: str, work: Callable[[Transaction], Awaitable[T]], *, changes: bool = False
    ) -> T:
        """Pass the points before and after an operation, and do it in between."""
        if self._busy:
            message = "cannot perform operation: another operation is in progress"
            raise InterfaceError(message)
        if self._closed:
            message = "connection is closed"
            raise InterfaceError(message)
        self._busy = True
        try:
            fault = await self.world.step(point, _faults_of(point))
            await self._suffer(fault, work)
            outcome = await self._do(point, work)
            if fault == "after":
                raise self._lost()
            if changes and await self.world.step(f"{point} done", DONE) == "lost":
                raise self._lost()
            return outcome
        finally:
            self._busy = False

    async def _suffer(self, fault: Fault | None, work: Callable[[Transaction], Awaitable[object]]) -> None:
        """Carry out a fault that comes before the operation."""
        if self._closed:
            raise _broken()
        if fault == "error":
            if self.transaction_ is not None:
                self.transaction_.aborted = True
            raise self.world.random.choice(REFUSALS)("refused")
        if fault == "lost":
            raise self._lost()
        if fault == "late":
            # The server goes on with what it was told, and nobody hears how it ended.
            transaction = self.transaction_
            assert transaction is not None
            self.transaction_ = None
            self.world.later(self.world.random.uniform(0.0, LATE_SECONDS), transaction.commit)
            raise self._lost()

    async def _do(self, point: str, work: Callable[[Transaction], Awaitable[T]]) -> T:
        transaction = self.transaction_
        if transaction is not None and point not in {"commit", "rollback"}:
            if transaction.aborted:
                message = "current transaction is aborted, commands ignored until end of transaction block"
                raise InFailedSQLTransactionError(message)
            try:
                outcome = await work(transaction)
            except (PostgresError, asyncio.CancelledError):
                transaction.aborted = True
                raise
        else:
            alone = Transaction(self.database)
            try:
                outcome = await work(alone)
            except BaseException:
                alone.rollback()
                raise
            alone.commit()
        if self._closed:
            raise _broken()  # the server went down while this waited
        return outcome

    def _lost(self) -> ConnectionDoesNotExistError:
        self.drop()
        return _broken()


def _broken() -> ConnectionDoesNotExistError:
    return ConnectionDoesNotExistError("connection was closed in the middle of operation")


def _faults_of(point: str) -> Sequence[Fault]:
    return {"commit": COMMIT, "rollback": ROLLBACK}.get(point, STATEMENT)


class Block:
    """`async with connection.transaction()`."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def __aenter__(self) -> None:
        """Begin."""
        await self._driver.begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit, or roll back when an exception leaves the block."""
        if self._driver.is_closed():
            message = "connection is closed"
            raise InterfaceError(message)
        await self._driver.end(commit=kind is None)


class Pool:
    """Connections that are used again. The last one that came back is the first to be given."""

    def __init__(self, database: Database, size: int) -> None:
        self._database = database
        self._free = asyncio.Semaphore(size)
        self._idle: list[Driver] = []

    @asynccontextmanager
    async def acquire(self, *, timeout: float) -> AsyncIterator[Driver]:  # noqa: ASYNC109 - asyncpg's
        """Give a connection. Raises TimeoutError when others keep them all."""
        async with asyncio.timeout(timeout):
            await self._free.acquire()
        try:
            driver = await self._usable()
            try:
                yield driver
            finally:
                if driver.transaction_ is not None:  # its end was cut short: asyncpg rolls back here
                    driver.transaction_.rollback()
                    driver.transaction_ = None
                if not driver.is_closed():
                    self._idle.append(driver)
        finally:
            self._free.release()

    async def close(self) -> None:
        """Close every connection."""
        for driver in self._idle:
            driver.drop()

    async def _usable(self) -> Driver:
        while self._idle:
            driver = self._idle.pop()
            if not driver.is_closed():
                return driver
        return await Driver.connect(self._database)


class MemoryEngine(Engine):
    """The kernel's engine, unchanged but for where its pool comes from."""

    def __init__(self, database: Database, *, size: int = 5) -> None:
        super().__init__("postgresql+asyncpg://memory/leadline", size=size, application="simulation")
        self._pool = cast("Any", Pool(database, size))


class MemoryRelaying(Relaying):
    """The relay's statements, unchanged but for where they connect."""

    def __init__(self, database: Database, topic: str) -> None:
        super().__init__("postgresql+asyncpg://memory/leadline", topic)
        self._database = database

    async def __aenter__(self) -> Self:
        """Connect."""
        self._connection = cast("Any", await Driver.connect(self._database))
        return self


__all__ = ["Driver", "MemoryEngine", "MemoryRelaying", "Statement"]
