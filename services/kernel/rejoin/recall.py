"""The service's part in a rejoin of its store; `rejoin` does the rest."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic
from uuid import UUID

from schemas.events import Event
from services.kernel.postgres.connection import Connection
from services.kernel.processing.service import B
from services.kernel.rejoin.plan import Own


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that could not be restored: what, and the ids it belongs to."""

    what: str
    ids: tuple[str, ...]


class Recall(ABC, Generic[B]):
    """One service's part. Only `load` is required; the other methods have defaults that suit most
    services."""

    def as_today(self, own: Own, /) -> Event:
        """Return an own event in the version by which aggregates evolve today."""
        return own.event

    def rests_on(self, _event: Event, /) -> UUID | None:
        """Return the aggregate on which an own event's aggregate depends; None if there is none.

        If the former is left out because its beginning has left the bus, the latter is left out as well.
        """
        return None

    def is_unasked(self, _events: Sequence[Event], /) -> bool:
        """Return whether these own events of one cause stem from no request; the cause is not an event
        either.

        Not called for events caused by an aggregate's own id, which never stem from a request.
        """
        return False

    @abstractmethod
    async def load(self, connection: Connection, events: Sequence[Event], message: Event | None) -> B:
        """Return a book with the aggregates of own events and everything that `message` needs."""

    async def saved(self, connection: Connection, /, events: Sequence[Event]) -> None:
        """Undo effects of saving a book that apply to new events only, not to events taken back."""

    async def losses(self, _connection: Connection, /) -> list[Loss]:
        """Return the data that these events did not carry."""
        return []
