"""What was promised to whoever sent something: the only thing that a recount may begin with."""

from dataclasses import dataclass, field
from uuid import UUID


@dataclass
class Ledger:
    """Filled while the feed runs. An entry exists once somebody was told that it is safe."""

    referred: set[UUID] = field(default_factory=set)
    """Children whose referral got a 2xx or the broker's acknowledgement."""
    referral_ids: dict[UUID, UUID] = field(default_factory=dict)
    """The referral by child, as HTTP's answer named it."""
    decided: dict[UUID, str] = field(default_factory=dict)
    """The status by child that a decision with a 2xx leads to: `accepted` or `closed`."""
    in_doubt: set[UUID] = field(default_factory=set)
    """Children whose decision was sent but never answered with a 2xx: it may count or not."""
    placed: set[UUID] = field(default_factory=set)
    """Children for whom a placement was asked for, with a 2xx."""
    contradicted: list[str] = field(default_factory=list)
    """Answers that no partner could accept: a refusal of what is right, another id for the same key."""
    events: int = 0
    """Requests and messages that were acknowledged, duplicates and poison included."""
