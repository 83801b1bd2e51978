"""What a statutory return's facts add to what is known."""

from datetime import date

import pytest

from schemas import events as e
from schemas.events.codes import Location, PlacementKind
from services.placement import history
from services.placement.model import Episode, LookedAfterReview, MissingEpisode
from services.placement.ssda903.codes import PLACEMENT_TYPE
from tests.builders import CHILD, episode_reported, looked_after_review_reported, missing_episode_reported

EPISODE = episode_reported().episode_id


def after(*reports: e.LookedAfterEpisodeReported) -> Episode:
    episode = Episode(EPISODE)
    for each in reports:
        produced = history.decide_episode(episode, each)
        episode = history.codes_of(episode, each)
        for event in produced:
            assert isinstance(event, e.PlacementStarted | e.PlacementEnded)
            episode = history.evolve_episode(episode, event)
    return episode


ENDED = episode_reported(year=2026, ended_on=date(2025, 8, 1), reason_ended="E4A")


def test_a_new_episode_starts_a_placement_of_the_past() -> None:
    """No case, no location: a return does not know them."""
    (event,) = history.decide_episode(Episode(EPISODE), episode_reported())

    assert event == e.PlacementStarted(
        placement_id=EPISODE,
        child_id=CHILD,
        case_id=None,
        provider_id="PR4",
        kind=PlacementKind.INDEPENDENT_FOSTER,
        location=Location.UNKNOWN,
        started_on=date(2024, 5, 2),
        origin="ssda903",
    )


def test_an_episode_that_has_ended_starts_and_ends_one() -> None:
    assert [type(event) for event in history.decide_episode(Episode(EPISODE), ENDED)] == [
        e.PlacementStarted,
        e.PlacementEnded,
    ]


def test_history_schedules_no_deadlines() -> None:
    produced = [
        *history.decide_episode(Episode(EPISODE), ENDED),
        *history.decide_review(LookedAfterReview(EPISODE), looked_after_review_reported()),
        *history.decide_missing(MissingEpisode(EPISODE), missing_episode_reported()),
    ]

    assert all(isinstance(item, e.Event) for item in produced)


def test_a_known_episode_that_is_reported_with_its_end_only_ends() -> None:
    (event,) = history.decide_episode(after(episode_reported()), ENDED)

    assert isinstance(event, e.PlacementEnded)
    assert (event.ended_on, event.reason, event.origin) == (date(2025, 8, 1), "E4A", "ssda903")


def test_the_same_report_again_produces_nothing() -> None:
    assert history.decide_episode(after(episode_reported()), episode_reported()) == []
    assert history.decide_episode(after(ENDED), ENDED) == []


def test_an_end_without_a_reason_is_not_published_twice() -> None:
    silent = episode_reported(year=2026, ended_on=date(2025, 8, 1))

    assert history.decide_episode(after(silent), silent) == []


def test_a_corrected_end_is_published_as_another_end() -> None:
    corrected = episode_reported(year=2026, ended_on=date(2025, 8, 2), reason_ended="E4A")

    (event,) = history.decide_episode(after(ENDED), corrected)

    assert isinstance(event, e.PlacementEnded)
    assert event.ended_on == date(2025, 8, 2)


def test_an_older_return_that_comes_later_changes_nothing() -> None:
    older = episode_reported(year=2025, legal_status="V2", ended_on=date(2024, 9, 9), reason_ended="E8")

    assert history.decide_episode(after(ENDED), older) == []
    assert after(ENDED, older) == after(ENDED)


def test_a_newer_return_updates_the_codes_of_the_known_episode() -> None:
    episode = after(episode_reported(), episode_reported(year=2026, legal_status="V2"))

    assert (episode.legal_status, episode.return_year, episode.version) == ("V2", 2026, 1)


def test_a_newer_return_that_gives_no_end_leaves_the_known_end() -> None:
    episode = after(ENDED, episode_reported(year=2027))

    assert (episode.status, episode.ended_on) == ("ended", date(2025, 8, 1))


@pytest.mark.parametrize(
    ("placement_type", "provider", "kind"),
    [
        ("A4", "PR1", PlacementKind.ADOPTION),
        ("H5", "PR4", PlacementKind.SUPPORTED_ACCOMMODATION),
        ("K1", "PR3", PlacementKind.SECURE),
        ("K2", "PR1", PlacementKind.RESIDENTIAL),
        ("P1", "PR0", PlacementKind.PARENTS),
        ("S1", "PR4", PlacementKind.RESIDENTIAL_SCHOOL),
        ("T1", None, PlacementKind.OTHER),
        ("U1", "PR1", PlacementKind.KINSHIP),
        ("U4", "PR1", PlacementKind.IN_HOUSE_FOSTER),
        ("U4", "PR4", PlacementKind.INDEPENDENT_FOSTER),
        ("Z1", None, PlacementKind.OTHER),
    ],
)
def test_the_returns_placement_types_are_our_kinds(
    placement_type: str, provider: str | None, kind: PlacementKind
) -> None:
    assert history.kind_of(placement_type, provider) is kind


def test_only_temporary_moves_employment_and_the_returns_own_other_are_other() -> None:
    """A code that falls through to `other` by oversight would show here."""
    other = {code for code in PLACEMENT_TYPE.codes if history.kind_of(code, None) is PlacementKind.OTHER}

    assert other == {"P3", "T0", "T1", "T2", "T3", "T4", "Z1", "Z11", "Z12", "Z13", "Z14"}


def test_a_review_is_recorded_once_and_again_when_corrected() -> None:
    known = LookedAfterReview(EPISODE, 1, CHILD, 2025, date(2024, 6, 1), "PN1")

    assert history.decide_review(known, looked_after_review_reported(year=2026)) == []
    assert len(history.decide_review(known, looked_after_review_reported(year=2026, code="PN2"))) == 1
    assert history.decide_review(known, looked_after_review_reported(year=2024, code="PN2")) == []


def test_a_missing_episode_is_recorded_once_and_again_when_its_end_is_known() -> None:
    known = MissingEpisode(EPISODE, 1, CHILD, 2025, "missing", date(2024, 7, 1), None)

    assert history.decide_missing(known, missing_episode_reported(year=2026)) == []
    assert (
        len(history.decide_missing(known, missing_episode_reported(year=2026, ended_on=date(2024, 7, 3))))
        == 1
    )
    assert history.decide_missing(known, missing_episode_reported(year=2024, ended_on=date(2024, 7, 3))) == []
