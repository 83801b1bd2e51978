"""What a service provides: a handler for each event and command, and a store. The kernel does the rest."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypeVar as TypeVarWithDefault

from schemas.events import Event
from schemas.events.base import PlainClasses
from schemas.topics import Topic, published_by, read_by
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.deadlines.policy import Intent
from services.kernel.messages.arrivals import Arrival
from services.kernel.messages.ids import derived
from services.kernel.postgres.connection import Connection


class Command(BaseModel, metaclass=PlainClasses):
    """What a caller asks a service to do; imperative, for example `DecideReferral`."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Unpublished:
    """A result of a decision for the service's own store alone; it is not published.

    A subclass is frozen and implements the change to the book.
    """

    __slots__ = ()

    def change(self, book: Any) -> None:
        """Change the book; called once, in the order of the decision's results. Must not raise."""
        raise NotImplementedError


Message = Event | Command
Produced = Event | Intent | Unpublished


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of one decision: when it was made, and because of which message.

    Ids are derived from the cause, so that deciding twice makes the same ids.
    """

    now: datetime
    cause: UUID
    correlation: UUID
    calendar: WorkingCalendar

    def id(self, name: str) -> UUID:
        """Return the id of something that this decision creates."""
        return derived(self.cause, name)


class Book(Protocol):
    """Everything that one batch may read: the aggregates its messages touch, and other data the rules need.

    Handlers read it; the kernel changes it by applying what they return.
    """

    def apply(self, event: Event) -> int:
        """Evolve the aggregate that the event belongs to; return its new version."""
        ...


B = TypeVar("B", bound=Book)


class Store(Protocol[B]):
    """Repository and unit of work of one service: all its SQL. The kernel owns the transaction."""

    async def load(self, connection: Connection, messages: Sequence[Message]) -> B:
        """Return the book for a batch, its aggregates locked in the order of their ids."""
        ...

    async def save(self, connection: Connection, book: B) -> None:
        """Write every aggregate that has changed, in bulk."""
        ...


S_co = TypeVarWithDefault("S_co", bound=Store[Any], default=Store[B], covariant=True)
"""A service's own store. Omitted where the kernel's methods are enough."""

Handler = Callable[[Any, Any, Context], Sequence[Produced]]
"""`handler(book, message, context)` returns what happens. It is pure and changes nothing itself. The kernel
applies the results to the book, in order, before it decides the next message.

An exception from an event handler parks the event; `Refused` from a command handler answers the caller.
"""

Projection = Callable[[Connection, Sequence[Arrival]], Awaitable[None]]
"""Projects the events of one transaction, each with its envelope, into read tables.

Called once, last in the transaction, with the events that were handled and not set aside, in order.
"""

CountDue = Callable[[Connection, datetime], Awaitable[int]]
"""Returns how much time-driven work is still due at a moment."""


@dataclass(frozen=True)
class Service(Generic[B, S_co]):
    """One service's table of contents. `handlers` lists everything it reacts to."""

    name: str
    store: S_co
    handlers: Mapping[type[Event], Handler]
    commands: Mapping[type[Command], Handler] = field(default_factory=dict)
    calendar: WorkingCalendar = field(default_factory=WorkingCalendar)
    """The council's working days."""
    lets_pass: frozenset[str] = frozenset()
    """Topics whose later events overtake a parked one of the same case instead of waiting behind it."""
    project: Projection | None = None
    """Maintains read tables from the events read; None if the service has none."""
    count_due: CountDue | None = None
    """Counts due work other than deadlines; None if there is none."""

    @property
    def reads(self) -> tuple[Topic, ...]:
        """Return the topics this service reads."""
        return read_by(self.name)

    @property
    def publishes(self) -> Topic:
        """Return the topic this service owns."""
        return published_by(self.name)
