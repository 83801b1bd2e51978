"""What the stores and the bus hold when all is over, as plain values for the checks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID


def digest(value: bytes) -> bytes:
    """Return what stands for a value: equal for equal values alone."""
    return blake2b(value, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a service's journal."""

    position: int
    event_id: UUID
    type: str
    subject: UUID
    sequence: int
    key: UUID
    causation_id: UUID
    data: Mapping[str, Any]
    digest: bytes = b""
    """Of the data as it is kept, byte for byte."""


@dataclass(frozen=True, slots=True)
class Published:
    """One record on a topic, in the order of its partition. Headers that are missing are None."""

    topic: str
    partition: int
    offset: int
    key: str | None
    source: str | None
    event_id: str | None
    type: str | None
    subject: str | None = None
    sequence: int | None = None
    digest: bytes = b""
    """Of the value as it was sent."""

    @property
    def place(self) -> tuple[str, int, int]:
        """Where it stands."""
        return self.topic, self.partition, self.offset


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter."""

    message_id: UUID
    state: str
    reason: str
    place: tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Referral:
    """One row of referral's store."""

    referral_id: UUID
    child_id: UUID
    version: int
    status: str


@dataclass(frozen=True, slots=True)
class Case:
    """One row of assessment's store."""

    case_id: UUID
    referral_id: UUID
    child_id: UUID
    version: int
    status: str
    lead: str | None


@dataclass(frozen=True, slots=True)
class Placement:
    """One row of placement's store."""

    placement_id: UUID
    child_id: UUID
    case_id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class CaseHeardOf:
    """One row of what notify knows of a case from events."""

    case_id: UUID
    status: str
    lead: str | None


@dataclass(frozen=True, slots=True)
class Alert:
    """One row of notify's alerts."""

    alert_id: UUID
    version: int
    recipient: str
    status: str
    settled: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row of notify's deliveries: an alert on a channel to a recipient."""

    delivery_id: UUID
    alert_id: UUID
    recipient: str
    channel: str
    version: int
    state: str
    message_id: UUID
    """The first delivery of its message."""
    held_until: datetime | None = None
    claimed_until: datetime | None = None
    """Real time: from then on another sender may take it up."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One email as the mail server has it. `message_id` is None when it has none of ours."""

    message_id: UUID | None
    recipient: str
    alerts: frozenset[UUID]
    """Those that it names."""


@dataclass(frozen=True, slots=True)
class Update:
    """One row of what referring agencies are told."""

    agency_id: str
    position: int
    referral_id: UUID
    state: str


@dataclass(frozen=True, slots=True)
class DeadlineRow:
    """One row of a service's deadlines."""

    deadline_id: UUID
    about: UUID
    version: int
    state: str


@dataclass(frozen=True)
class Evidence:
    """Everything that was read, by service where each has its own. `now` is the county's last moment."""

    now: datetime
    over: datetime | None = None
    """When, in real time, the last fault was overcome."""
    mail_stopped: bool = False
    """Whether emails were stopped because they were too many: only then may one still be queued."""
    referrals: Sequence[Referral] = ()
    cases: Sequence[Case] = ()
    alerts: Sequence[Alert] = ()
    journals: Mapping[str, Sequence[Entry]] = field(default_factory=dict)
    pending: Mapping[str, frozenset[int]] = field(default_factory=dict)
    inboxes: Mapping[str, frozenset[UUID]] = field(default_factory=dict)
    letters: Mapping[str, Sequence[Letter]] = field(default_factory=dict)
    deadlines: Mapping[str, Sequence[DeadlineRow]] = field(default_factory=dict)
    records: Sequence[Published] = ()
    placements: Sequence[Placement] = ()
    heard_of: Sequence[CaseHeardOf] = ()
    referrers: frozenset[UUID] = frozenset()
    """Children of whom notify knows who referred them."""
    known_levels: Mapping[UUID, int] = field(default_factory=dict)
    """What placement knows of the cases' levels."""
    deliveries: Sequence[Delivery] = ()
    mails: Sequence[Mail] = ()
    chronology: frozenset[UUID] = frozenset()
    """What notify has kept of others' events, by the id under which services know an event."""
    updates: Sequence[Update] = ()
    seen: Mapping[tuple[str, int], Sequence[bytes]] = field(default_factory=dict)
    """What the witness saw on the present broker: by topic and partition, digests in the order of offsets."""
    wrong_polls: Sequence[str] = ()
    """Polls of the witness that skipped offsets or went back, on whatever broker."""

    @property
    def size(self) -> dict[str, int]:
        """How much there was to recount: a check of nothing proves nothing."""
        entries = [entry for journal in self.journals.values() for entry in journal]
        states = Counter(delivery.state for delivery in self.deliveries)
        return {
            "referrals": len(self.referrals),
            "cases": len(self.cases),
            "alerts": len(self.alerts),
            "journal_events": len(entries),
            "deadlines_overdue": sum(entry.type == "deadline.overdue.v1" for entry in entries),
            "dead_letters": sum(map(len, self.letters.values())),
            "records": len(self.records),
            "placements": len(self.placements),
            "deliveries": len(self.deliveries),
            **{f"deliveries_{state}": count for state, count in sorted(states.items())},
            "emails": len(self.mails),
            "email_copies": len(self.mails) - len({mail.message_id for mail in self.mails}),
            "updates": len(self.updates),
            "offsets_seen_twice": sum(map(len, self.seen.values())),
        }
