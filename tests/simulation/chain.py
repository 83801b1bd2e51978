"""Two small services, one behind the other, that use all of the kernel: events, deadlines, poison.

The first stands in the place of `referral` and reads what partners say, the second in that of `assessment`
and reads the first. Both write into a child's list what they were told, publish one numbered event for it,
schedule a deadline with it, and meet the deadline of the entry before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from asyncpg import CheckViolationError
from sqlalchemy import text

from schemas.events import Event, PlanReviewed, ReferralAccepted, ReferralMade
from schemas.events.codes import Concern
from services.kernel.deadlines.policy import Meet, Schedule
from services.kernel.deadlines.rules import DeadlineDates as Dates
from services.kernel.messages.faults import InvalidMessage
from services.kernel.postgres.connection import Connection
from services.kernel.processing.service import Context, Message, Produced, Service
from tests.simulation.database import Row, Transaction
from tests.simulation.statements import means

SOON, FROM, AT = timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=3)
"""When a deadline is due soon, due and late, after what it is about was made."""

KIND = "simulated"

REJECTED, BROKEN, REFUSED = "rejected", "broken", "refused"
"""What a locality says that a service cannot take: the handler rejects it, the handler has a mistake, the
database refuses what comes of it. Followed by the service's name."""

LOAD = text("""
    SELECT child_id, told FROM simulated WHERE child_id = ANY(CAST(:children AS uuid[]))
    ORDER BY child_id FOR UPDATE
""")
SAVE = text("""
    INSERT INTO simulated (child_id, told)
    SELECT * FROM unnest(CAST(:children AS uuid[]), CAST(:told AS text[]))
    ON CONFLICT (child_id) DO UPDATE SET told = excluded.told
""")


@means(LOAD, "load")
async def _load(transaction: Transaction, given: Mapping[str, Any]) -> list[Row]:
    wanted = set(given["children"])
    found = []
    for child in sorted(key for key, _ in transaction.rows("simulated") if key in wanted):  # type: ignore[type-var]
        await transaction.lock("simulated", child)
        row = transaction.get("simulated", child)
        assert row is not None
        found.append(Row.of(child_id=child, told=row["told"]))
    return found


@means(SAVE, "save")
async def _save(transaction: Transaction, given: Mapping[str, Any]) -> list[Row]:
    for child, told in zip(given["children"], given["told"], strict=True):
        await transaction.lock("simulated", child)
        if any(entry.startswith(REFUSED) for entry in told.split()):
            message = "a check that the entry violates"
            raise CheckViolationError(message)
        transaction.put("simulated", child, {"told": told})
    return []


@dataclass
class Lists:
    """What each child's list holds, in order."""

    told: dict[UUID, list[str]]
    changed: set[UUID] = field(default_factory=set)

    def apply(self, event: Event) -> int:
        """Add what the event tells; return how much there is now."""
        entries = self.told.setdefault(event.child_id, [])
        if isinstance(event, ReferralAccepted):
            entries.append(event.agency_id)
        elif isinstance(event, PlanReviewed):
            entries.append(event.reviewed_by)
        self.changed.add(event.child_id)
        return len(entries)


class ListStore:
    """Keeps the lists."""

    async def load(self, connection: Connection, messages: Sequence[Message]) -> Lists:
        """Return the lists of the children in the batch."""
        children = sorted({message.child_id for message in messages if isinstance(message, Event)})
        rows = await connection.execute(LOAD, {"children": children})
        return Lists({row.child_id: row.told.split() for row in rows})

    async def save(self, connection: Connection, book: Lists) -> None:
        """Write the lists that have changed."""
        if book.changed:
            children = sorted(book.changed)
            told = [" ".join(book.told[child]) for child in children]
            await connection.execute(SAVE, {"children": children, "told": told})


def on_referral_made(book: Lists, event: ReferralMade, context: Context) -> Sequence[Produced]:
    """The first service's reaction."""
    assert event.agency_reference is not None
    entry = _taken(event.locality, event.agency_reference, "referral")
    accepted = ReferralAccepted(
        referral_id=event.child_id,
        child_id=event.child_id,
        agency_id=entry,
        locality=event.locality,
        decided_at=context.now,
        decided_by="simulation",
        recommended="accept",
        policy_version="1",
        rules=(),
        concerns=(Concern.FAMILY_DYSFUNCTION,),
        indicated_level=1,
        received_at=event.made_at,
    )
    return [accepted, *_deadlines(book, event, event.made_at, context)]


def on_referral_accepted(book: Lists, event: ReferralAccepted, context: Context) -> Sequence[Produced]:
    """The second service's reaction."""
    reviewed = PlanReviewed(
        case_id=event.child_id,
        child_id=event.child_id,
        outcome="continue",
        level=1,
        reviewed_at=context.now,
        reviewed_by=_taken(event.locality, event.agency_id, "assessment"),
    )
    return [reviewed, *_deadlines(book, event, event.received_at, context)]


def _taken(locality: str, entry: str, service: str) -> str:
    if locality == f"{REJECTED}-{service}":
        raise InvalidMessage("rejected", "not taken")
    if locality == f"{BROKEN}-{service}":
        raise LookupError
    return f"{REFUSED}-{entry}" if locality == f"{REFUSED}-{service}" else entry


def _deadlines(book: Lists, event: Event, made_at: datetime, context: Context) -> list[Produced]:
    child = event.child_id
    number = len(book.told.get(child, ())) + 1
    dates = Dates(made_at + SOON, made_at + FROM, made_at + AT)
    produced: list[Produced] = [Schedule(child, child, KIND, "1", made_at, dates, number=number)]
    if number > 1:
        produced.append(Meet(child, KIND, context.now, number=number - 1))
    return produced


def build(name: str, *, lets_pass: bool) -> Service[Lists]:
    """Return one of the two services."""
    first = name == "referral"
    topic = "partner-events" if first else "referral-events"
    return Service(
        name=name,
        store=ListStore(),
        handlers={ReferralMade: on_referral_made} if first else {ReferralAccepted: on_referral_accepted},
        lets_pass=frozenset({topic}) if lets_pass else frozenset(),
    )
