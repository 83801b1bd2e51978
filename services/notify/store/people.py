"""SQL about who is around a child: referrer, cases, key worker, reviewing officer."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import text

from services.kernel.postgres.connection import Connection
from services.notify.alerts.model import Case, KeyWorker, People, Referrer, ReviewingOfficer
from services.notify.book import NotifyBook

# People are read without locks: a child's referrer has one writer (the worker that reads the child's
# partition of referral-events), and so has a case (assessment-events). Locks would only make workers wait
# for each other that read the same child on different topics.
# One statement, and no join: each part finds its rows over its own index, whatever the planner believes.
LOAD = text("""
    SELECT 'referrer' AS what, child_id, agency_id AS who, referred_at AS moment, locality,
           CAST(NULL AS uuid) AS case_id, NULL AS status, NULL AS team, 0 AS version
    FROM referrers WHERE child_id = ANY(CAST(:children AS uuid[]))
    UNION ALL
    SELECT 'case', child_id, lead_professional_id, opened_at, locality, case_id, status, team, 0
    FROM cases WHERE child_id = ANY(CAST(:children AS uuid[]))
    UNION ALL
    SELECT 'key_worker', child_id, worker_id, since, NULL, NULL, NULL, NULL, version
    FROM key_workers WHERE child_id = ANY(CAST(:children AS uuid[]))
    UNION ALL
    SELECT 'reviewing_officer', child_id, worker_id, CAST(since AS timestamp) AT TIME ZONE 'UTC', NULL,
           NULL, NULL, NULL, 0
    FROM reviewing_officers WHERE child_id = ANY(CAST(:children AS uuid[]))
    ORDER BY case_id
""")

SAVE_REFERRERS = text("""
    INSERT INTO referrers (child_id, agency_id, locality, referred_at)
    SELECT * FROM unnest(
        CAST(:children AS uuid[]), CAST(:agencies AS text[]), CAST(:localities AS text[]),
        CAST(:referred_ats AS timestamptz[])
    )
    ON CONFLICT (child_id) DO UPDATE SET
        agency_id = excluded.agency_id, locality = excluded.locality, referred_at = excluded.referred_at
    WHERE referrers.referred_at <= excluded.referred_at
""")

SAVE_CASES = text("""
    INSERT INTO cases (case_id, child_id, opened_at, status, lead_professional_id, team, locality)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:children AS uuid[]), CAST(:opened_ats AS timestamptz[]),
        CAST(:statuses AS text[]), CAST(:leads AS text[]), CAST(:teams AS text[]), CAST(:localities AS text[])
    )
    ON CONFLICT (case_id) DO UPDATE SET
        opened_at = excluded.opened_at, status = excluded.status, team = excluded.team,
        lead_professional_id = excluded.lead_professional_id, locality = excluded.locality
""")

SAVE_KEY_WORKERS = text("""
    INSERT INTO key_workers (child_id, worker_id, since, version)
    SELECT * FROM unnest(
        CAST(:children AS uuid[]), CAST(:workers AS text[]), CAST(:sinces AS timestamptz[]),
        CAST(:versions AS integer[])
    )
    ON CONFLICT (child_id) DO UPDATE SET
        worker_id = excluded.worker_id, since = excluded.since, version = excluded.version
""")

SAVE_OFFICERS = text("""
    INSERT INTO reviewing_officers (child_id, worker_id, since)
    SELECT * FROM unnest(CAST(:children AS uuid[]), CAST(:workers AS text[]), CAST(:sinces AS date[]))
    ON CONFLICT (child_id) DO UPDATE SET worker_id = excluded.worker_id, since = excluded.since
    WHERE reviewing_officers.since <= excluded.since
""")


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
    referrers = [(people.child_id, people.referrer) for people in changed if people.referrer is not None]
    if referrers:
        await connection.execute(
            SAVE_REFERRERS,
            {
                "children": [child_id for child_id, _ in referrers],
                "agencies": [referrer.agency_id for _, referrer in referrers],
                "localities": [referrer.locality for _, referrer in referrers],
                "referred_ats": [referrer.referred_at for _, referrer in referrers],
            },
        )


async def _save_cases(connection: Connection, book: NotifyBook) -> None:
    changed = sorted(book.changed_cases.items())
    cases = [(book.people[child_id].find_case(case_id), child_id) for case_id, child_id in changed]
    known = [(case, child_id) for case, child_id in cases if case is not None]
    if known:
        await connection.execute(
            SAVE_CASES,
            {
                "ids": [case.case_id for case, _ in known],
                "children": [child_id for _, child_id in known],
                "opened_ats": [case.opened_at for case, _ in known],
                "statuses": [case.status for case, _ in known],
                "leads": [case.lead_professional_id for case, _ in known],
                "teams": [case.team for case, _ in known],
                "localities": [case.locality for case, _ in known],
            },
        )


async def _save_key_workers(connection: Connection, changed: Sequence[People]) -> None:
    named = [(people.child_id, people.key_worker) for people in changed if people.key_worker is not None]
    if named:
        await connection.execute(
            SAVE_KEY_WORKERS,
            {
                "children": [child_id for child_id, _ in named],
                "workers": [worker.worker_id for _, worker in named],
                "sinces": [worker.since for _, worker in named],
                "versions": [worker.version for _, worker in named],
            },
        )


async def _save_officers(connection: Connection, changed: Sequence[People]) -> None:
    named = [
        (people.child_id, people.reviewing_officer)
        for people in changed
        if people.reviewing_officer is not None
    ]
    if named:
        await connection.execute(
            SAVE_OFFICERS,
            {
                "children": [child_id for child_id, _ in named],
                "workers": [officer.worker_id for _, officer in named],
                "sinces": [officer.since for _, officer in named],
            },
        )
