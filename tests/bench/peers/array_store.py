"""The work with asyncpg: four statements a batch, each with one array per column."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url

from services.assessment.model import Caseload
from services.assessment.rows import case_of
from services.kernel.base.settings import Settings
from tests.bench.peers.deciding import Decider, Incoming, Outcome

CLAIM = """
    INSERT INTO inbox (message_id, received_at)
    SELECT DISTINCT id, $2::timestamptz FROM unnest($1::uuid[]) AS id
    ON CONFLICT DO NOTHING RETURNING message_id
"""
HISTORY = "SELECT * FROM cases WHERE child_id = ANY($1::uuid[])"
CASELOADS = """
    SELECT practitioner_id, cases, points FROM caseloads WHERE practitioner_id = ANY($1::text[])
    ORDER BY practitioner_id FOR UPDATE
"""
ADD_CASELOADS = """
    INSERT INTO caseloads (practitioner_id, cases, points)
    SELECT person, 0, 0 FROM unnest($1::text[]) AS person
    ON CONFLICT DO NOTHING
"""
SAVE = """
    WITH started AS (
        INSERT INTO cases (case_id, version, status, child_id, family_id, referral_id, locality, team,
            lead_professional_id, level, points, needs, rules, reviews, started_at)
        SELECT case_id, version, status, child_id, family_id, referral_id, locality, team,
            lead, level, points, '[]', '[]', 0, $25
        FROM unnest($1::uuid[], $2::int[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[],
            $8::text[], $9::text[], $10::int[], $11::int[])
            AS started
            (case_id, version, status, child_id, family_id, referral_id, locality, team, lead, level, points)
    ), moved AS (
        UPDATE caseloads SET cases = fresh.cases, points = fresh.points
        FROM unnest($12::text[], $13::int[], $14::int[]) AS fresh (person, cases, points)
        WHERE practitioner_id = fresh.person
    ), dated AS (
        INSERT INTO deadlines (deadline_id, version, state, about, child_id, case_id, kind, rule,
            trigger_at, due_soon_at, due_from, due_at, next_at)
        SELECT deadline_id, 1, state, about, child_id, about, kind, rule,
            trigger_at, due_soon_at, due_from, due_at, next_at
        FROM unnest($15::uuid[], $16::text[], $1::uuid[], $4::uuid[], $17::text[], $18::text[],
            $19::timestamptz[], $20::timestamptz[], $21::timestamptz[], $22::timestamptz[],
            $23::timestamptz[])
            AS dated
            (deadline_id, state, about, child_id, kind, rule,
             trigger_at, due_soon_at, due_from, due_at, next_at)
    ), appended AS (
        INSERT INTO journal
            (event_id, type, subject, sequence, key, time, correlation_id, causation_id, data)
        SELECT event_id, type, subject, sequence, key, $25, correlation_id, causation_id, data::json
        FROM unnest($24::uuid[], $26::text[], $27::uuid[], $28::int[], $29::uuid[], $30::uuid[], $31::uuid[],
            $32::text[]) WITH ORDINALITY
            AS e (event_id, type, subject, sequence, key, correlation_id, causation_id, data, ordinal)
        ORDER BY ordinal RETURNING position
    )
    INSERT INTO outbox (position) SELECT position FROM appended
"""
WAKE = "SELECT pg_notify('outbox', '')"


class ArrayStore:
    """Handles a batch in one transaction on one connection, whose prepared statements asyncpg keeps."""

    def __init__(self, settings: Settings) -> None:
        self._decider = Decider(settings)
        url = make_url(settings.database_of("assessment")).set(drivername="postgresql")
        self._dsn = url.render_as_string(hide_password=False)
        self._connection: asyncpg.Connection[Any]

    async def open(self) -> None:
        """Connect."""
        self._connection = await asyncpg.connect(self._dsn)

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()

    async def handle(self, incoming: Sequence[Incoming]) -> None:
        """Bring events into effect; what has been seen before changes nothing."""
        if not incoming:
            return
        async with self._connection.transaction():
            ids = [one.message_id for one in incoming]
            claimed = {row[0] for row in await self._connection.fetch(CLAIM, ids, self._decider.clock.now())}
            fresh = []
            for one in incoming:
                if one.message_id in claimed:
                    claimed.discard(one.message_id)
                    fresh.append(one)
            if not fresh:
                return
            children = [one.event.child_id for one in fresh]
            history = [
                case_of(SimpleNamespace(**row))  # type: ignore[arg-type]  # has the columns as attributes
                for row in await self._connection.fetch(HISTORY, children)
            ]
            caseloads = await self._caseloads(self._decider.people(fresh))
            outcome = self._decider.decide(fresh, history, caseloads)
            if outcome.cases:
                await self._connection.execute(SAVE, *self._arrays(outcome))
                await self._connection.execute(WAKE)

    async def _caseloads(self, people: Sequence[str]) -> dict[str, Caseload]:
        """Return caseloads, locked in order; a new practitioner starts with an empty one."""
        rows = await self._connection.fetch(CASELOADS, people)
        if len(rows) < len(people):
            await self._connection.execute(ADD_CASELOADS, people)
            rows = await self._connection.fetch(CASELOADS, people)
        return {row[0]: Caseload(*row) for row in rows}

    def _arrays(self, outcome: Outcome) -> list[Any]:
        """Return the parameters of SAVE; every new case has exactly one deadline."""
        deadlines = {deadline.about: deadline for deadline in outcome.deadlines}
        cases = outcome.cases
        dates = [deadlines[case.case_id] for case in cases]
        moments = [deadline.dates for deadline in dates if deadline.dates is not None]
        entries = outcome.entries
        return [
            [case.case_id for case in cases],
            [case.version for case in cases],
            [case.status.value for case in cases],
            [case.child_id for case in cases],
            [case.family_id for case in cases],
            [case.referral_id for case in cases],
            [case.locality for case in cases],
            [case.team for case in cases],
            [case.lead_professional_id for case in cases],
            [case.level for case in cases],
            [case.points for case in cases],
            [one.practitioner_id for one in outcome.caseloads],
            [one.cases for one in outcome.caseloads],
            [one.points for one in outcome.caseloads],
            [deadline.deadline_id for deadline in dates],
            [deadline.state for deadline in dates],
            [deadline.kind for deadline in dates],
            [deadline.rule for deadline in dates],
            [deadline.trigger_at for deadline in dates],
            [each.due_soon_at for each in moments],
            [each.due_from for each in moments],
            [each.due_at for each in moments],
            [deadline.next_at for deadline in dates],
            [entry.event_id for entry in entries],
            self._decider.clock.now(),
            [entry.type for entry in entries],
            [entry.subject for entry in entries],
            [entry.sequence for entry in entries],
            [entry.key for entry in entries],
            [entry.correlation_id for entry in entries],
            [entry.causation_id for entry in entries],
            [entry.data for entry in entries],
        ]
