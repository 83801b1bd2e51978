"""What partners say in one run: who, in which order, how often again, and what nobody can take."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from uuid import UUID

from schemas.events import ReferralMade
from schemas.events.codes import AgencyKind, Concern
from services.kernel.messages.envelope import Envelope, encode
from tests.builders import MONDAY
from tests.simulation.chain import BROKEN, REFUSED, REJECTED

TOPIC = "partner-events"
SOURCE = "/simulation"


@dataclass(frozen=True)
class Said:
    """One event of a partner. `entry` is what services write into the child's list."""

    entry: str
    child: UUID
    at: float
    """When it is sent, in virtual seconds."""
    locality: str = "ok"
    spoilt: bool = False
    """Its value is no JSON."""

    def fails_at(self, service: str) -> bool:
        """Return whether a service cannot take it."""
        return self.locality.endswith(f"-{service}") or (self.spoilt and service == "referral")

    def encode(self) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
        """Return the Kafka record: the same every time."""
        event = ReferralMade(
            child_id=self.child,
            agency=AgencyKind.POLICE,
            agency_id="police-1",
            agency_reference=self.entry,
            locality=self.locality,
            concerns=(Concern.FAMILY_DYSFUNCTION,),
            made_at=MONDAY + timedelta(seconds=self.at),
        )
        key, value, headers = encode(
            Envelope(
                id=self.entry,
                source=SOURCE,
                type=event.wire_type,
                time=event.made_at,
                data=b"{spoilt" if self.spoilt else event.encode(),
                key=str(self.child),
            )
        )
        assert key is not None
        return key, value, headers


@dataclass(frozen=True)
class Feed:
    """All that is said in a run, each event once, in the order of its first sending."""

    said: tuple[Said, ...]
    again: tuple[tuple[float, int], ...]
    """When an event is sent again, and which."""

    def sendings(self) -> Iterator[tuple[float, Said]]:
        """Yield everything that is sent, in order, with its moment."""
        first = [(said.at, number) for number, said in enumerate(self.said)]
        for moment, number in sorted([*first, *self.again]):
            yield moment, self.said[number]


def feed_of(random: Random, *, count: int, seconds: float, poison: float) -> Feed:
    """Return a feed. `poison` is the chance that an event cannot be taken."""
    children = [UUID(int=random.getrandbits(128)) for _ in range(random.randint(2, 7))]
    moments = sorted(random.uniform(0.0, seconds) for _ in range(count))
    if random.random() < 0.3:
        moments = [moment // 1.0 for moment in moments]  # in bursts
    numbers = list(range(count))
    if random.random() < 0.5:
        random.shuffle(numbers)  # late and out of their own order: what counts is the order of arrival
    said = []
    for moment, number in zip(moments, numbers, strict=True):
        locality, spoilt = "ok", False
        if random.random() < poison:
            kind = random.choice((REJECTED, BROKEN, REFUSED, "spoilt"))
            spoilt = kind == "spoilt"
            locality = "ok" if spoilt else f"{kind}-{random.choice(('referral', 'assessment'))}"
        said.append(Said(f"p{number}", random.choice(children), moment, locality, spoilt))
    again = tuple(
        (said[number].at + random.uniform(0.0, 2.0), number)
        for number in range(count)
        if random.random() < 0.15
    )
    return Feed(tuple(said), again)
