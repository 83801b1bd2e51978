"""The arrangements that people make for themselves: preferences, quiet hours, absences; and subscriptions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Annotated, Literal
from uuid import UUID

from pydantic import StringConstraints

from schemas.events import Code, Moment
from schemas.events.codes import Channel
from services.kernel.processing.service import Command
from services.notify.preferences.hours import TimeOfDay

Choice = Literal["at_once", "digest", "off"]
"""What somebody wants of a channel for a kind of alert."""

ChosenKind = Annotated[
    str, StringConstraints(pattern=r"^(\*|[a-z_]+\.[a-z_]+(:([a-z0-9_]+|\*))?)$", max_length=100)
]
"""An alert's kind, a deadline's state with `:*`, or `*` for all."""

Digest = Literal["daily", "working_day"]
"""Whether a digest comes on every day or on working days only."""

PERSONAL = (Channel.EMAIL, Channel.SMS)
"""The channels that lead to one person, and that this person may switch off."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Somebody's quiet hours, and the time of their digest. London times of day."""

    quiet_from: time
    quiet_until: time
    digest: Digest
    digest_at: time


@dataclass(frozen=True, slots=True)
class Delegation:
    """An absence; `ends_at` None: the person has left. `to_id` None: the team's duty inbox stands in."""

    delegation_id: UUID
    worker_id: str
    to_id: str | None
    starts_at: datetime
    ends_at: datetime | None

    def holds_at(self, moment: datetime) -> bool:
        """Return whether the absence holds at a moment."""
        return self.starts_at <= moment and (self.ends_at is None or moment < self.ends_at)


@dataclass(frozen=True, slots=True)
class Subscription:
    """An address that receives the alerts of an agency or a team."""

    subscription_id: UUID
    owner_id: str
    channel: Channel
    kinds: tuple[str, ...] = ("*",)

    def wants(self, kind: str) -> bool:
        """Return whether alerts of a kind are sent there."""
        return any(chosen in self.kinds for chosen in widening(kind))


@dataclass(frozen=True, slots=True)
class Arrangements:
    """All arrangements as of `version`. A small object: the people of one council."""

    version: int = 0
    preferences: Mapping[tuple[str, str, str], Choice] = field(default_factory=dict)
    """By worker, kind and channel."""
    quiet_hours: Mapping[str, QuietHours] = field(default_factory=dict)
    delegations: Mapping[str, tuple[Delegation, ...]] = field(default_factory=dict)
    """By the worker who is away, in the order in which they were declared."""
    subscriptions: Mapping[str, tuple[Subscription, ...]] = field(default_factory=dict)
    """By owner: an agency's id or a team's code."""

    def choice(self, worker_id: str, kind: str, channel: Channel) -> Choice | None:
        """Return what somebody has chosen; the choice for the narrowest kind counts. None: nothing."""
        for chosen in widening(kind):
            choice = self.preferences.get((worker_id, chosen, channel.value))
            if choice is not None:
                return choice
        return None

    def absence(self, worker_id: str, moment: datetime) -> Delegation | None:
        """Return the absence that was declared last of those that hold at a moment."""
        for delegation in reversed(self.delegations.get(worker_id, ())):
            if delegation.holds_at(moment):
                return delegation
        return None


def widening(kind: str) -> tuple[str, ...]:
    """Return the kinds that include one, the narrowest first: itself, a deadline's state with `:*`, all."""
    name, colon, _ = kind.partition(":")
    return (kind, f"{name}:*", "*") if colon else (kind, "*")


class ChoosePreference(Command):
    """Somebody chooses how alerts of a kind reach them; `choice` None: as the council has it."""

    worker_id: Code
    kind: ChosenKind
    channel: Channel
    choice: Choice | None


class ChooseQuietHours(Command):
    """Somebody chooses quiet hours and the time of the digest."""

    worker_id: Code
    quiet_from: TimeOfDay
    quiet_until: TimeOfDay
    digest: Digest
    digest_at: TimeOfDay


class DeclareAbsence(Command):
    """Somebody will be away, or leaves for good (`ends_at` None)."""

    worker_id: Code
    to_id: Code | None
    starts_at: Moment
    ends_at: Moment | None
    declared_by: Code


class EndAbsence(Command):
    """Somebody is back, or the absence was a mistake."""

    delegation_id: UUID
    worker_id: Code
