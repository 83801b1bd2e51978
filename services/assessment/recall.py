"""What brings the assessment store back from its own events: they carry all that a case is."""

from collections.abc import Sequence

from schemas.events import Event, LeadProfessionalAssigned
from services.assessment.book import CaseBook
from services.assessment.model import Caseload, ReviewPlan
from services.assessment.store import ADD_CASELOADS, LOAD_CASELOADS, CaseStore
from services.kernel.connection import Connection
from services.kernel.rejoin import Loss
from services.kernel.service import Message


class CaseRecall:
    """Loads cases for events about them, with the caseloads that they move."""

    def __init__(self, store: CaseStore) -> None:
        self._store = store

    async def begin(self, connection: Connection) -> None:
        """Nothing stands in a backup that must not be there."""

    async def load(self, connection: Connection, events: Sequence[Event], message: Event | None) -> CaseBook:
        """Return the book of the events' cases: the one that a review of each of them would get.

        Whoever was assigned is in it, too, also when the pack of today would not have considered them.
        """
        wanted: list[Message] = [
            ReviewPlan(case_id=event.subject, outcome="continue", reviewed_by="rejoin") for event in events
        ]
        book = await self._store.load(connection, wanted if message is None else [*wanted, message])
        assigned = {
            event.lead_professional_id for event in events if isinstance(event, LeadProfessionalAssigned)
        }
        missing = sorted(assigned - book.caseloads.keys())
        if missing:
            await connection.execute(ADD_CASELOADS, {"ids": missing})
            for row in await connection.execute(LOAD_CASELOADS, {"ids": missing}):
                book.caseloads[row.practitioner_id] = Caseload(row.practitioner_id, row.cases, row.points)
        return book

    async def saved(self, connection: Connection, events: Sequence[Event]) -> None:
        """Nothing is done for news alone."""

    async def losses(self, _connection: Connection) -> list[Loss]:
        """Return nothing: every column follows from the events, a case's points by the pack of today."""
        return []
