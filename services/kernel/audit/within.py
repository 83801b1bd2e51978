"""The checks within one store: journal, outbox, deadlines, aggregates, dead letters and requests agree."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from asyncpg import (
    InvalidCatalogNameError,
    LockNotAvailableError,
    QueryCanceledError,
    UndefinedColumnError,
    UndefinedTableError,
)

from services.kernel.audit import findings
from services.kernel.audit import queries as audit_queries
from services.kernel.audit.findings import Check, Found, ReportLine
from services.kernel.audit.passing import UNANSWERED, Watched
from services.kernel.audit.queries import Aggregate, Copied, Extent, looking
from services.kernel.base.clock import Clock
from services.kernel.deadlines.policy import STATE_AFTER
from services.kernel.messages.envelope import timestamp
from services.kernel.postgres.connection import Connection, Engine
from services.kernel.processing.service import Service

Net = Callable[[Connection], Awaitable[Mapping[str, int]]]
"""Counts what falls through a service's net: how many by what it is."""

Own = tuple[Check, Callable[[Connection], Awaitable[Iterable[object]]]]
"""A question that only this service has, and what finds the answer."""

DEADLINES = Aggregate(
    "deadlines",
    "deadline_id",
    state="state",
    states={event.wire_type: state for event, state in STATE_AFTER.items()},
)
DEAD_LETTERS = Aggregate("dead_letters", "dead_letter_id")
"""The alarm about a dead letter is the one event of its history."""

FIRST_KEY = UUID(int=0)


@dataclass
class Audited:
    """A service and its store, and what only this service has: aggregates, net, other checks, and copies.

    `away` says why the store has stopped answering; it is not asked again then.
    """

    service: Service[Any]
    engine: Engine
    aggregates: tuple[Aggregate, ...]
    net: Net | None = None
    own: tuple[Own, ...] = ()
    copies: tuple[Copied, ...] = ()
    """Its copies of other services' data."""
    away: str = ""

    @property
    def name(self) -> str:
        """Return the service's name."""
        return self.service.name

    def gave_up(self, error: Exception) -> str:
        """Return in words why a look failed; remember it when others would fail as well."""
        if isinstance(error, QueryCanceledError | LockNotAvailableError):
            return "took too long"
        if isinstance(error, InvalidCatalogNameError | UndefinedTableError | UndefinedColumnError):
            self.away = f"no store, or an older one: `leadline worker {self.name}` makes and migrates it"
        else:
            self.away = f"the store does not answer ({type(error).__name__})"
        return self.away


@dataclass
class Within:
    """One look into one store. `lines` has the answers so far; what may only be on its way is `watched`."""

    store: Audited
    extent: Extent
    clock: Clock
    lines: list[ReportLine] = field(default_factory=list)
    watched: list[tuple[Check, Watched[Any]]] = field(default_factory=list)
    _written_at: dict[int, datetime] = field(default_factory=dict)

    async def look(self) -> None:
        """Ask every question once. A check that cannot look becomes a line that says so."""
        await self._ask(findings.NUMBERS, self._numbers)
        await self._ask(findings.IDS, self._ids)
        await self._ask(findings.ROWS, self._rows)
        await self._ask(findings.OUTBOX, self._strays)
        await self._ask(findings.DEADLINES, self._deadlines)
        await self._ask(findings.ALARMS, self._alarms)
        await self._ask(findings.AGGREGATES, self._aggregates)
        await self._tell(findings.DEAD_LETTERS, self._dead_letters)
        await self._tell(findings.REQUESTS, self._requests)
        if self.store.net is not None:
            await self._tell(findings.NET, self._net)
        for check, finds in self.store.own:
            await self._ask(check, partial(self._own, finds))
        await self._watch(findings.PENDING, self._pending)
        await self._watch(findings.WAITING, self._waiting)
        await self._watch(findings.DUE, self._due)

    def told(self, *, grace_seconds: float) -> list[ReportLine]:
        """Return every line, when what is watched has had its grace."""
        return self.lines + [
            check.unseen(self.store.name, watched.failed)
            if watched.failed
            else check.line(
                self.store.name,
                map(_named, watched.things),
                grace=grace_seconds,
                oldest=self._oldest(watched.things),
            )
            for check, watched in self.watched
        ]

    def _oldest(self, positions: Iterable[Any]) -> str:
        """Return when the oldest of some events of the outbox was written."""
        times = [self._written_at[one] for one in positions if one in self._written_at]
        return timestamp(min(times)) if times else "an unknown time"

    async def _ask(self, check: Check, question: Callable[[], Awaitable[Found]]) -> None:
        async def answer() -> ReportLine:
            return check.line(self.store.name, (await question()).things)

        await self._tell(check, answer)

    async def _tell(self, check: Check, question: Callable[[], Awaitable[ReportLine]]) -> None:
        self.lines.append(await attempted(self.store, check, question))

    async def _watch(self, check: Check, look: Callable[[], Awaitable[Iterable[Any]]]) -> None:
        watched = Watched(look, failed=self.store.away)
        if not watched.failed:
            try:
                await watched.first()
            except UNANSWERED as error:
                watched.failed = self.store.gave_up(error)
        self.watched.append((check, watched))

    async def _numbers(self) -> Found:
        async def read(connection: Connection, after: int, until: int) -> list[UUID]:
            return findings.gaps(await audit_queries.histories(connection, after, until))

        return await self._of_chunks(read)

    async def _ids(self) -> Found:
        async def read(connection: Connection, after: int, until: int) -> list[UUID]:
            return findings.foreign_ids(await audit_queries.written(connection, after, until))

        return await self._of_chunks(read)

    async def _rows(self) -> Found:
        homes = (*self.store.aggregates, DEADLINES, DEAD_LETTERS)

        async def read(connection: Connection, after: int, until: int) -> list[UUID]:
            return await audit_queries.without_row(connection, homes, after, until)

        return await self._of_chunks(read)

    async def _strays(self) -> Found:
        found, after = Found(), 0
        while not found.full:
            async with looking(self.store.engine) as connection:
                queue = await audit_queries.queued(connection, after)
            found.add(findings.strays(queue))
            if len(queue) < audit_queries.CHUNK:
                break
            after = queue[-1].position
        return found

    async def _deadlines(self) -> Found:
        return await self._standing(DEADLINES)

    async def _alarms(self) -> Found:
        found = Found()
        async with looking(self.store.engine) as connection:
            found.add(await audit_queries.silent(connection))
        return found

    async def _aggregates(self) -> Found:
        found = Found()
        for aggregate in self.store.aggregates:
            found.add((await self._standing(aggregate)).things)
        return found

    async def _standing(self, aggregate: Aggregate) -> Found:
        """Compare rows with the journal: all of them, or those of the part that is looked at."""
        if not self.extent.whole:

            async def read(connection: Connection, after: int, until: int) -> list[UUID]:
                standings = await audit_queries.standings_told(connection, aggregate, after, until)
                return findings.differing(standings, aggregate.states)

            return await self._of_chunks(read)
        found, key = Found(), FIRST_KEY
        while not found.full:
            async with looking(self.store.engine) as connection:
                standings = await audit_queries.standings(connection, aggregate, key)
            found.add(findings.differing(standings, aggregate.states))
            if len(standings) < audit_queries.CHUNK:
                break
            key = standings[-1].key
        return found

    async def _of_chunks(self, read: Callable[[Connection, int, int], Awaitable[Iterable[object]]]) -> Found:
        found = Found()
        for after, until in self.extent.chunks():
            async with looking(self.store.engine) as connection:
                found.add(await read(connection, after, until))
            if found.full:
                break
        return found

    async def _dead_letters(self) -> ReportLine:
        check = findings.DEAD_LETTERS
        async with looking(self.store.engine) as connection:
            held = await audit_queries.held(connection)
        if not held.parked or held.oldest is None:
            return check.line(self.store.name, ())
        words = f"{held.parked} parked, {held.waiting} waiting, the oldest since {timestamp(held.oldest)}"
        return counted(check, self.store.name, held.parked, words)

    async def _requests(self) -> ReportLine:
        check = findings.REQUESTS
        async with looking(self.store.engine) as connection:
            odd = await audit_queries.odd_requests(connection)
        return counted(check, self.store.name, odd, f"answers that no command gives: {odd}")

    async def _net(self) -> ReportLine:
        assert self.store.net is not None  # noqa: S101 - asked for only where there is one
        async with looking(self.store.engine) as connection:
            fallen = await self.store.net(connection)
        words = ", ".join(f"{what}: {count}" for what, count in fallen.items() if count)
        return counted(findings.NET, self.store.name, sum(fallen.values()), words)

    async def _own(self, finds: Callable[[Connection], Awaitable[Iterable[object]]]) -> Found:
        found = Found()
        async with looking(self.store.engine) as connection:
            found.add(await finds(connection))
        return found

    async def _pending(self) -> list[int]:
        written: dict[int, datetime] = {}
        after = 0
        while len(written) < audit_queries.MOST:
            async with looking(self.store.engine) as connection:
                page = await audit_queries.queued(connection, after)
            # An event that the journal lacks cannot go out: another check finds that.
            written |= {one.position: one.time for one in page if one.time is not None}
            if len(page) < audit_queries.CHUNK:
                break
            after = page[-1].position
        self._written_at |= written
        return list(written)

    async def _waiting(self) -> list[UUID]:
        async with looking(self.store.engine) as connection:
            return await audit_queries.stranded(connection)

    async def _due(self) -> list[tuple[UUID, int]]:
        async with looking(self.store.engine) as connection:
            return await audit_queries.unraised(connection, now=self.clock.now())


async def attempted(
    store: Audited, check: Check, question: Callable[[], Awaitable[ReportLine]]
) -> ReportLine:
    """Return the answer to a question, or the line that says why there is none."""
    if store.away:
        return check.unseen(store.name, store.away)
    try:
        return await question()
    except UNANSWERED as error:
        return check.unseen(store.name, store.gave_up(error))


def counted(check: Check, service: str, count: int, words: str) -> ReportLine:
    """Return the line of a check whose findings were only counted."""
    if not count:
        return check.line(service, ())
    return ReportLine(
        service, check.name, "finding", words, count, advice=check.advice.format(service=service)
    )


def _named(thing: object) -> object:
    """Return what a thing is told by: a deadline with its version by the deadline alone."""
    return thing[0] if isinstance(thing, tuple) else thing
