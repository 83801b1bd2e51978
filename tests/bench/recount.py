"""The independent recount: what the tables must hold, worked out from the list of events and nothing else."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid5
from zoneinfo import ZoneInfo

import asyncpg
import holidays

from services.assessment.pack import AssessmentPack
from tests.bench.backlog import Referral, firsts

LONDON = ZoneInfo("Europe/London")

DELIVERED = "CREATE TEMP TABLE delivered (message_id uuid)"
EXPECTED = """
    CREATE TEMP TABLE expected (
        case_id uuid PRIMARY KEY, message_id uuid, event_id uuid, child_id uuid, referral_id uuid,
        locality text, team text, level integer, points integer, received_at timestamptz, due_at timestamptz
    )
"""
STAFF = "CREATE TEMP TABLE staff (practitioner_id text PRIMARY KEY, team text, capacity double precision)"

CHECKS = {
    "inbox": """
        SELECT count(*) FROM (SELECT DISTINCT message_id FROM delivered) AS d
        FULL JOIN inbox USING (message_id) WHERE d.message_id IS NULL OR inbox.message_id IS NULL
    """,
    "cases": """
        SELECT count(*) FROM expected AS e FULL JOIN cases AS c USING (case_id)
        WHERE (e.child_id, e.referral_id, e.locality, e.team, e.level, e.points, 2, 'assessing', 0)
           IS DISTINCT FROM
           (c.child_id, c.referral_id, c.locality, c.team, c.level, c.points, c.version, c.status, c.reviews)
    """,
    "a lead of the locality's team": """
        SELECT count(*) FROM cases AS c LEFT JOIN staff AS s ON s.practitioner_id = c.lead_professional_id
        WHERE s.team IS DISTINCT FROM c.team
    """,
    "caseloads": """
        SELECT count(*) FROM (
            SELECT lead_professional_id AS practitioner_id, count(*) AS cases, sum(points) AS points
            FROM cases GROUP BY 1
        ) AS led FULL JOIN (SELECT * FROM caseloads WHERE cases > 0) AS c USING (practitioner_id)
        WHERE (led.cases, led.points) IS DISTINCT FROM (c.cases, c.points)
    """,
    # Whoever took the last case had the most room then, and the others have only got more since.
    "the least loaded leads": """
        WITH load AS (
            SELECT s.team, s.capacity, coalesce(c.points, 0) / s.capacity AS weighted
            FROM staff AS s LEFT JOIN caseloads AS c USING (practitioner_id)
        )
        SELECT count(*) FROM load AS one JOIN load AS other USING (team)
        WHERE one.weighted - (SELECT max(points) FROM expected) / one.capacity > other.weighted + 1e-9
    """,
    "deadlines": """
        SELECT count(*) FROM expected AS e FULL JOIN deadlines AS d ON d.about = e.case_id
        WHERE (e.child_id, e.case_id, e.received_at, e.due_at, 'assessment', 'scheduled', 1)
           IS DISTINCT FROM (d.child_id, d.case_id, d.trigger_at, d.due_at, d.kind, d.state, d.version)
    """,
    "journal: assessment.started": """
        SELECT count(*) FROM expected AS e
        FULL JOIN (SELECT * FROM journal WHERE type = 'assessment.started.v1') AS j ON j.subject = e.case_id
        WHERE (1, e.child_id, e.event_id, e.message_id, e.case_id::text, e.referral_id::text, e.locality,
               e.team, e.level::text)
           IS DISTINCT FROM
              (j.sequence, j.key, j.correlation_id, j.causation_id, j.data ->> 'case_id',
               j.data ->> 'referral_id', j.data ->> 'locality', j.data ->> 'team',
               j.data ->> 'indicated_level')
    """,
    "journal: lead_professional.assigned": """
        SELECT count(*) FROM cases AS c JOIN expected AS e USING (case_id)
        FULL JOIN (SELECT * FROM journal WHERE type = 'lead_professional.assigned.v1') AS j
            ON j.subject = c.case_id
        WHERE (2, c.child_id, e.event_id, e.message_id, c.case_id::text, c.lead_professional_id)
           IS DISTINCT FROM
              (j.sequence, j.key, j.correlation_id, j.causation_id, j.data ->> 'case_id',
               j.data ->> 'lead_professional_id')
    """,
    "journal: deadline.scheduled": """
        SELECT count(*) FROM deadlines AS d JOIN expected AS e ON e.case_id = d.about
        FULL JOIN (SELECT * FROM journal WHERE type = 'deadline.scheduled.v1') AS j
            ON j.subject = d.deadline_id
        WHERE (1, d.child_id, e.event_id, e.message_id, e.case_id::text, e.due_at)
           IS DISTINCT FROM
              (j.sequence, j.key, j.correlation_id, j.causation_id, j.data ->> 'about',
               (j.data ->> 'due_at')::timestamptz)
    """,
    "journal: nothing else": "SELECT (SELECT count(*) FROM journal) - 3 * (SELECT count(*) FROM expected)",
    "outbox: all published": "SELECT count(*) FROM outbox",
    "dead letters": "SELECT count(*) FROM dead_letters",
}
"""By what is compared: how many rows disagree."""


async def recount(
    connection: "asyncpg.Connection[Any]", referrals: Sequence[Referral], pack: AssessmentPack
) -> list[str]:
    """Return what disagrees between the tables and the list of events: nothing when all is right."""
    for statement in (DELIVERED, EXPECTED, STAFF):
        await connection.execute(statement)
    ids = {referral.event_id: referral.message_id for referral in referrals}
    await connection.copy_records_to_table("delivered", records=[(one,) for one in ids.values()])
    weights, team_of, dues = pack.caseload.weights, pack.team_of_locality, _Dues(pack)
    await connection.copy_records_to_table(
        "expected",
        records=[
            (
                uuid5(ids[one.event_id], "case"),
                ids[one.event_id],
                one.event_id,
                one.child_id,
                one.referral_id,
                one.locality,
                team_of[one.locality],
                one.level,
                weights[one.level],
                one.received_at,
                dues.due_at(one.received_at),
            )
            for one in firsts(referrals)
        ],
    )
    points = pack.points_of
    staff = [(one.id, one.team, points[one.id]) for one in pack.practitioners if one.team and points[one.id]]
    await connection.copy_records_to_table("staff", records=staff)
    await connection.execute("ANALYZE")
    wrong = []
    for what, query in CHECKS.items():
        if disagreeing := await connection.fetchval(query):
            wrong.append(f"{what}: {disagreeing} rows disagree")
    return wrong


class _Dues:
    """When an assessment is late, counted day by day on a calendar of its own."""

    def __init__(self, pack: AssessmentPack) -> None:
        rule = pack.deadlines.assessment
        if (rule.unit, rule.count_from, rule.roll) != ("working_days", "same_day", "none"):
            message = f"the recount cannot count {rule.code}"
            raise ValueError(message)
        self._limit = rule.limit
        self._off = holidays.country_holidays("GB", subdiv="ENG")
        self._known: dict[date, datetime] = {}

    def due_at(self, received_at: datetime) -> datetime:
        """Return London's midnight after the last day: the day of receipt is day 1 if people work on it."""
        day = received_at.astimezone(LONDON).date()
        if day not in self._known:
            last, counted = day - timedelta(days=1), 0
            while counted < self._limit:
                last += timedelta(days=1)
                counted += last.weekday() < 5 and last not in self._off
            after = last + timedelta(days=1)
            self._known[day] = datetime(after.year, after.month, after.day, tzinfo=LONDON).astimezone(UTC)
        return self._known[day]
