"""Restores the placement store from its own events, and from the returns and cases that others published.

Free text stays in the store by design, so it is not restored: the wording of objectives, and what a child
said.
"""

from collections.abc import Sequence

from schemas import events as e
from schemas.events import Event
from services.kernel.postgres.connection import Connection
from services.kernel.processing.service import Message
from services.kernel.rejoin.recall import Loss, Recall
from services.placement.book import PlacementBook
from services.placement.model import Episode, LookedAfterReview, MissingEpisode
from services.placement.queries import without_words
from services.placement.store.batch import PlacementStore
from services.placement.store.tables import EPISODES, MISSING, REVIEWS

LOST_WORDS = "(The wording was lost with the store: ask the person who set this objective.)"
"""Takes the place of an objective's lost wording."""


class PlacementRecall(Recall[PlacementBook]):
    """Loads placements and looked-after history for events about them."""

    def __init__(self, store: PlacementStore) -> None:
        self._store = store
        self._interviews: set[str] = set()

    async def load(
        self, connection: Connection, events: Sequence[Event], message: Event | None
    ) -> PlacementBook:
        """Return the book of the events' aggregates, with `LOST_WORDS` in place of lost wording."""
        ours = [event for event in events if hasattr(event, "placement_id") and not _of_return(event)]
        wanted: list[Message] = [*ours]
        book = await self._store.load(connection, wanted if message is None else [*wanted, message])
        subjects = [event.subject for event in events]
        for row in await EPISODES.load(connection, subjects):
            book.episodes.setdefault(row.episode_id, Episode(**row))
        for row in await REVIEWS.load(connection, subjects):
            book.reviews.setdefault(row.review_id, LookedAfterReview(**row))
        for row in await MISSING.load(connection, subjects):
            book.missing.setdefault(row.missing_id, MissingEpisode(**row))
        for event in ours:
            if isinstance(event, e.PlacementStarted):
                book.objective_words |= {each.objective_id: LOST_WORDS for each in event.objectives}
        return book

    async def saved(self, _connection: Connection, events: Sequence[Event]) -> None:
        """Remember the placements whose exit interview answers are lost."""
        self._interviews |= {
            str(event.placement_id) for event in events if isinstance(event, e.ExitInterviewCompleted)
        }

    async def losses(self, connection: Connection) -> list[Loss]:
        """Return the placements whose free text is lost."""
        worded = await without_words(connection, lost=LOST_WORDS)
        lost = (
            Loss("placements: the wording of objectives", tuple(sorted(map(str, worded)))),
            Loss("placements: what the child said at the exit interview", tuple(sorted(self._interviews))),
        )
        return [loss for loss in lost if loss.ids]


def _of_return(event: Event) -> bool:
    return getattr(event, "origin", "leadline") == "ssda903"
