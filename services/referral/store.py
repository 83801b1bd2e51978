"""Every SQL statement of the referral service."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from schemas.events import ReferralMade
from services.kernel.postgres.bulk import Columns
from services.kernel.postgres.connection import Connection, Row
from services.kernel.postgres.statements import sql
from services.kernel.processing.service import Message
from services.kernel.store.cursors import Key, ListPart
from services.kernel.store.keyset import Column, Listing
from services.referral.book import ReferralBook
from services.referral.model import DecideReferral, Intake, ReceiveReferral, Referral
from services.referral.pack import ReferralPack

OWN = Columns(
    referral_id="uuid",
    version="integer",
    status="text",
    received_at="timestamptz",
    decided_at="timestamptz",
    decided_by="text",
)
INTAKE = Columns(
    child_id="uuid",
    family_id="uuid",
    agency="text",
    agency_id="text",
    agency_reference="text",
    locality="text",
    concerns="text",
    immediate_risk="boolean",
    information_only="boolean",
)
COLUMNS = OWN | INTAKE

# Two statements instead of one with OR: each uses one index, and no batch mixes events and commands.
LOAD_NAMED = sql(
    "SELECT {columns} FROM referrals WHERE referral_id = ANY(:ids) ORDER BY referral_id FOR UPDATE",
    columns=COLUMNS,
)
REFERENCE = INTAKE.only("agency_id", "agency_reference")
LOAD_REFERENCED = sql(
    """
    SELECT {columns} FROM referrals WHERE ({reference}) IN (SELECT * FROM {wanted})
    ORDER BY referral_id FOR UPDATE
    """,
    columns=COLUMNS,
    reference=REFERENCE,
    wanted=REFERENCE.unnest("wanted"),
)

# PostgreSQL has no ragged arrays, so concerns travel as one text.
SAVE = text(
    COLUMNS.upsert(
        "referrals",
        keep=(*INTAKE, "received_at"),
        values={"concerns": "string_to_array(concerns, ',')"},
    )
)

LOAD_ONE = sql("SELECT {columns} FROM referrals WHERE referral_id = :id", columns=COLUMNS)

FILTER = """
    WHERE (CAST(:status AS text) IS NULL OR status = :status)
      AND (CAST(:agency_id AS text) IS NULL OR agency_id = :agency_id)
      AND (CAST(:locality AS text) IS NULL OR locality = :locality)
      AND (CAST(:child_id AS uuid) IS NULL OR child_id = :child_id)
"""
# Ordered by time of receipt, which never changes, then by id.
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
    """Which referrals a list shows; None means any."""

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
    """Loads and saves the referrals of a batch. Messages of two agencies never concern the same referral."""

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
            for row in await connection.execute(LOAD_REFERENCED, REFERENCE.rows(references)):
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
        arrays = OWN.of(changed) | INTAKE.of(intakes, concerns=lambda intake: ",".join(intake.concerns))
        await connection.execute(SAVE, arrays)


async def find(connection: Connection, referral_id: UUID) -> Referral | None:
    """Return one referral or None."""
    rows = await connection.execute(LOAD_ONE, {"id": referral_id})
    row = rows.one_or_none()
    return None if row is None else _referral(row)


async def list_referrals(
    connection: Connection, chosen: ReferralFilter, *, sort: Sort, limit: int, after: Key | None = None
) -> ListPart[Referral]:
    """Return one page of referrals. Paging on shows each one that stays in the list exactly once."""
    part = await LIST[sort].part(connection, chosen.parameters(), limit=limit, after=after)
    return part.map(_referral)


async def figures(connection: Connection) -> list[tuple[str, str, int]]:
    """Return the number of referrals by kind of agency and status."""
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
