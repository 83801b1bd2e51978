"""The events of the benchmark: made from a seed, pure, and the same for whoever is measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from schemas.events import ReferralAccepted, RuleFired
from schemas.events.base import dataschema_uri
from schemas.events.codes import Concern
from services.kernel.messages.envelope import Envelope, Headers, encode, message_id

START = datetime(2026, 9, 7, 9, 0, tzinfo=UTC)
"""The moment at which the workers' clocks begin. Every referral was received before it."""

SOURCE = "/leadline/referral"
REPEATED_SHARE, SECOND_SHARE = 0.01, 0.01
"""How many events are delivered twice, and how many refer a child who has been referred before."""
LOOK_BACK = 200
"""A repeated event, or a second referral, follows within so many events."""

RULES = (
    RuleFired(code="risk-of-harm", words="Somebody has reported that the child may be at risk of harm."),
    RuleFired(code="several-needs", words="Needs in several domains call for more than one service."),
)
"""Both fired for every referral: with them an event's data is about 600 bytes."""
CONCERNS = tuple(Concern)

Message = tuple[bytes | None, bytes, Headers]
"""Key, value and headers of a Kafka record."""


@dataclass(frozen=True, slots=True)
class Referral:
    """One event of a backlog. `event_id` repeats where the same event is delivered twice."""

    event_id: UUID
    child_id: UUID
    referral_id: UUID
    locality: str
    level: int
    concerns: tuple[Concern, ...]
    received_at: datetime

    @property
    def message_id(self) -> UUID:
        """Return the key under which an inbox knows this event."""
        return message_id(SOURCE, str(self.event_id))


def backlog(count: int, localities: Sequence[str], *, seed: int = 42) -> Iterator[Referral]:
    """Yield `count` accepted referrals over the localities: nearly all of children not seen before.

    The others are the same event again, or a further referral of a child who has an open case by then.
    """
    chance = Random(seed)
    recent: list[Referral] = []
    for _ in range(count):
        share = chance.random()
        earlier = recent[chance.randrange(len(recent))] if recent else None
        if earlier is not None and share < REPEATED_SHARE:
            referral = earlier
        else:
            second = earlier is not None and share < REPEATED_SHARE + SECOND_SHARE
            referral = Referral(
                event_id=_uuid(chance),
                child_id=earlier.child_id if second and earlier is not None else _uuid(chance),
                referral_id=_uuid(chance),
                locality=localities[chance.randrange(len(localities))],
                level=chance.choices((1, 2, 3, 4), (30, 40, 20, 10))[0],
                concerns=(CONCERNS[chance.randrange(len(CONCERNS))],),
                received_at=START - timedelta(seconds=chance.randrange(1, 3 * 24 * 3600)),
            )
        recent.append(referral)
        if len(recent) > LOOK_BACK:
            recent.pop(0)
        yield referral


def event_of(referral: Referral) -> ReferralAccepted:
    """Return the event as the referral service publishes it."""
    return ReferralAccepted(
        child_id=referral.child_id,
        referral_id=referral.referral_id,
        agency_id="school-0123",
        locality=referral.locality,
        decided_at=START,
        decided_by="W-0101",
        recommended="accept",
        policy_version="cambridgeshire-2026.1",
        rules=RULES,
        concerns=referral.concerns,
        indicated_level=referral.level,
        received_at=referral.received_at,
    )


def message(referral: Referral) -> Message:
    """Return the Kafka record, as the referral service's relay would write it."""
    return encode(
        Envelope(
            id=str(referral.event_id),
            source=SOURCE,
            type=ReferralAccepted.wire_type,
            time=START,
            data=event_of(referral).encode(),
            subject=str(referral.referral_id),
            key=str(referral.child_id),
            dataschema=dataschema_uri(ReferralAccepted),
            sequence=2,
            correlationid=str(referral.event_id),
            causationid=str(referral.event_id),
        )
    )


def firsts(referrals: Sequence[Referral]) -> list[Referral]:
    """Return the referrals that must lead to a case: each child's first one."""
    seen: set[UUID] = set()
    found = []
    for referral in referrals:
        if referral.child_id not in seen:
            seen.add(referral.child_id)
            found.append(referral)
    return found


def _uuid(chance: Random) -> UUID:
    return UUID(int=chance.getrandbits(128), version=4)
