"""What one batch may read: the aggregates by id, and facts that came with a message but not with an event."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from schemas import events as e
from services.kernel.processing.service import Unpublished
from services.placement import history, policy
from services.placement.model import Episode, KnownCase, LookedAfterReview, MissingEpisode, Placement

Fact = KnownCase | Episode | LookedAfterReview | MissingEpisode
FactT = TypeVar("FactT", KnownCase, Episode, LookedAfterReview, MissingEpisode)


@dataclass(frozen=True, slots=True)
class FactLearnt(Unpublished):
    """What another service or a return says about a case, an episode, a review or a time away."""

    fact: Fact

    def change(self, book: "PlacementBook") -> None:
        """Keep it."""
        book.learn(self.fact)


@dataclass(frozen=True, slots=True)
class NamedInReturn(Unpublished):
    """A child is in the return of a year."""

    child_id: UUID
    year: int

    def change(self, book: "PlacementBook") -> None:
        """Keep the year."""
        book.return_years.setdefault(self.child_id, set()).add(self.year)


@dataclass(frozen=True, slots=True)
class Worded(Unpublished):
    """Free text about objectives, by their ids. It stays in the store: no event carries it."""

    objectives: Mapping[UUID, str] = field(default_factory=dict)
    child: Mapping[UUID, str] = field(default_factory=dict)
    """What the child said."""

    def change(self, book: "PlacementBook") -> None:
        """Keep the words."""
        book.objective_words |= self.objectives
        book.childs_words |= self.child


@dataclass
class PlacementBook:
    """The kernel's Book of the placement service.

    Own events change it through `apply`. Handlers return what is kept without an event of
    ours (other services' cases, the codes of a return, free text) as `FactLearnt`, `NamedInReturn` and
    `Worded`.
    """

    cases: dict[UUID, KnownCase] = field(default_factory=dict)
    placements: dict[UUID, Placement] = field(default_factory=dict)
    episodes: dict[UUID, Episode] = field(default_factory=dict)
    reviews: dict[UUID, LookedAfterReview] = field(default_factory=dict)
    missing: dict[UUID, MissingEpisode] = field(default_factory=dict)
    return_years: dict[UUID, set[int]] = field(default_factory=dict)
    """By child, the years of the returns in this batch that name the child."""
    objective_words: dict[UUID, str] = field(default_factory=dict)
    childs_words: dict[UUID, str] = field(default_factory=dict)
    changed: set[UUID] = field(default_factory=set)

    def placement(self, placement_id: UUID) -> Placement:
        """Return a placement; an absent one when there is none with this id."""
        return self.placements.get(placement_id) or Placement(placement_id)

    def placements_of(self, child_id: UUID) -> Iterable[Placement]:
        """Return the child's placements that this batch knows."""
        return [placement for placement in self.placements.values() if placement.child_id == child_id]

    def episode(self, episode_id: UUID) -> Episode:
        """Return an episode; an absent one when no return has reported it."""
        return self.episodes.get(episode_id) or Episode(episode_id)

    def review(self, review_id: UUID) -> LookedAfterReview:
        """Return a review of a looked-after child; an empty one when no return has reported it."""
        return self.reviews.get(review_id) or LookedAfterReview(review_id)

    def missing_episode(self, missing_id: UUID) -> MissingEpisode:
        """Return a missing episode; an empty one when no return has reported it."""
        return self.missing.get(missing_id) or MissingEpisode(missing_id)

    def learn(self, fact: Fact) -> None:
        """Keep what another service or a return says; known facts change nothing."""
        match fact:
            case KnownCase():
                self._learn(self.cases, fact.case_id, fact)
            case Episode():
                self._learn(self.episodes, fact.episode_id, fact)
            case LookedAfterReview():
                self._learn(self.reviews, fact.review_id, fact)
            case MissingEpisode():
                self._learn(self.missing, fact.missing_id, fact)

    def _learn(self, known: dict[UUID, FactT], identity: UUID, fact: FactT) -> None:
        if known.get(identity) != fact:
            known[identity] = fact
            self.changed.add(identity)

    def apply(self, event: e.Event) -> int:
        """Let the aggregate that the event belongs to evolve; return its new version."""
        self.changed.add(event.subject)
        match event:
            case e.PlacementStarted(origin="ssda903") | e.PlacementEnded(origin="ssda903"):
                episode = history.evolve_episode(self.episode(event.placement_id), event)
                self.episodes[event.placement_id] = episode
                return episode.version
            case e.LookedAfterReviewRecorded():
                review = history.evolve_review(self.review(event.review_id), event)
                self.reviews[event.review_id] = review
                return review.version
            case e.MissingEpisodeRecorded():
                missing = history.evolve_missing(self.missing_episode(event.missing_id), event)
                self.missing[event.missing_id] = missing
                return missing.version
            case (
                e.PlacementRequested()
                | e.PlacementStarted()
                | e.PlacementReviewed()
                | e.PlacementEnded()
                | e.ExitInterviewDue()
                | e.ExitInterviewOverdue()
                | e.ExitInterviewCompleted()
            ):
                placement = policy.evolve(self.placement(event.placement_id), event)
                self.placements[event.placement_id] = placement
                return placement.version
            case _:
                message = f"{event.wire_type} is not one of the placement service's events"
                raise TypeError(message)
