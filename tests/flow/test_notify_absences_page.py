"""The page of absences, on the real store: who may declare whose, and what follows."""

from datetime import timedelta

import pytest

from schemas import events as e
from services.notify.app import build
from services.notify.due_scanner import begin_absence
from tests.builders import (
    LEAD,
    MANAGER,
    OTHER,
    assessment_started,
    deadline_overdue,
    lead_professional_assigned,
)
from tests.flow.conftest import Bench, MakeBench
from tests.flow.notify_alerts import alert_of
from tests.flow.notify_browser import FORM_KEY, TOKEN, browser

pytestmark = pytest.mark.connected

PAGE = "/absences"


def days(**entered: str) -> dict[str, str]:
    """Return dates as the form's three fields send them, from words like `8 9 2026`."""
    return {
        f"{name}-{part}": text
        for name, words in entered.items()
        for part, text in zip(("day", "month", "year"), words.split() or ("", "", ""), strict=True)
    }


WEEK = days(first="8 9 2026", last="11 September 2026") | {"away": "until"}
KIND = "deadline.overdue:assessment"


@pytest.fixture
async def notify(bench: MakeBench) -> Bench:
    """The service with a case that W-0601 leads, and one urgent alert about it."""
    made = await bench("notify", build)
    await made.deliver(assessment_started(), lead_professional_assigned())
    await made.deliver(deadline_overdue())
    return made


async def delegations(notify: Bench) -> list[tuple[str, str | None, str | None]]:
    rows = await notify.rows(
        "SELECT worker_id, to_id, CAST(ends_at AT TIME ZONE 'Europe/London' AS text) AS until"
        " FROM delegations ORDER BY starts_at, worker_id"
    )
    return [(row.worker_id, row.to_id, row.until) for row in rows]


async def test_somebody_says_when_they_are_away_and_who_stands_in(notify: Bench) -> None:
    """Whole days, the last one included; when it begins what is open moves to whoever stands in."""
    async with browser(notify, LEAD) as lead:
        assert "You are not away" in await lead.text(PAGE)
        answer = await lead.send(PAGE, seen=PAGE, worker=LEAD, to=OTHER, **WEEK)
        assert answer.status_code == 303
        page = await lead.text(answer.headers["location"])
        assert "Absence saved" in page
        assert "8 September 2026" in page
        assert "11 September 2026" in page
        assert "Take back" in page
    assert await delegations(notify) == [(LEAD, OTHER, "2026-09-12 00:00:00")]
    notify.clock.move(timedelta(days=1))
    assert await begin_absence(notify.service, notify.engine, notify.clock)
    assert (await alert_of(notify, OTHER, KIND)).role == "lead_professional"
    async with browser(notify, LEAD) as lead:
        assert "Is back" in await lead.text(PAGE)


async def test_absence_is_taken_back_and_a_form_that_is_sent_twice_is_done_once(notify: Bench) -> None:
    """What never began moves nothing, and stands on no page."""
    async with browser(notify, LEAD) as lead:
        page = await lead.text(PAGE)
        form = {"token": TOKEN.findall(page)[-1], "form_key": FORM_KEY.findall(page)[-1]}
        for _ in range(2):
            filled = form | WEEK | {"worker": LEAD, "to": "duty-inbox"}
            assert (await lead.http.post(PAGE, data=filled)).status_code == 303
        ((worker, to, _until),) = await delegations(notify)
        assert (worker, to) == (LEAD, None)
        ((delegation_id,),) = await notify.rows("SELECT delegation_id FROM delegations")
        answer = await lead.send(f"{PAGE}/end", seen=PAGE, worker=LEAD, absence=delegation_id)
        assert answer.status_code == 303
        assert "You are not away" in await lead.text(PAGE)
    notify.clock.move(timedelta(days=2))
    assert not await begin_absence(notify.service, notify.engine, notify.clock)
    reasons = {each.reason for each in await notify.journal() if isinstance(each, e.AlertReassigned)}
    assert "out_of_office" not in reasons


async def test_manager_speaks_for_the_team_also_of_who_has_left(notify: Bench) -> None:
    """Without a last day it is for good; of other teams a manager says nothing."""
    async with browser(notify, MANAGER) as manager:
        left = days(first="7 9 2026", last="") | {"away": "left", "to": "duty-inbox"}
        assert (await manager.send(PAGE, seen=PAGE, worker=LEAD, **left)).status_code == 303
        assert "For good" in await manager.text(PAGE)
        assert (await manager.send(PAGE, seen=PAGE, worker="W-0701", **left)).status_code == 403
    assert await delegations(notify) == [(LEAD, None, None)]
    async with browser(notify, OTHER) as colleague:
        assert (await colleague.send(PAGE, seen=PAGE, worker=LEAD, **left)).status_code == 403


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"first-day": "soon"}, "Enter the first day away"),
        (days(last=""), "Enter the last day away"),
        (days(last="7 9 2026", first="9 9 2026"), "must be the first day or later"),
        (days(first="1 9 2026", last="2 9 2026"), "must be today or later"),
        ({"to": ""}, "Choose who stands in"),
        ({"to": LEAD}, "Choose somebody else to stand in"),
    ],
)
async def test_mistakes_are_told_beside_their_field_and_what_was_entered_stays(
    notify: Bench, changes: dict[str, str], words: str
) -> None:
    """Nothing is kept."""
    async with browser(notify, LEAD) as lead:
        answer = await lead.send(PAGE, seen=PAGE, worker=LEAD, **({"to": OTHER} | WEEK | changes))
        assert answer.status_code == 422
        assert words in answer.text
        assert "There is a problem" in answer.text
    assert await delegations(notify) == []


async def test_shared_inboxes_and_agencies_are_never_away(notify: Bench) -> None:
    """They are no people."""
    async with browser(notify, "duty-lt-ely") as shared:
        assert (await shared.get(PAGE)).status_code == 403
