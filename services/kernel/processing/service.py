"""What a service brings: which event leads to which decision, and a store. The kernel does the rest."""

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
    """What somebody asks a service to do; imperative, for example `DecideReferral`."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Unpublished:
    """What follows from a decision for the service's own store alone: nobody publishes it.

    A subclass is frozen and says what becomes of the book.
    """

    __slots__ = ()

    def change(self, book: Any) -> None:
        """Let the book know; called once, in its place among what the decision produced. It cannot fail."""
        raise NotImplementedError


Message = Event | Command
Produced = Event | Intent | Unpublished


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of one decision: when, and because of which message.

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
    """Everything that one batch may look at: the aggregates its messages touch, and what rules need beside.

    Handlers read it; the kernel changes it, by what they return.
    """

    def apply(self, event: Event) -> int:
        """Let the aggregate that the event belongs to evolve; return its new version."""
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
"""A service's own store. Left out where the kernel's methods are all that is needed."""

Handler = Callable[[Any, Any, Context], Sequence[Produced]]
"""`handler(book, message, context)` returns what happens: pure, and it changes nothing itself. The kernel
applies what it returned to the book, in order, before the next message is decided on.

An exception from an event's handler parks the event; from a command's, `Refused` answers the caller.
"""

Projection = Callable[[Connection, Sequence[Arrival]], Awaitable[None]]
"""Writes what follows from events into tables for reading: events of one transaction, each with its envelope.

Called once in it, last, with what was handled and not set aside; in order.
"""

CountDue = Callable[[Connection, datetime], Awaitable[int]]
"""Returns how much of what time brings is still to be done at a moment."""


@dataclass(frozen=True)
class Service(Generic[B, S_co]):
    """One service's table of contents. `handlers` shows all it reacts to."""

    name: str
    store: S_co
    handlers: Mapping[type[Event], Handler]
    commands: Mapping[type[Command], Handler] = field(default_factory=dict)
    calendar: WorkingCalendar = field(default_factory=WorkingCalendar)
    """The council's working days."""
    lets_pass: frozenset[str] = frozenset()
    """Topics whose later events pass a parked one of the same case instead of waiting behind it."""
    project: Projection | None = None
    """Keeps tables that follow from the events read; None: there are none."""
    count_due: CountDue | None = None
    """Counts what is due beside deadlines; None: nothing ever is."""

    @property
    def reads(self) -> tuple[Topic, ...]:
        """Return the topics this service reads."""
        return read_by(self.name)

    @property
    def publishes(self) -> Topic:
        """Return the topic this service owns."""
        return published_by(self.name)
