"""A service of nothing but plumbing: counts what it is told, so that delivery itself can be tested."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from schemas.events import Event, PlanReviewed, ReferralAccepted, ReferralMade
from schemas.topics import PARTNER
from services.kernel.base.settings import Settings
from services.kernel.messages.faults import InvalidMessage
from services.kernel.postgres.connection import Connection
from services.kernel.processing.service import Context, Message, Produced, Service

LEVEL_THAT_FAILS_IN_THE_HANDLER = 3
LEVEL_THAT_THE_DATABASE_REFUSES = 4


@dataclass
class Ledger:
    """How many plans were reviewed, by child."""

    counts: dict[UUID, int]
    refused: set[UUID] = field(default_factory=set)

    def apply(self, event: Event) -> int:
        """Count the event."""
        self.counts[event.child_id] = self.counts.get(event.child_id, 0) + 1
        if isinstance(event, PlanReviewed) and event.level == LEVEL_THAT_THE_DATABASE_REFUSES:
            self.refused.add(event.child_id)
        return self.counts[event.child_id]


class LedgerStore:
    """Keeps the counts in a table of its own; one level violates a CHECK on purpose."""

    async def load(self, connection: Connection, messages: Sequence[Message]) -> Ledger:
        """Return the counts of the children in the batch."""
        await connection.execute(
            text(
                "CREATE TABLE IF NOT EXISTS ledger (child_id uuid PRIMARY KEY, count integer NOT NULL,"
                " refused boolean NOT NULL CHECK (NOT refused))"
            )
        )
        children = [message.child_id for message in messages if isinstance(message, Event)]
        rows = await connection.execute(
            text("SELECT child_id, count FROM ledger WHERE child_id = ANY(CAST(:ids AS uuid[])) FOR UPDATE"),
            {"ids": children},
        )
        return Ledger({row[0]: row[1] for row in rows})

    async def save(self, connection: Connection, book: Ledger) -> None:
        """Write the counts."""
        for child_id, count in book.counts.items():
            await connection.execute(
                text(
                    "INSERT INTO ledger VALUES (:child_id, :count, :refused)"
                    " ON CONFLICT (child_id) DO UPDATE SET count = excluded.count, refused = excluded.refused"
                ),
                {"child_id": child_id, "count": count, "refused": child_id in book.refused},
            )


def on_referral_accepted(_book: Ledger, event: ReferralAccepted, context: Context) -> Sequence[Produced]:
    """Publish one event per accepted referral."""
    if event.indicated_level == LEVEL_THAT_FAILS_IN_THE_HANDLER:
        raise InvalidMessage("rejected", "the handler does not take this level")
    if event.indicated_level == 2:
        message = "a mistake in our own code"
        raise LookupError(message)
    return [reviewed(event.child_id, event.indicated_level, context.now, by=event.decided_by)]


def reviewed(child_id: UUID, level: int, now: datetime, *, by: str = "W-1") -> PlanReviewed:
    """Return what the ledger publishes."""
    return PlanReviewed(
        case_id=child_id,
        child_id=child_id,
        outcome="continue",
        level=level,
        reviewed_at=now,
        reviewed_by=by,
    )


def on_referral_made(_book: Ledger, event: ReferralMade, context: Context) -> Sequence[Produced]:
    """Publish one event per referral from a partner."""
    return [reviewed(event.child_id, 1, context.now)]


def build(_settings: Settings, *, waits: bool = True) -> Service[Ledger]:
    """Return the ledger in the place of the assessment service."""
    return Service(
        name="assessment",
        store=LedgerStore(),
        handlers={ReferralAccepted: on_referral_accepted, ReferralMade: on_referral_made},
        lets_pass=frozenset() if waits else frozenset({"referral-events", PARTNER.name}),
    )
