"""Restores the assessment store from its own events, which carry everything about a case.

Its points are counted by the pack of today.
"""

from collections.abc import Sequence

from schemas.events import Event, LeadProfessionalAssigned
from services.assessment.book import CaseBook
from services.assessment.model import ReviewPlan
from services.assessment.store import CaseStore, load_caseloads
from services.kernel.postgres.connection import Connection
from services.kernel.processing.service import Message
from services.kernel.rejoin.recall import Recall


class CaseRecall(Recall[CaseBook]):
    """Loads cases for events about them, with the caseloads that the events change."""

    def __init__(self, store: CaseStore) -> None:
        self._store = store

    async def load(self, connection: Connection, events: Sequence[Event], message: Event | None) -> CaseBook:
        """Return the book of the events' cases, as for a review of each of them.

        It includes everybody who was assigned, also where the pack of today would not have considered them.
        """
        wanted: list[Message] = [
            ReviewPlan(case_id=event.subject, outcome="continue", reviewed_by="rejoin") for event in events
        ]
        book = await self._store.load(connection, wanted if message is None else [*wanted, message])
        assigned = {
            event.lead_professional_id for event in events if isinstance(event, LeadProfessionalAssigned)
        }
        missing = assigned - book.caseloads.keys()
        if missing:
            book.caseloads.update(await load_caseloads(connection, missing))
        return book
