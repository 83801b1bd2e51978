"""SQL of the people around a child: referrer, cases, key worker, reviewing officer."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import text

from services.kernel.postgres.bulk import Columns
from services.kernel.postgres.connection import Connection
from services.kernel.postgres.statements import sql
from services.notify.alerts.model import Case, KeyWorker, People, Referrer, ReviewingOfficer
from services.notify.book import NotifyBook

# People are read without locks: a child's referrer has one writer (the worker that reads the child's
# partition of referral-events), and so has a case (assessment-events). Locks would only make workers wait
# for each other that read the same child on different topics.
# One statement, and no join: each part finds its rows over its own index, whatever the planner believes.
LOAD = text("""
    SELECT 'referrer' AS what, child_id, agency_id AS who, referred_at AS moment, locality,
           CAST(NULL AS uuid) AS case_id, NULL AS status, NULL AS team, 0 AS version
    FROM referrers WHERE child_id = ANY(:children)
    UNION ALL
    SELECT 'case', child_id, lead_professional_id, opened_at, locality, case_id, status, team, 0
    FROM cases WHERE child_id = ANY(:children)
    UNION ALL
    SELECT 'key_worker', child_id, worker_id, since, NULL, NULL, NULL, NULL, version
    FROM key_workers WHERE child_id = ANY(:children)
    UNION ALL
    SELECT 'reviewing_officer', child_id, worker_id, CAST(since AS timestamp) AT TIME ZONE 'UTC', NULL,
           NULL, NULL, NULL, 0
    FROM reviewing_officers WHERE child_id = ANY(:children)
    ORDER BY case_id
""")

REFERRER = Columns(child_id="uuid", agency_id="text", locality="text", referred_at="timestamptz")
SAVE_REFERRERS = sql(
    "{upsert} WHERE referrers.referred_at <= excluded.referred_at", upsert=REFERRER.upsert("referrers")
)

CASE = Columns(
    case_id="uuid",
    child_id="uuid",
    opened_at="timestamptz",
    status="text",
    lead_professional_id="text",
    team="text",
    locality="text",
)
SAVE_CASES = text(CASE.upsert("cases", keep=("child_id",)))

KEY_WORKER = Columns(child_id="uuid", worker_id="text", since="timestamptz", version="integer")
SAVE_KEY_WORKERS = text(KEY_WORKER.upsert("key_workers"))

OFFICER = Columns(child_id="uuid", worker_id="text", since="date")
SAVE_OFFICERS = sql(
    "{upsert} WHERE reviewing_officers.since <= excluded.since", upsert=OFFICER.upsert("reviewing_officers")
)


async def load(connection: Connection, children: Sequence[UUID]) -> dict[UUID, People]:
    """Return who is around children; a child of whom nothing was heard is left out."""
    found: dict[UUID, People] = {}
    for row in await connection.execute(LOAD, {"children": children}):
        people = found.get(row.child_id) or People(row.child_id)
        match row.what:
            case "referrer":
                people = replace(people, referrer=Referrer(row.who, row.locality, row.moment))
            case "case":
                case = Case(row.case_id, row.moment, row.status, row.who, row.team, row.locality)
                people = replace(people, cases=(*people.cases, case))
            case "key_worker":
                people = replace(people, key_worker=KeyWorker(row.who, row.moment, row.version))
            case "reviewing_officer":
                people = replace(people, reviewing_officer=ReviewingOfficer(row.who, row.moment.date()))
        found[row.child_id] = people
    return found


async def save(connection: Connection, book: NotifyBook) -> None:
    """Write what has changed about the people of a batch."""
    await _save_referrers(connection, [book.people[each] for each in sorted(book.changed_referrers)])
    await _save_cases(connection, book)
    await _save_key_workers(connection, [book.people[each] for each in sorted(book.changed_key_workers)])
    await _save_officers(connection, [book.people[each] for each in sorted(book.changed_officers)])


async def _save_referrers(connection: Connection, changed: Sequence[People]) -> None:
    rows = [
        (people.child_id, referrer.agency_id, referrer.locality, referrer.referred_at)
        for people in changed
        if (referrer := people.referrer) is not None
    ]
    if rows:
        await connection.execute(SAVE_REFERRERS, REFERRER.rows(rows))


async def _save_cases(connection: Connection, book: NotifyBook) -> None:
    children = book.changed_cases
    found = [book.people[children[case_id]].find_case(case_id) for case_id in sorted(children)]
    cases = [case for case in found if case is not None]
    if cases:
        arrays = CASE.of(cases, child_id=lambda case: children[case.case_id])
        await connection.execute(SAVE_CASES, arrays)


async def _save_key_workers(connection: Connection, changed: Sequence[People]) -> None:
    rows = [
        (people.child_id, worker.worker_id, worker.since, worker.version)
        for people in changed
        if (worker := people.key_worker) is not None
    ]
    if rows:
        await connection.execute(SAVE_KEY_WORKERS, KEY_WORKER.rows(rows))


async def _save_officers(connection: Connection, changed: Sequence[People]) -> None:
    rows = [
        (people.child_id, officer.worker_id, officer.since)
        for people in changed
        if (officer := people.reviewing_officer) is not None
    ]
    if rows:
        await connection.execute(SAVE_OFFICERS, OFFICER.rows(rows))
