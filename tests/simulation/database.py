"""A database in memory, as far as the kernel relies on one: read committed, row locks, unique keys, notify.

`tests/simulation/contract/` runs the same tests on it and on PostgreSQL.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from asyncpg import ConnectionDoesNotExistError, DeadlockDetectedError, UniqueViolationError

from tests.simulation.world import World

Key = Hashable
Values = dict[str, Any]
Place = tuple[str, Key]
"""A table and the primary key of one of its rows."""


class Row(tuple[Any, ...]):
    """One row of an answer: by number, by name, in order; as asyncpg gives it."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, **columns: Any) -> "Row":
        """Return a row."""
        row = cls(columns.values())
        row.names = tuple(columns)
        return row

    def __getitem__(self, column: Any) -> Any:
        """Return a column by its number or name."""
        return super().__getitem__(self.names.index(column) if isinstance(column, str) else column)

    def __getattr__(self, column: str) -> Any:
        """Return a column by its name."""
        try:
            return self[column]
        except ValueError:
            raise AttributeError(column) from None


@dataclass(eq=False)
class Database:
    """One service's store: what is committed, who holds which row, who listens."""

    world: World
    tables: defaultdict[str, dict[Key, Values]] = field(default_factory=lambda: defaultdict(dict))
    locks: dict[Place, "Transaction"] = field(default_factory=dict)
    shares: defaultdict[Place, list["Transaction"]] = field(default_factory=lambda: defaultdict(list))
    """Those who hold a row together with others (FOR SHARE)."""
    advisory: dict[int, object] = field(default_factory=dict)
    """Advisory locks by their number, with the session that holds each."""
    listeners: list[tuple[object, str, Callable[[], None]]] = field(default_factory=list)
    """Session, channel, and what to call."""
    sessions: list[Any] = field(default_factory=list)
    down: bool = False
    _sequences: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def next_of(self, sequence: str) -> int:
        """Return the next number; a rollback gives none back."""
        self._sequences[sequence] += 1
        return self._sequences[sequence]

    def notify(self, channel: str) -> None:
        """Wake everyone who listens."""
        for _, listened, woken in list(self.listeners):
            if listened == channel:
                woken()

    def stop(self) -> None:
        """Go down as a server does that is restarted: nothing uncommitted survives."""
        self.down = True
        for session in list(self.sessions):
            session.break_off()


class Transaction:
    """What one connection has done since BEGIN."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.aborted = False
        self.ended = False
        self._written: dict[Place, Values | None] = {}
        self._held: list[Place] = []
        self._shared: list[Place] = []
        self._notified: list[str] = []
        self._waits_for: Transaction | None = None
        self._waiters: list[asyncio.Future[None]] = []

    def get(self, table: str, key: Key) -> Values | None:
        """Return a row as this transaction sees it now."""
        place = (table, key)
        return self._written[place] if place in self._written else self.database.tables[table].get(key)

    def rows(self, table: str) -> Iterator[tuple[Key, Values]]:
        """Yield the rows of a table that this transaction sees now."""
        committed = self.database.tables[table]
        own = {key: row for (of, key), row in self._written.items() if of == table}
        for key, row in list(committed.items()):
            if key not in own:
                yield key, row
        for key, written in own.items():
            if written is not None:
                yield key, written

    def is_free(self, table: str, key: Key) -> bool:
        """Return whether nobody else holds a row."""
        return self._holder((table, key), shared=False) is None

    async def lock(self, table: str, key: Key, *, shared: bool = False) -> None:
        """Hold a row (or a key that is not there yet) until the end; wait for whoever holds it.

        `shared`: together with others who only share it. Raises DeadlockDetectedError when they wait for us.
        """
        self._living()
        place = (table, key)
        while (holder := self._holder(place, shared=shared)) is not None:
            seen: Transaction | None = holder
            while seen is not None:
                if seen is self:
                    message = "deadlock detected"
                    raise DeadlockDetectedError(message)
                seen = seen._waits_for
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            holder._waiters.append(waiter)
            self._waits_for = holder
            try:
                await waiter
            finally:
                self._waits_for = None
            self._living()
        if shared:
            self.database.shares[place].append(self)
            self._shared.append(place)
        elif place not in self.database.locks:
            self.database.locks[place] = self
            self._held.append(place)

    def put(self, table: str, key: Key, row: Values | None) -> None:
        """Write a row that is held; None removes it."""
        self._written[table, key] = row

    async def insert(self, table: str, key: Key, row: Values, *, unique: bool = False) -> bool:
        """Write a new row; False when there is one, or UniqueViolationError when it must be new."""
        await self.lock(table, key)
        if self.get(table, key) is not None:
            if unique:
                message = f"duplicate key value violates unique constraint of {table}"
                raise UniqueViolationError(message)
            return False
        self.put(table, key, row)
        return True

    def notify(self, channel: str) -> None:
        """Wake listeners when this commits."""
        if channel not in self._notified:
            self._notified.append(channel)

    def commit(self) -> None:
        """Make everything visible. A transaction in which a statement has failed is rolled back instead."""
        if self.ended:
            return
        if not self.aborted:
            for (table, key), row in self._written.items():
                if row is None:
                    self.database.tables[table].pop(key, None)
                else:
                    self.database.tables[table][key] = row
        notified = [] if self.aborted else self._notified
        self._end()
        for channel in notified:
            self.database.notify(channel)

    def rollback(self) -> None:
        """Forget everything."""
        if not self.ended:
            self._end()

    def _holder(self, place: Place, *, shared: bool) -> "Transaction | None":
        """Return somebody else who must end before this transaction can hold a row."""
        holder = self.database.locks.get(place)
        if holder is not None and holder is not self:
            return holder
        sharers = () if shared else self.database.shares.get(place, ())
        return next((sharer for sharer in sharers if sharer is not self), None)

    def _living(self) -> None:
        if self.ended:  # the server went down, or the connection broke, while this waited
            message = "connection was closed in the middle of operation"
            raise ConnectionDoesNotExistError(message)

    def _end(self) -> None:
        self.ended = True
        for place in self._held:
            del self.database.locks[place]
        for place in self._shared:
            self.database.shares[place].remove(self)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
