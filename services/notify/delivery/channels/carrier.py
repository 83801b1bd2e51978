"""The interface of every channel: one message in, one of four outcomes out; its `label` is for metrics."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Protocol

from services.notify.delivery.store.queue import FailReason, Message


@dataclass(frozen=True, slots=True)
class Taken:
    """The provider has accepted the message."""

    label: ClassVar[str] = "taken"
    reference: str | None = None
    """The provider's own id of the message. A provider that gives one is asked later what became of it."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The provider will not take this message. `reason` is a reply code, for example `550 5.1.1`."""

    label: ClassVar[str] = "refused"
    reason: str
    final: bool = False
    """Whether asking again cannot help, for example because there is no address."""
    kind: FailReason = "refused"


@dataclass(frozen=True, slots=True)
class Later:
    """The message may go at another time. `reason` is a reply code or a kind of error."""

    label: ClassVar[str] = "later"
    reason: str
    unknown: bool = False
    """Whether the provider may have accepted it all the same; the next attempt sees `Message.doubtful`."""
    answered: bool = False
    """Whether the far side is well and only this message is affected: others may go meanwhile."""


@dataclass(frozen=True, slots=True)
class Away:
    """The provider accepts nothing from us now: every message would meet the same, and none has failed."""

    label: ClassVar[str] = "away"
    reason: str
    pause: timedelta | None = None
    """How long, where the provider says."""


Outcome = Taken | Rejected | Later | Away


class Carrier(Protocol):
    """Carries the messages of one sender: a channel, or one endpoint of it."""

    provider: str
    """A code, for the event and the metrics."""
    at_once: int
    """How many messages a sender claims together: that many may go twice after a crash, if the far side
    cannot recognise a copy."""
    side_by_side: int
    """How many of them are in flight at the same time."""
    timeout_seconds: float
    """How long to wait for an answer; after that the outcome is unknown."""
    attempts_allowed: int | None
    """How many attempts a message gets before it is given up; None: no limit."""

    async def send(self, message: Message) -> Outcome:
        """Hand one message over. Outside failures never raise; the call may be cancelled anywhere.

        The message's id is the key of idempotence: the same message may come again.
        """
        ...

    async def rest(self) -> None:
        """Release connections: there is nothing more to send for now."""
        ...
