"""Every SQL statement that changes cases and caseloads; lists.py has those that only look."""

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import text

from schemas.events import DomainNeed, ReferralAccepted, RuleFired
from services.assessment.allocation import Roster
from services.assessment.book import CaseBook
from services.assessment.model import Case, Caseload, CompleteAssessment, ReviewPlan
from services.assessment.pack import AssessmentPack
from services.assessment.rows import COLUMNS, case_of
from services.kernel.postgres.connection import Connection
from services.kernel.processing.service import Message

CHILD_LOCKS = 7_301_946
"""The space of advisory locks in which children stand; this database has no other one of two numbers."""
CHILD_BUCKETS = 256
"""Children share locks, so that the largest batch stays far below the server's limit of locks."""

LOCK_CHILDREN = text("""
    SELECT pg_advisory_xact_lock(:space, bucket) FROM unnest(CAST(:buckets AS integer[])) AS bucket
""")

# Two statements instead of one with OR: each has one index, and nobody sends events and commands together.
LOAD_NAMED = text(f"""
    SELECT {COLUMNS} FROM cases WHERE case_id = ANY(CAST(:ids AS uuid[])) ORDER BY case_id FOR UPDATE
""")  # noqa: S608 - the columns are ours
# Open and closed cases of a child are in one small index each.
LOAD_OF_CHILDREN = text(f"""
    SELECT {COLUMNS} FROM cases
    WHERE (child_id = ANY(CAST(:ids AS uuid[])) AND status <> 'closed')
       OR (child_id = ANY(CAST(:ids AS uuid[])) AND status = 'closed')
    ORDER BY case_id FOR UPDATE
""")  # noqa: S608 - the columns are ours

LOAD_CASELOADS = text("""
    SELECT practitioner_id, cases, points FROM caseloads WHERE practitioner_id = ANY(CAST(:ids AS text[]))
    ORDER BY practitioner_id FOR UPDATE
""")

ADD_CASELOADS = text("""
    INSERT INTO caseloads (practitioner_id, cases, points)
    SELECT practitioner_id, 0, 0 FROM unnest(CAST(:ids AS text[])) AS person (practitioner_id)
    ON CONFLICT DO NOTHING
""")

SAVE = text(f"""
    INSERT INTO cases ({COLUMNS})
    SELECT case_id, version, status, child_id, family_id, referral_id, locality, team, lead_professional_id,
           level, points, needs::jsonb, rules::jsonb, policy_version, reviews,
           started_at, completed_at, reviewed_at, closed_at, close_reason
    FROM unnest(
        CAST(:case_ids AS uuid[]), CAST(:versions AS integer[]), CAST(:statuses AS text[]),
        CAST(:children AS uuid[]), CAST(:families AS uuid[]), CAST(:referrals AS uuid[]),
        CAST(:localities AS text[]), CAST(:teams AS text[]), CAST(:leads AS text[]),
        CAST(:levels AS integer[]), CAST(:points AS integer[]), CAST(:needs AS text[]),
        CAST(:rules AS text[]), CAST(:policy_versions AS text[]), CAST(:reviews AS integer[]),
        CAST(:started_ats AS timestamptz[]), CAST(:completed_ats AS timestamptz[]),
        CAST(:reviewed_ats AS timestamptz[]), CAST(:closed_ats AS timestamptz[]),
        CAST(:close_reasons AS text[])
    ) AS incoming ({COLUMNS})
    ON CONFLICT (case_id) DO UPDATE SET
        version = excluded.version, status = excluded.status,
        lead_professional_id = excluded.lead_professional_id, level = excluded.level,
        points = excluded.points, needs = excluded.needs, rules = excluded.rules,
        policy_version = excluded.policy_version, reviews = excluded.reviews,
        completed_at = excluded.completed_at, reviewed_at = excluded.reviewed_at,
        closed_at = excluded.closed_at, close_reason = excluded.close_reason
""")  # noqa: S608 - the columns are ours

SAVE_CASELOADS = text("""
    UPDATE caseloads SET cases = fresh.cases, points = fresh.points
    FROM unnest(CAST(:ids AS text[]), CAST(:cases AS integer[]), CAST(:points AS integer[]))
        AS fresh (practitioner_id, cases, points)
    WHERE caseloads.practitioner_id = fresh.practitioner_id
""")


class CaseStore:
    """Loads and saves the cases of a batch, and the caseloads that its decisions read and move.

    Two transactions never disagree about who has the most room, nor open two cases for one child: what a
    batch reads stays locked until it commits. Locks are always taken in the same order (children, cases,
    caseloads, each by id), so that nobody waits in a circle.
    """

    def __init__(self, pack: AssessmentPack) -> None:
        self.pack = pack
        self.roster = Roster.of(pack)

    async def load(self, connection: Connection, messages: Sequence[Message]) -> CaseBook:
        """Return the book for a batch: the cases it names, all cases of children referred, and caseloads."""
        book = CaseBook(self.pack, self.roster)
        referrals = [message for message in messages if isinstance(message, ReferralAccepted)]
        case_ids = {
            message.case_id for message in messages if isinstance(message, CompleteAssessment | ReviewPlan)
        }
        child_ids = {referral.child_id for referral in referrals}
        if not case_ids and not child_ids:
            return book
        if child_ids:
            # A case that does not exist yet cannot be locked: its child stands for it.
            buckets = sorted({child_id.int % CHILD_BUCKETS for child_id in child_ids})
            await connection.execute(LOCK_CHILDREN, {"space": CHILD_LOCKS, "buckets": buckets})
        for statement, ids in ((LOAD_NAMED, case_ids), (LOAD_OF_CHILDREN, child_ids)):
            for row in await connection.execute(statement, {"ids": sorted(ids)}) if ids else ():
                book.add(case_of(row))
        people = {
            leader.practitioner_id
            for locality in {referral.locality for referral in referrals}
            for leader in self.roster.candidates(locality).leaders
        }
        people |= {
            case.lead_professional_id
            for case in book.cases.values()
            if case.is_open and case.lead_professional_id is not None
        }
        book.caseloads = await _caseloads(connection, people)
        return book

    async def save(self, connection: Connection, book: CaseBook) -> None:
        """Write every case and caseload that has changed, in one statement each."""
        await _save_cases(connection, [book.cases[case_id] for case_id in sorted(book.changed_cases)])
        await _save_caseloads(connection, [book.caseloads[one] for one in sorted(book.changed_caseloads)])


async def _caseloads(connection: Connection, people: Iterable[str]) -> dict[str, Caseload]:
    """Return caseloads, locked in the order of ids; somebody new starts with an empty one."""
    wanted = sorted(people)
    found = await _locked(connection, wanted)
    missing = [person for person in wanted if person not in found]
    if missing:
        await connection.execute(ADD_CASELOADS, {"ids": missing})
        found = await _locked(connection, wanted)
    return found


async def _locked(connection: Connection, people: Sequence[str]) -> dict[str, Caseload]:
    rows = await connection.execute(LOAD_CASELOADS, {"ids": people})
    return {row.practitioner_id: Caseload(row.practitioner_id, row.cases, row.points) for row in rows}


async def _save_cases(connection: Connection, cases: Sequence[Case]) -> None:
    if not cases:
        return
    await connection.execute(
        SAVE,
        {
            "case_ids": [case.case_id for case in cases],
            "versions": [case.version for case in cases],
            "statuses": [case.status.value for case in cases],
            "children": [case.child_id for case in cases],
            "families": [case.family_id for case in cases],
            "referrals": [case.referral_id for case in cases],
            "localities": [case.locality for case in cases],
            "teams": [case.team for case in cases],
            "leads": [case.lead_professional_id for case in cases],
            "levels": [case.level for case in cases],
            "points": [case.points for case in cases],
            "needs": [_json(case.needs) for case in cases],
            "rules": [_json(case.rules) for case in cases],
            "policy_versions": [case.policy_version for case in cases],
            "reviews": [case.reviews for case in cases],
            "started_ats": [case.started_at for case in cases],
            "completed_ats": [case.completed_at for case in cases],
            "reviewed_ats": [case.reviewed_at for case in cases],
            "closed_ats": [case.closed_at for case in cases],
            "close_reasons": [case.close_reason for case in cases],
        },
    )


async def _save_caseloads(connection: Connection, caseloads: Sequence[Caseload]) -> None:
    if not caseloads:
        return
    await connection.execute(
        SAVE_CASELOADS,
        {
            "ids": [caseload.practitioner_id for caseload in caseloads],
            "cases": [caseload.cases for caseload in caseloads],
            "points": [caseload.points for caseload in caseloads],
        },
    )


def _json(items: Sequence[DomainNeed | RuleFired]) -> str:
    return json.dumps([item.model_dump(mode="json") for item in items]) if items else "[]"
