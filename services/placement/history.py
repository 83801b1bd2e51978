"""The rules of looked-after history: what a statutory return adds to what is known.

Imported history schedules no deadlines. A return is a record of the past: its reviews were due, held or
missed before Leadline heard of them, and an alert about them would help no child.

The newest return about an episode counts. An earlier year's return that is read later changes nothing. When
a later return ends an episode, it is the same episode with its end filled in.
"""

from dataclasses import replace

from schemas import events as e
from schemas.events.codes import Location, PlacementKind
from services.kernel.processing.service import Produced
from services.placement.model import Episode, LookedAfterReview, MissingEpisode

KINDS: dict[str, PlacementKind] = {
    "A": PlacementKind.ADOPTION,
    "K1": PlacementKind.SECURE,
    "K2": PlacementKind.RESIDENTIAL,
    "K3": PlacementKind.SUPPORTED_ACCOMMODATION,
    "P1": PlacementKind.PARENTS,
    "H5": PlacementKind.SUPPORTED_ACCOMMODATION,
    "P2": PlacementKind.SUPPORTED_ACCOMMODATION,
    "R1": PlacementKind.RESIDENTIAL,
    "R2": PlacementKind.RESIDENTIAL,
    "R3": PlacementKind.RESIDENTIAL,
    "R5": PlacementKind.SECURE,
    "S1": PlacementKind.RESIDENTIAL_SCHOOL,
}
"""Our kinds of placement by the return's placement type; `A` stands for A3 to A6."""

KINSHIP_FOSTER = frozenset({"U1", "U2", "U3"})
FOSTER = frozenset({"U4", "U5", "U6"})
OWN_PROVIDER = "PR1"
NOT_GIVEN = "not-given"


def kind_of(placement_type: str, provider: str | None) -> PlacementKind:
    """Return our kind of placement for a return's codes; `other` where they say nothing more precise."""
    if placement_type in KINSHIP_FOSTER:
        return PlacementKind.KINSHIP
    if placement_type in FOSTER:
        own = provider == OWN_PROVIDER
        return PlacementKind.IN_HOUSE_FOSTER if own else PlacementKind.INDEPENDENT_FOSTER
    return KINDS.get(placement_type) or KINDS.get(placement_type[:1], PlacementKind.OTHER)


def decide_episode(episode: Episode, report: e.LookedAfterEpisodeReported) -> list[Produced]:
    """Start a placement for a new episode and end it when an end is reported.

    A return does not say whether the home is in the county, so the location is unknown. A corrected last
    day or reason is published as a new end.
    """
    if report.return_year < episode.return_year:
        return []
    produced: list[Produced] = []
    if episode.status == "absent":
        produced.append(
            e.PlacementStarted(
                placement_id=report.episode_id,
                child_id=report.child_id,
                provider_id=report.placement_provider or NOT_GIVEN,
                kind=kind_of(report.placement_type, report.placement_provider),
                location=Location.UNKNOWN,
                started_on=report.started_on,
                origin="ssda903",
            )
        )
    reason = report.reason_ended or NOT_GIVEN
    known_end = (episode.ended_on, episode.reason_ended)
    if report.ended_on is not None and (report.ended_on, reason) != known_end:
        produced.append(
            e.PlacementEnded(
                placement_id=report.episode_id,
                child_id=report.child_id,
                location=Location.UNKNOWN,
                ended_on=report.ended_on,
                reason=reason,
                origin="ssda903",
            )
        )
    return produced


def decide_review(review: LookedAfterReview, report: e.LookedAfterReviewReported) -> list[Produced]:
    """Record a review once, and again only when a return of the same or a later year corrects it."""
    same = (review.reviewed_on, review.review_code) == (report.reviewed_on, report.review_code)
    if same or report.return_year < review.return_year:
        return []
    return [
        e.LookedAfterReviewRecorded(
            review_id=report.review_id,
            child_id=report.child_id,
            reviewed_on=report.reviewed_on,
            review_code=report.review_code,
        )
    ]


def decide_missing(missing: MissingEpisode, report: e.MissingEpisodeReported) -> list[Produced]:
    """Record a missing episode once, and again when a return of the same or a later year corrects it."""
    known = (missing.kind, missing.started_on, missing.ended_on)
    if known == (report.kind, report.started_on, report.ended_on) or report.return_year < missing.return_year:
        return []
    return [
        e.MissingEpisodeRecorded(
            missing_id=report.missing_id,
            child_id=report.child_id,
            kind=report.kind,
            started_on=report.started_on,
            ended_on=report.ended_on,
        )
    ]


def codes_of(episode: Episode, report: e.LookedAfterEpisodeReported) -> Episode:
    """Return the episode with the codes of a report, which its events do not carry.

    A known end stays when a newer report gives none.
    """
    if report.return_year < episode.return_year:
        return episode
    return replace(
        episode,
        child_id=report.child_id,
        return_year=report.return_year,
        started_on=report.started_on,
        reason_started=report.reason_started,
        legal_status=report.legal_status,
        need=report.need,
        placement_type=report.placement_type,
        placement_provider=report.placement_provider,
        reason_place_change=report.reason_place_change or episode.reason_place_change,
    )


def evolve_episode(episode: Episode, event: e.PlacementStarted | e.PlacementEnded) -> Episode:
    """Return the episode after one of its events."""
    episode = replace(episode, version=episode.version + 1)
    if isinstance(event, e.PlacementStarted):
        return replace(episode, status="open", child_id=event.child_id, started_on=event.started_on)
    return replace(episode, status="ended", ended_on=event.ended_on, reason_ended=event.reason)


def evolve_review(review: LookedAfterReview, event: e.LookedAfterReviewRecorded) -> LookedAfterReview:
    """Return the review after it was recorded or corrected."""
    return replace(
        review,
        version=review.version + 1,
        child_id=event.child_id,
        reviewed_on=event.reviewed_on,
        review_code=event.review_code,
    )


def evolve_missing(missing: MissingEpisode, event: e.MissingEpisodeRecorded) -> MissingEpisode:
    """Return the missing episode after it was recorded or corrected."""
    return replace(
        missing,
        version=missing.version + 1,
        child_id=event.child_id,
        kind=event.kind,
        started_on=event.started_on,
        ended_on=event.ended_on,
    )
