"""What every channel has in common: one message in, one of four outcomes out; its `label` is for metrics."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Protocol

from services.notify.delivery.store.queue import FailReason, Message


@dataclass(frozen=True, slots=True)
class Taken:
    """The provider has taken the message over."""

    label: ClassVar[str] = "taken"
    reference: str | None = None
    """The provider's own id of the message. Whoever gives one is asked later what became of it."""


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
    """Whether the provider may have taken it all the same; the next attempt sees `Message.doubtful`."""
    answered: bool = False
    """Whether the far side is well, and this is about the one message: others may go meanwhile."""


@dataclass(frozen=True, slots=True)
class Away:
    """The provider takes nothing from us now: no message would fare better, and none has failed."""

    label: ClassVar[str] = "away"
    reason: str
    pause: timedelta | None = None
    """For how long, where the provider says so."""


Outcome = Taken | Rejected | Later | Away


class Carrier(Protocol):
    """Carries the messages of one lane: a channel, or one endpoint of it."""

    provider: str
    """A code, for the event and the metrics."""
    at_once: int
    """How many messages a lane claims together: so many may go twice after a crash, if the far side has
    no key to tell by."""
    side_by_side: int
    """How many of them are on their way at the same moment."""
    timeout_seconds: float
    """After so long nobody waits for an answer: the outcome is unknown."""
    attempts_allowed: int | None
    """How often a message is tried before it is given up; None: for ever."""

    async def send(self, message: Message) -> Outcome:
        """Hand one message over. Raises nothing that the outside world causes; may be cancelled anywhere.

        The message's id is the key of idempotence: the same message may come again.
        """
        ...

    async def rest(self) -> None:
        """Let go of connections: there is nothing more to send for now."""
        ...
