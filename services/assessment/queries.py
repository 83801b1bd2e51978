"""Read-only statements: lists of cases, caseloads, and whether a child falls through the net."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import text

from services.assessment.model import Case, Caseload
from services.assessment.rows import COLUMNS, case_of
from services.kernel.postgres.connection import Connection
from services.kernel.postgres.statements import sql
from services.kernel.store.cursors import Key, ListPart
from services.kernel.store.keyset import Column, Listing

FILTER = """
    WHERE (CAST(:status AS text) IS NULL OR (status = 'closed') = (CAST(:status AS text) = 'closed'))
      AND (CAST(:lead AS text) IS NULL OR lead_professional_id = :lead)
      AND (CAST(:locality AS text) IS NULL OR locality = :locality)
      AND (CAST(:child_id AS uuid) IS NULL
           OR (child_id = :child_id AND status <> 'closed') OR (child_id = :child_id AND status = 'closed'))
"""
ONE = sql("SELECT {columns} FROM cases WHERE case_id = :id", columns=COLUMNS)
# Ordered by start, which never changes, then by id.
LIST = {
    sort: Listing(
        f"cases, {sort} first",
        COLUMNS,
        f"FROM cases {FILTER}",
        Column("started_at", "moment", descending),
        Column("case_id", "uuid", descending),
    )
    for sort, descending in (("newest", True), ("oldest", False))
}

CASELOADS = text("SELECT practitioner_id, cases, points FROM caseloads ORDER BY practitioner_id")

NET = text("""
    SELECT count(*) AS open_cases,
           count(*) FILTER (
               WHERE lead_professional_id IS NULL OR lead_professional_id <> ALL(:leaders)
           ) AS open_cases_without_lead,
           count(*) FILTER (
               WHERE NOT EXISTS (
                   SELECT FROM deadlines
                   WHERE about = cases.case_id AND state NOT IN ('met', 'waived') AND state <> 'paused'
               )
           ) AS open_cases_without_deadline
    FROM cases WHERE status <> 'closed'
""")

Sort = Literal["newest", "oldest"]


LED = """
    SELECT case_id AS key, version,
           jsonb_build_array(
               child_id, CASE status WHEN 'closed' THEN 'closed' ELSE 'open' END,
               CASE WHEN status <> 'closed' THEN lead_professional_id END, locality
           )::text AS facts
    FROM cases
"""
"""Every case: the child, open or closed, who leads it while it is open, and where."""

CONCLUDED = """
    SELECT case_id AS key, version,
           jsonb_build_array(
               child_id, CASE WHEN close_reason IS DISTINCT FROM 'threshold_not_met' THEN level END,
               CASE status WHEN 'closed' THEN 'closed' ELSE 'open' END
           )::text AS facts
    FROM cases WHERE status <> 'assessing'
"""
"""Every case whose assessment is concluded: the child, the level if a threshold was met, open or closed."""

WRONG_CASELOADS = text("""
    SELECT coalesce(caseloads.practitioner_id, led.practitioner_id)
    FROM caseloads FULL JOIN (
        SELECT lead_professional_id AS practitioner_id, count(*) AS cases, sum(points) AS points
        FROM cases WHERE status <> 'closed' GROUP BY lead_professional_id
    ) AS led USING (practitioner_id)
    WHERE (coalesce(caseloads.cases, 0), coalesce(caseloads.points, 0))
          <> (coalesce(led.cases, 0), coalesce(led.points, 0))
    ORDER BY 1
""")


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """Which cases a list shows; None means any."""

    status: Literal["open", "closed"] | None = None
    lead: str | None = None
    locality: str | None = None
    child_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Net:
    """How many open cases there are, and how many of them have no lead or no running deadline."""

    open_cases: int
    open_cases_without_lead: int
    open_cases_without_deadline: int


async def find_case(connection: Connection, case_id: UUID) -> Case | None:
    """Return one case or None."""
    row = (await connection.execute(ONE, {"id": case_id})).one_or_none()
    return None if row is None else case_of(row)


async def list_cases(
    connection: Connection, chosen: CaseFilter, *, sort: Sort, limit: int, after: Key | None = None
) -> ListPart[Case]:
    """Return one page of cases. Paging on shows each one that stays in the list exactly once."""
    part = await LIST[sort].part(connection, asdict(chosen), limit=limit, after=after)
    return part.map(case_of)


async def caseloads(connection: Connection) -> dict[str, Caseload]:
    """Return the caseloads of all who have ever been considered for a case, by id."""
    rows = await connection.execute(CASELOADS)
    return {row.practitioner_id: Caseload(row.practitioner_id, row.cases, row.points) for row in rows}


async def count_net(connection: Connection, *, leaders: Sequence[str]) -> Net:
    """Count open cases afresh from the tables, not from what was decided.

    A lead counts while they are among `leaders`, a deadline while it runs: a paused one sends no reminders.
    """
    row = (await connection.execute(NET, {"leaders": list(leaders)})).one()
    return Net(row.open_cases, row.open_cases_without_lead, row.open_cases_without_deadline)


async def wrong_caseloads(connection: Connection) -> list[str]:
    """Return the practitioners whose caseload differs from the sum of their open cases."""
    return [row[0] for row in await connection.execute(WRONG_CASELOADS)]
