"""Every SQL statement of the referral service."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from schemas.events import ReferralMade
from services.kernel.postgres.connection import Connection, Row
from services.kernel.processing.service import Message
from services.kernel.store.cursors import Key, ListPart
from services.kernel.store.keyset import Column, Listing
from services.referral.book import ReferralBook
from services.referral.model import DecideReferral, Intake, ReceiveReferral, Referral
from services.referral.pack import ReferralPack

COLUMNS = """
    referral_id, version, status, child_id, family_id, agency, agency_id, agency_reference, locality,
    concerns, immediate_risk, information_only, received_at, decided_at, decided_by
"""

# Two statements instead of one with OR: each has one index, and nobody sends events and commands together.
LOAD_NAMED = text(f"""
    SELECT {COLUMNS} FROM referrals WHERE referral_id = ANY(CAST(:ids AS uuid[]))
    ORDER BY referral_id FOR UPDATE
""")  # noqa: S608 - the columns are ours
LOAD_REFERENCED = text(f"""
    SELECT {COLUMNS} FROM referrals
    WHERE (agency_id, agency_reference) IN (
        SELECT * FROM unnest(CAST(:agencies AS text[]), CAST(:references AS text[])))
    ORDER BY referral_id FOR UPDATE
""")  # noqa: S608 - the columns are ours

SAVE = text(f"""
    INSERT INTO referrals ({COLUMNS})
    SELECT referral_id, version, status, child_id, family_id, agency, agency_id, agency_reference, locality,
           string_to_array(concerns, ','), immediate_risk, information_only, received_at,
           decided_at, decided_by
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:versions AS integer[]), CAST(:statuses AS text[]),
        CAST(:children AS uuid[]), CAST(:families AS uuid[]), CAST(:agencies AS text[]),
        CAST(:agency_ids AS text[]), CAST(:references AS text[]), CAST(:localities AS text[]),
        CAST(:concerns AS text[]), CAST(:risks AS boolean[]), CAST(:informations AS boolean[]),
        CAST(:received_ats AS timestamptz[]), CAST(:decided_ats AS timestamptz[]), CAST(:deciders AS text[])
    ) AS incoming ({COLUMNS})
    ON CONFLICT (referral_id) DO UPDATE SET
        version = excluded.version, status = excluded.status,
        decided_at = excluded.decided_at, decided_by = excluded.decided_by
""")  # noqa: S608 - the columns are ours

LOAD_ONE = text(f"SELECT {COLUMNS} FROM referrals WHERE referral_id = :id")  # noqa: S608 - ours

FILTER = """
    WHERE (CAST(:status AS text) IS NULL OR status = :status)
      AND (CAST(:agency_id AS text) IS NULL OR agency_id = :agency_id)
      AND (CAST(:locality AS text) IS NULL OR locality = :locality)
      AND (CAST(:child_id AS uuid) IS NULL OR child_id = :child_id)
"""
# By receipt, which never changes, and those of one moment by their ids.
LIST = {
    sort: Listing(
        f"referrals, {sort} first",
        COLUMNS,
        f"FROM referrals {FILTER}",
        Column("received_at", "moment", descending),
        Column("referral_id", "uuid", descending),
    )
    for sort, descending in (("newest", True), ("oldest", False))
}
FIGURES = text(
    "SELECT agency, status, count(*) FROM referrals GROUP BY agency, status ORDER BY agency, status"
)

Sort = Literal["newest", "oldest"]


@dataclass(frozen=True)
class ReferralFilter:
    """Which referrals a list shows; None does not matter."""

    status: str | None = None
    agency_id: str | None = None
    locality: str | None = None
    child_id: UUID | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the statement's parameters."""
        return {
            "status": self.status,
            "agency_id": self.agency_id,
            "locality": self.locality,
            "child_id": self.child_id,
        }


class ReferralStore:
    """Loads and saves the referrals of a batch. Two agencies' messages never meet in one referral."""

    def __init__(self, pack: ReferralPack) -> None:
        self.pack = pack

    async def load(self, connection: Connection, messages: Sequence[Message]) -> ReferralBook:
        """Return the book for a batch: referrals named by id or by an agency's reference, locked."""
        ids = [message.referral_id for message in messages if isinstance(message, DecideReferral)]
        references = [
            (message.agency_id, message.agency_reference)
            for message in messages
            if isinstance(message, ReceiveReferral | ReferralMade) and message.agency_reference is not None
        ]
        book = ReferralBook(self.pack)
        if ids:
            for row in await connection.execute(LOAD_NAMED, {"ids": ids}):
                book.add(_referral(row))
        if references:
            parameters = {
                "agencies": [agency for agency, _ in references],
                "references": [reference for _, reference in references],
            }
            for row in await connection.execute(LOAD_REFERENCED, parameters):
                book.add(_referral(row))
        return book

    async def save(self, connection: Connection, book: ReferralBook) -> None:
        """Write every referral that has changed, in one statement.

        IntegrityError when another transaction has meanwhile taken the same agency's reference.
        """
        changed = [book.referrals[referral_id] for referral_id in sorted(book.changed)]
        if not changed:
            return
        intakes = [referral.intake for referral in changed if referral.intake is not None]
        await connection.execute(
            SAVE,
            {
                "ids": [referral.referral_id for referral in changed],
                "versions": [referral.version for referral in changed],
                "statuses": [referral.status for referral in changed],
                "children": [intake.child_id for intake in intakes],
                "families": [intake.family_id for intake in intakes],
                "agencies": [intake.agency.value for intake in intakes],
                "agency_ids": [intake.agency_id for intake in intakes],
                "references": [intake.agency_reference for intake in intakes],
                "localities": [intake.locality for intake in intakes],
                "concerns": [",".join(intake.concerns) for intake in intakes],
                "risks": [intake.immediate_risk for intake in intakes],
                "informations": [intake.information_only for intake in intakes],
                "received_ats": [referral.received_at for referral in changed],
                "decided_ats": [referral.decided_at for referral in changed],
                "deciders": [referral.decided_by for referral in changed],
            },
        )


async def find(connection: Connection, referral_id: UUID) -> Referral | None:
    """Return one referral or None."""
    rows = await connection.execute(LOAD_ONE, {"id": referral_id})
    row = rows.one_or_none()
    return None if row is None else _referral(row)


async def list_referrals(
    connection: Connection, chosen: ReferralFilter, *, sort: Sort, limit: int, after: Key | None = None
) -> ListPart[Referral]:
    """Return one page of referrals. Following it shows every one that is in the list throughout, once."""
    part = await LIST[sort].part(connection, chosen.parameters(), limit=limit, after=after)
    return part.map(_referral)


async def figures(connection: Connection) -> list[tuple[str, str, int]]:
    """Return how many referrals there are by kind of agency and status."""
    return [(row[0], row[1], row[2]) for row in await connection.execute(FIGURES)]


def _referral(row: Row) -> Referral:
    return Referral(
        referral_id=row.referral_id,
        version=row.version,
        status=row.status,
        intake=Intake.model_validate(row, from_attributes=True),
        received_at=row.received_at,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
    )
