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
    """Something that could not be brought back: what, and the ids of what it belongs to."""

    what: str
    ids: tuple[str, ...]


class Recall(ABC, Generic[B]):
    """One service's part. Only `load` must be there; the others say what holds for most services."""

    def as_today(self, own: Own, /) -> Event:
        """Return an own event as aggregates evolve by it now, should it be of an earlier version."""
        return own.event

    def rests_on(self, _event: Event, /) -> UUID | None:
        """Return the aggregate without which that of an own event cannot be; None where there is none.

        Where the one is left out, because its beginning has left the bus, the other is left out as well.
        """
        return None

    def is_unasked(self, _events: Sequence[Event], /) -> bool:
        """Return whether nobody has asked for these own events of one cause, which is no event's either.

        What an aggregate's own id is the cause of is known to be unasked: nobody is asked about that.
        """
        return False

    @abstractmethod
    async def load(self, connection: Connection, events: Sequence[Event], message: Event | None) -> B:
        """Return a book with the aggregates of own events, and with all that `message` needs."""

    async def saved(self, connection: Connection, /, events: Sequence[Event]) -> None:
        """Undo what saving a book does for news and must not be done for what is only taken back."""

    async def losses(self, _connection: Connection, /) -> list[Loss]:
        """Return what these events did not carry."""
        return []
