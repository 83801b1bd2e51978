"""The work with SQLAlchemy, as its documentation advises: tables, and lists of parameters for many rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import MetaData, Table, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from services.assessment.model import Case, Caseload
from services.assessment.rows import case_of
from services.kernel.base.settings import Settings
from services.kernel.deadlines.policy import Deadline
from services.kernel.store.journal import JournalEntry
from tests.bench.peers.deciding import Decider, Incoming, Outcome

TABLES = ("inbox", "cases", "caseloads", "deadlines", "journal", "outbox")


class SqlStore:
    """Handles events in one transaction each, or a batch of them in one.

    `wakes`: whether each transaction wakes the relay. Who commits once per event is faster without: the
    relay then looks once a second and publishes many at a time.
    """

    def __init__(self, settings: Settings, *, wakes: bool) -> None:
        self._decider = Decider(settings)
        self._wakes = wakes
        # The journal's data is JSON already: `str` keeps SQLAlchemy from encoding it again.
        self._engine = create_async_engine(settings.database_of("assessment"), json_serializer=str)
        self._metadata = MetaData()

    async def open(self) -> None:
        """Read the tables' definitions."""
        async with self._engine.connect() as connection:
            await connection.run_sync(self._metadata.reflect, only=TABLES)

    async def close(self) -> None:
        """Disconnect."""
        await self._engine.dispose()

    async def handle(self, incoming: Sequence[Incoming]) -> None:
        """Bring events into effect in one transaction; what has been seen before changes nothing."""
        async with self._engine.begin() as connection:
            fresh = await self._claim(connection, incoming)
            if not fresh:
                return
            history = await self._history(connection, fresh)
            caseloads = await self._caseloads(connection, self._decider.people(fresh))
            outcome = self._decider.decide(fresh, history, caseloads)
            if outcome.cases:
                await self._write(connection, outcome)

    async def _claim(self, connection: AsyncConnection, incoming: Sequence[Incoming]) -> list[Incoming]:
        now = self._decider.clock.now()
        inbox = self._table("inbox")
        claim = insert(inbox).on_conflict_do_nothing().returning(inbox.c.message_id)
        rows = [{"message_id": one, "received_at": now} for one in {one.message_id for one in incoming}]
        claimed = set(await connection.scalars(claim, rows))
        fresh = []
        for one in incoming:
            if one.message_id in claimed:
                claimed.discard(one.message_id)
                fresh.append(one)
        return fresh

    async def _history(self, connection: AsyncConnection, fresh: Sequence[Incoming]) -> list[Case]:
        cases = self._table("cases")
        children = [one.event.child_id for one in fresh]
        rows = await connection.execute(select(cases).where(cases.c.child_id.in_(children)))
        return [case_of(row) for row in rows]  # type: ignore[arg-type]  # has the columns as attributes

    async def _caseloads(self, connection: AsyncConnection, people: Sequence[str]) -> dict[str, Caseload]:
        """Return caseloads, locked in order; a new practitioner starts with an empty one."""
        table = self._table("caseloads")
        wanted = (
            select(table)
            .where(table.c.practitioner_id.in_(people))
            .order_by(table.c.practitioner_id)
            .with_for_update()
        )
        found = {row.practitioner_id: Caseload(*row) for row in await connection.execute(wanted)}
        missing = [person for person in people if person not in found]
        if missing:
            rows = [{"practitioner_id": person, "cases": 0, "points": 0} for person in missing]
            await connection.execute(insert(table).on_conflict_do_nothing(), rows)
            found = {row.practitioner_id: Caseload(*row) for row in await connection.execute(wanted)}
        return found

    async def _write(self, connection: AsyncConnection, outcome: Outcome) -> None:
        await connection.execute(insert(self._table("cases")), [_case_row(case) for case in outcome.cases])
        caseloads = self._table("caseloads")
        moved = (
            update(caseloads)
            .where(caseloads.c.practitioner_id == bindparam("person"))
            .values(cases=bindparam("new_cases"), points=bindparam("new_points"))
        )
        await connection.execute(
            moved,
            [
                {"person": one.practitioner_id, "new_cases": one.cases, "new_points": one.points}
                for one in sorted(outcome.caseloads, key=lambda one: one.practitioner_id)
            ],
        )
        await connection.execute(
            insert(self._table("deadlines")), [_deadline_row(deadline) for deadline in outcome.deadlines]
        )
        journal = self._table("journal")
        now = self._decider.clock.now()
        appended = await connection.scalars(
            insert(journal).returning(journal.c.position, sort_by_parameter_order=True),
            [_journal_row(entry, now) for entry in outcome.entries],
        )
        await connection.execute(
            insert(self._table("outbox")), [{"position": position} for position in appended]
        )
        if self._wakes:
            await connection.execute(select(func.pg_notify("outbox", "")))

    def _table(self, name: str) -> Table:
        return self._metadata.tables[name]


def _case_row(case: Case) -> dict[str, Any]:
    return {
        "case_id": case.case_id,
        "version": case.version,
        "status": case.status.value,
        "child_id": case.child_id,
        "family_id": case.family_id,
        "referral_id": case.referral_id,
        "locality": case.locality,
        "team": case.team,
        "lead_professional_id": case.lead_professional_id,
        "level": case.level,
        "points": case.points,
        "needs": "[]",
        "rules": "[]",
        "reviews": case.reviews,
        "started_at": case.started_at,
    }


def _deadline_row(deadline: Deadline) -> dict[str, Any]:
    assert deadline.dates is not None
    return {
        "deadline_id": deadline.deadline_id,
        "version": deadline.version,
        "state": deadline.state,
        "about": deadline.about,
        "child_id": deadline.child_id,
        "case_id": deadline.case_id,
        "kind": deadline.kind,
        "rule": deadline.rule,
        "trigger_at": deadline.trigger_at,
        "due_soon_at": deadline.dates.due_soon_at,
        "due_from": deadline.dates.due_from,
        "due_at": deadline.dates.due_at,
        "next_at": deadline.next_at,
    }


def _journal_row(entry: JournalEntry, now: datetime) -> dict[str, Any]:
    return {
        "event_id": entry.event_id,
        "type": entry.type,
        "subject": entry.subject,
        "sequence": entry.sequence,
        "key": entry.key,
        "time": now,
        "correlation_id": entry.correlation_id,
        "causation_id": entry.causation_id,
        "data": entry.data,
    }
