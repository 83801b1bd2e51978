"""What one batch may look at: the aggregates by id, and what came with a message but not with an event."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from schemas import events as e
from services.placement import history, policy
from services.placement.model import Episode, KnownCase, LookedAfterReview, MissingEpisode, Placement


@dataclass
class PlacementBook:
    """The kernel's Book of the placement service.

    Own events change it through `apply`. What is kept without an event of ours (other services' cases, the
    codes of a return, free text) is learned by handlers through the `learn` methods, last of all, so that a
    handler that fails has changed nothing.
    """

    cases: dict[UUID, KnownCase] = field(default_factory=dict)
    placements: dict[UUID, Placement] = field(default_factory=dict)
    episodes: dict[UUID, Episode] = field(default_factory=dict)
    reviews: dict[UUID, LookedAfterReview] = field(default_factory=dict)
    missing: dict[UUID, MissingEpisode] = field(default_factory=dict)
    return_years: dict[UUID, set[int]] = field(default_factory=dict)
    """By child, the years of the returns that name it and came with this batch."""
    objective_words: dict[UUID, str] = field(default_factory=dict)
    childs_words: dict[UUID, str] = field(default_factory=dict)
    changed: set[UUID] = field(default_factory=set)

    def placement(self, placement_id: UUID) -> Placement:
        """Return a placement; an absent one when there is none of this id."""
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

    def learn_case(self, case: KnownCase) -> None:
        """Keep what another service says about a case."""
        if self.cases.get(case.case_id) != case:
            self.cases[case.case_id] = case
            self.changed.add(case.case_id)

    def learn_episode(self, episode: Episode) -> None:
        """Keep the codes that a return gives for an episode."""
        if self.episodes.get(episode.episode_id) != episode:
            self.episodes[episode.episode_id] = episode
            self.changed.add(episode.episode_id)

    def learn_review(self, review: LookedAfterReview) -> None:
        """Keep which return reported a review last."""
        if self.reviews.get(review.review_id) != review:
            self.reviews[review.review_id] = review
            self.changed.add(review.review_id)

    def learn_missing(self, missing: MissingEpisode) -> None:
        """Keep which return reported a missing episode last."""
        if self.missing.get(missing.missing_id) != missing:
            self.missing[missing.missing_id] = missing
            self.changed.add(missing.missing_id)

    def learn_return_year(self, child_id: UUID, year: int) -> None:
        """Keep that a return of this year names the child."""
        self.return_years.setdefault(child_id, set()).add(year)

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
