"""Restores the referral store from its own events, which carry everything about a referral."""

from collections.abc import Sequence

from schemas.events import Event
from services.kernel.postgres.connection import Connection
from services.kernel.processing.service import Message
from services.kernel.rejoin.recall import Recall
from services.referral.book import ReferralBook
from services.referral.model import DecideReferral
from services.referral.store import ReferralStore


class ReferralRecall(Recall[ReferralBook]):
    """Loads referrals for events about them."""

    def __init__(self, store: ReferralStore) -> None:
        self._store = store

    async def load(
        self, connection: Connection, events: Sequence[Event], message: Event | None
    ) -> ReferralBook:
        """Return the book of the events' referrals, as for a decision on each of them."""
        wanted: list[Message] = [
            DecideReferral(referral_id=event.subject, decided_by="rejoin") for event in events
        ]
        return await self._store.load(connection, wanted if message is None else [*wanted, message])
