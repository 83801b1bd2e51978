"""Every SQL statement that changes cases and caseloads; queries.py has the read-only ones."""

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import text

from schemas.events import DomainNeed, ReferralAccepted, RuleFired
from services.assessment.allocation import Roster
from services.assessment.book import CaseBook
from services.assessment.model import Case, Caseload, CompleteAssessment, ReviewPlan
from services.assessment.pack import AssessmentPack
from services.assessment.rows import COLUMNS, case_of
from services.kernel.postgres.bulk import Columns
from services.kernel.postgres.connection import Connection
from services.kernel.postgres.statements import sql
from services.kernel.processing.service import Message

CHILD_LOCKS = 7_301_946
"""The advisory-lock space for children; this database has no other two-number locks."""
CHILD_BUCKETS = 256
"""Children share locks, so that the largest batch stays far below the server's limit of locks."""

LOCK_CHILDREN = text("""
    SELECT pg_advisory_xact_lock(:space, bucket) FROM unnest(CAST(:buckets AS integer[])) AS bucket
""")

# Two statements instead of one with OR: each uses one index, and no batch mixes events and commands.
LOAD_NAMED = sql(
    "SELECT {columns} FROM cases WHERE case_id = ANY(:ids) ORDER BY case_id FOR UPDATE", columns=COLUMNS
)
# Open and closed cases of a child are in one small index each.
LOAD_OF_CHILDREN = sql(
    """
    SELECT {columns} FROM cases
    WHERE (child_id = ANY(:ids) AND status <> 'closed') OR (child_id = ANY(:ids) AND status = 'closed')
    ORDER BY case_id FOR UPDATE
    """,
    columns=COLUMNS,
)
SAVE = text(
    COLUMNS.upsert("cases", keep=("child_id", "family_id", "referral_id", "locality", "team", "started_at"))
)

CASELOAD = Columns(practitioner_id="text", cases="integer", points="integer")
LOAD_CASELOADS = sql(
    """
    SELECT {columns} FROM caseloads WHERE practitioner_id = ANY(:ids)
    ORDER BY practitioner_id FOR UPDATE
    """,
    columns=CASELOAD,
)
ADD_CASELOADS = sql("{insert} ON CONFLICT DO NOTHING", insert=CASELOAD.insert("caseloads"))
SAVE_CASELOADS = text(CASELOAD.update("caseloads"))


class CaseStore:
    """Loads and saves the cases of a batch, and the caseloads that its decisions read and move.

    Two transactions never disagree about who has the most room, nor open two cases for one child: rows that
    a batch reads stay locked until it commits. Locks are always taken in the same order (children, cases,
    caseloads, each by id), so that there are no deadlocks.
    """

    def __init__(self, pack: AssessmentPack) -> None:
        self.pack = pack
        self.roster = Roster.of(pack)

    async def load(self, connection: Connection, messages: Sequence[Message]) -> CaseBook:
        """Return the book for a batch: the named cases, all cases of referred children, and caseloads."""
        book = CaseBook(self.pack, self.roster)
        referrals = [message for message in messages if isinstance(message, ReferralAccepted)]
        case_ids = {
            message.case_id for message in messages if isinstance(message, CompleteAssessment | ReviewPlan)
        }
        child_ids = {referral.child_id for referral in referrals}
        if not case_ids and not child_ids:
            return book
        if child_ids:
            # A case that does not exist yet cannot be locked, so its child is.
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
        book.caseloads = await load_caseloads(connection, people)
        return book

    async def save(self, connection: Connection, book: CaseBook) -> None:
        """Write every case and caseload that has changed, in one statement each."""
        await _save_cases(connection, [book.cases[case_id] for case_id in sorted(book.changed_cases)])
        await _save_caseloads(connection, [book.caseloads[one] for one in sorted(book.changed_caseloads)])


async def load_caseloads(connection: Connection, people: Iterable[str]) -> dict[str, Caseload]:
    """Return caseloads, locked in the order of ids; a new practitioner starts with an empty one."""
    wanted = sorted(people)
    found = await _locked(connection, wanted)
    missing = [Caseload(person) for person in wanted if person not in found]
    if missing:
        await connection.execute(ADD_CASELOADS, CASELOAD.of(missing))
        found = await _locked(connection, wanted)
    return found


async def _locked(connection: Connection, people: Sequence[str]) -> dict[str, Caseload]:
    rows = await connection.execute(LOAD_CASELOADS, {"ids": people})
    return {row.practitioner_id: Caseload(row.practitioner_id, row.cases, row.points) for row in rows}


async def _save_cases(connection: Connection, cases: Sequence[Case]) -> None:
    if cases:
        arrays = COLUMNS.of(cases, needs=lambda case: _json(case.needs), rules=lambda case: _json(case.rules))
        await connection.execute(SAVE, arrays)


async def _save_caseloads(connection: Connection, caseloads: Sequence[Caseload]) -> None:
    if caseloads:
        await connection.execute(SAVE_CASELOADS, CASELOAD.of(caseloads))


def _json(items: Sequence[DomainNeed | RuleFired]) -> str:
    return json.dumps([item.model_dump(mode="json") for item in items]) if items else "[]"
