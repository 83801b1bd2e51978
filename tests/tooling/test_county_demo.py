"""The demo's summary: the system's own figures, differences as errors, readable without a terminal."""

import io
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from services.cli.demo import START, Summary, _progress, show
from services.county.driver import Play, Played, PlayedMoment, SentByCounty
from services.county.figures import (
    AlertFigures,
    CaseFigure,
    Figures,
    NetFigures,
    PlacementFigures,
    ReferralFigure,
)
from services.county.partner_bus import PartnerBus
from services.county.settled import Status, SystemStanding
from services.county.site import PlayError, Site
from services.kernel.base.clock import HeldClock
from tests.tooling.county_lists import Lists

NOON = datetime(2026, 9, 7, 12, tzinfo=UTC)


def a_standing(*, parked: int = 0, **events: int) -> SystemStanding:
    named = {name.replace("__", "."): count for name, count in events.items()}
    return SystemStanding((Status("referral", NOON, at_rest=True, parked=parked, events=named),))


def a_summary(*, differences: tuple[str, ...] = (), parked: int = 0, without_lead: int = 0) -> Summary:
    figures = Figures(
        standing=a_standing(parked=parked, referral__received=5, referral__accepted=3, deadline__scheduled=5),
        referrals=(
            ReferralFigure(agency="school", status="accepted", count=3),
            ReferralFigure(agency="school", status="received", count=2),
        ),
        cases=(
            CaseFigure(status="planned", level=4, completed_at="2026-09-09", close_reason=None),
            CaseFigure(status="closed", level=2, completed_at="2026-09-09", close_reason="threshold_not_met"),
            CaseFigure(status="assessing", level=3, completed_at=None, close_reason=None),
        ),
        placements=PlacementFigures.model_validate(dict.fromkeys(PlacementFigures.model_fields, 0)),
        alerts=AlertFigures(total=7, by_kind={"referral.received": 7}, by_urgency={}, by_status={}),
        net=NetFigures(open_cases=2, open_cases_without_lead=without_lead, open_cases_without_deadline=0),
    )
    return Summary(figures, differences, 30, 61.04, "Apache Kafka", "PostgreSQL", "http://county.test/inbox")


def test_the_summary_is_one_line_of_json_with_the_figures() -> None:
    """Other programs read it: every figure by name, and what it ran on."""
    line = a_summary().as_json()
    assert "\n" not in line
    data = json.loads(line)
    assert data["ok"] is True
    assert (data["referrals"], data["accepted"], data["undecided"], data["parked"]) == (5, 3, 2, 0)
    assert (data["seconds"], data["broker"], data["database"]) == (61.0, "Apache Kafka", "PostgreSQL")
    for figure in (
        "redirected",
        "threshold_met",
        "placements_started",
        "placements_ended",
        "exit_interviews_due",
        "exit_interviews_completed",
        "alerts",
        "open_cases_without_lead",
        "open_cases_without_deadline",
    ):
        assert data[figure] == 0


@pytest.mark.parametrize(
    "summary",
    [a_summary(differences=("one was lost",)), a_summary(parked=1), a_summary(without_lead=1)],
    ids=["difference", "parked", "without lead"],
)
def test_a_month_in_which_something_got_lost_is_not_ok(summary: Summary) -> None:
    """A difference, a parked event or a child without a lead professional: each is an error."""
    assert summary.ok is False
    assert json.loads(summary.as_json())["ok"] is False


def test_levels_count_assessed_cases_and_name_those_below_every_threshold() -> None:
    """A case that is still being assessed has no level yet."""
    assert a_summary().figures.levels == {"level 4": 1, "no threshold met": 1}


def test_without_a_terminal_nothing_but_text_is_written() -> None:
    """No control codes in a log or a pipe; differences and the inbox stand on lines of their own."""
    out = io.StringIO()
    show(a_summary(differences=("decision: 5 were sent, the system says 4",)), Console(file=out))
    text = out.getvalue()
    assert "\x1b" not in text
    assert "\r" not in text
    assert "DIFFERENCE: decision: 5 were sent, the system says 4\n" in text
    assert "Inboxes: http://county.test/inbox\n" in text


def test_without_a_terminal_progress_is_a_line_every_five_days() -> None:
    """At midnight of every fifth day, with what has happened so far."""
    out = io.StringIO()
    with _progress(Console(file=out), days=30, start=START) as watch:
        for hours in range(0, 24 * 11, 3):
            at = START + timedelta(hours=hours)
            watch(PlayedMoment(at, 1, 1, a_standing(referral__received=3, alert__raised=9)))
    assert out.getvalue().splitlines() == [
        "Sat 12 Sep 2026  3 referrals, 0 cases, 0 placements, 9 alerts",
        "Thu 17 Sep 2026  3 referrals, 0 cases, 0 placements, 9 alerts",
    ]


def test_what_was_sent_is_compared_with_what_the_system_says() -> None:
    """Only what is new since the play began counts; each difference is a sentence with both numbers."""
    sent = SentByCounty(Counter({"referral": 3, "decision": 2}))
    before = a_standing(referral__received=10)
    after = a_standing(referral__received=13, referral__accepted=1, referral__closed=1)
    assert Played(sent, before, after).differences == []
    after = a_standing(referral__received=12, referral__accepted=1, referral__closed=1)
    (difference,) = Played(sent, before, after).differences
    assert difference == "referral: 3 were sent, the system says 2 (referral.received)"


async def test_a_county_that_has_been_played_is_not_played_again(tmp_path: Path) -> None:
    """Time never goes back: a clock that shows a later moment needs fresh data."""
    clock = HeldClock(tmp_path / "clock")
    clock.set(NOON + timedelta(days=1))
    transport = httpx.MockTransport(lambda _: httpx.Response(500))
    async with Site("http://county.test", transport=transport) as site, PartnerBus({}) as bus:
        play = Play(site, bus, clock, Lists(7).people)
        with pytest.raises(PlayError, match="start with fresh data"):
            await play.run([], [NOON])
    assert clock.now() == NOON + timedelta(days=1)
