"""The pages on the real store: everybody sees what is theirs, and what a form does is done once."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from uuid import UUID

import pytest

from schemas import events as e
from services.kernel.deadlines.calendar import LONDON
from services.kernel.web.pages.session import COOKIE
from services.notify.app import build
from services.notify.due_scanner import escalate_once
from services.notify.pages.live import Live
from services.notify.queries import lists as reading
from tests.builders import (
    CASE,
    CHILD,
    DUTY,
    LEAD,
    MANAGER,
    MONDAY,
    OTHER,
    a_child,
    assessment_started,
    deadline_due_soon,
    deadline_overdue,
    lead_professional_assigned,
    referral_received,
)
from tests.flow.conftest import Bench, MakeBench
from tests.flow.notify_alerts import alert_of
from tests.flow.notify_browser import browser, site_of

pytestmark = pytest.mark.connected

ALERT_IDS = re.compile(r'data-alert="([^"]+)"')
OF_ANOTHER = reading.LIST["urgency"].cursors({"inbox": DUTY}).write((1, MONDAY, MONDAY, UUID(int=1)))
KIND = "deadline.overdue:assessment"
TIMELINE = f"/children/{CHILD}/chronology"


@pytest.fixture
async def notify(bench: MakeBench) -> Bench:
    """A case that W-0601 leads, and an assessment of it that is overdue."""
    made = await bench("notify", build)
    await made.deliver(assessment_started(), lead_professional_assigned(at=MONDAY + timedelta(seconds=1)))
    await made.deliver(deadline_overdue())
    return made


async def id_of(bench: Bench, recipient: str = LEAD, kind: str = KIND) -> UUID:
    found: UUID = (await alert_of(bench, recipient, kind)).alert_id
    return found


async def acknowledged(bench: Bench) -> list[tuple[UUID, str]]:
    """Which alerts were marked as seen, and by whom."""
    events = [each for each in await bench.journal() if isinstance(each, e.AlertAcknowledged)]
    return [(each.alert_id, each.acknowledged_by) for each in events]


@pytest.mark.parametrize(
    "path", ["/inbox", f"/inbox/{LEAD}", TIMELINE, "/board", "/board/lt-ely", "/preferences"]
)
async def test_who_has_not_signed_in_is_asked_to(notify: Bench, path: str) -> None:
    """And comes back to where they wanted to go."""
    async with browser(notify) as visitor:
        answer = await visitor.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in?next=%2F")
        signed_in = await visitor.send("/sign-in", seen=answer.headers["location"], person=LEAD, next=path)
    assert signed_in.headers["location"] == path


async def test_nobody_signs_in_where_no_way_is_set_up(notify: Bench) -> None:
    """The pages stay shut: a list of demo users is for a demo."""
    async with browser(notify, app=site_of(notify, sign_in="none")) as visitor:
        assert "Sign-in is not set up here" in await visitor.text("/sign-in")
        answer = await visitor.http.post("/sign-in", data={"person": LEAD})
        assert answer.status_code == 403
        assert (await visitor.get(f"/inbox/{LEAD}")).status_code == 303


async def test_cookie_is_for_our_pages_alone_and_cannot_be_made_up(notify: Bench) -> None:
    """No script reads it, no other site sends it along, and one with another signature is none."""
    app = site_of(notify)
    async with browser(notify, app=app) as visitor:
        cookie = (await visitor.sign_in(LEAD)).headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        value = visitor.http.cookies[COOKIE]
    content, _, signature = value.rpartition(".")
    async with browser(notify, app=app) as forger:
        forger.http.cookies.set(COOKIE, value)
        assert (await forger.get(f"/inbox/{LEAD}")).status_code == 200
    async with browser(notify, app=app) as forger:
        other = ("A" if signature[0] != "A" else "B") + signature[1:]
        forger.http.cookies.set(COOKIE, f"{content}.{other}")
        assert (await forger.get(f"/inbox/{LEAD}")).status_code == 303


async def test_cookie_goes_over_tls_alone_where_the_site_has_it(notify: Bench) -> None:
    """Told by the site's own address."""
    async with browser(notify, app=site_of(notify, site="https://leadline.example")) as visitor:
        assert "Secure" in (await visitor.get("/sign-in")).headers["set-cookie"]


async def test_form_without_the_token_of_its_browser_is_refused(notify: Bench) -> None:
    """Another site cannot send one; nothing is done."""
    alert_id = await id_of(notify)
    async with browser(notify, LEAD) as lead:
        for path in (
            f"/inbox/{LEAD}/alerts/{alert_id}/acknowledge",
            f"/inbox/{LEAD}",
            "/preferences",
            "/sign-out",
        ):
            for fields in ({}, {"token": "guessed", "alert": str(alert_id)}):
                answer = await lead.http.post(path, data=fields)
                assert answer.status_code == 403, path
    assert await acknowledged(notify) == []


async def test_after_signing_out_the_pages_are_shut(notify: Bench) -> None:
    """The cookie is forgotten."""
    async with browser(notify, LEAD) as lead:
        assert (await lead.send("/sign-out")).headers["location"] == "/sign-in"
        assert (await lead.get(f"/inbox/{LEAD}")).status_code == 303


async def test_inbox_page_answers_the_five_questions(notify: Bench) -> None:
    """Who, what, by when, why me, what now; and the case by its id alone."""
    async with browser(notify, LEAD) as lead:
        answer = await lead.get(f"/inbox/{LEAD}?sort=due")
        page = " ".join(unescape(answer.text).split())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    for words in (
        f"Case {str(CASE)[:8]}",
        "Overdue since 7 September 2026: Conclude the assessment.",
        '7 September 2026, 10:00 <strong class="govuk-tag govuk-tag--red"> Overdue </strong>',
        "You are the lead professional of this case.",
        "Act now, or record a reason and a new date.",
        "today 10:00",
    ):
        assert words in page
    cards = page[page.index("data-alert") :]
    assert cards.index("Assessment overdue") < cards.index("Lead professional assigned")


async def test_everybody_sees_their_own_inbox_and_those_they_share(notify: Bench) -> None:
    """A colleague's is not theirs, neither to see nor to act on; the team's shared one is."""
    alert_id = await id_of(notify)
    async with browser(notify, OTHER) as other:
        assert (await other.get(f"/inbox/{OTHER}")).status_code == 200
        assert (await other.get(f"/inbox/{DUTY}")).status_code == 200
        for path in (
            f"/inbox/{LEAD}",
            f"/inbox/{LEAD}/alerts/{alert_id}",
            "/inbox/duty-lt-soham",
            "/board/lt-ely",
        ):
            assert (await other.get(path)).status_code == 403, path
        marked = await other.send(f"/inbox/{LEAD}/alerts/{alert_id}/acknowledge")
        taken = await other.send(f"/inbox/{OTHER}/alerts/{alert_id}/acknowledge")
        many = await other.send(f"/inbox/{OTHER}", do="acknowledge", alert=str(alert_id))
    assert (marked.status_code, taken.status_code, many.status_code) == (403, 404, 404)
    assert await acknowledged(notify) == []


async def test_manager_reads_an_alert_of_the_team_and_leaves_it_to_its_recipient(notify: Bench) -> None:
    """The board leads to it; only whoever was told marks it as seen."""
    alert_id = await id_of(notify)
    async with browser(notify, MANAGER) as manager:
        page = await manager.text(f"/inbox/{LEAD}/alerts/{alert_id}")
        marked = await manager.send(f"/inbox/{LEAD}/alerts/{alert_id}/acknowledge")
    assert "only they mark it as seen" in page
    assert marked.status_code == 403
    assert await acknowledged(notify) == []


async def test_form_marks_an_alert_as_seen_and_goes_back_also_when_sent_twice(notify: Bench) -> None:
    """A double click, a reload and a colleague's earlier acknowledgement are no errors."""
    alert_id = await id_of(notify)
    async with browser(notify, LEAD) as lead:
        for _ in range(2):
            answer = await lead.send(f"/inbox/{LEAD}/alerts/{alert_id}/acknowledge")
            assert answer.status_code == 303
            assert answer.headers["location"] == f"/inbox/{LEAD}?done=1"
        back = await lead.text(answer.headers["location"])
        seen = await lead.text(f"/inbox/{LEAD}?state=acknowledged")
        single = await lead.text(f"/inbox/{LEAD}/alerts/{alert_id}")
    assert "1 alert is marked as seen" in back
    assert f'data-alert="{alert_id}"' not in back
    assert f"Seen today 10:00 by {LEAD}" in seen
    assert f"Seen today 10:00 by {LEAD}" in single
    assert await acknowledged(notify) == [(alert_id, LEAD)]


async def test_list_stays_as_it_was_chosen_after_a_form(notify: Bench) -> None:
    """The filter and the order, whether one is marked, many are, or nothing was selected; nothing else."""
    chosen = "state=open&urgency=soon&sort=newest"
    alert_id = await id_of(notify, kind="lead_professional.assigned")
    async with browser(notify, LEAD) as lead:
        assert f'value="{chosen}"' in unescape(await lead.text(f"/inbox/{LEAD}?urgency=soon&sort=newest"))
        nothing = await lead.send(f"/inbox/{LEAD}", do="acknowledge", chosen=chosen)
        assert f'value="{chosen}"' in unescape(nothing.text)
        one = await lead.send(f"/inbox/{LEAD}/alerts/{alert_id}/acknowledge", chosen=chosen)
        many = await lead.send(f"/inbox/{LEAD}", do="acknowledge", alert=str(alert_id), chosen=chosen)
        for forged in ("state=lost", "next=//elsewhere.example", "sort=newest&sort2=x"):
            answer = await lead.send(f"/inbox/{LEAD}", do="acknowledge", alert=str(alert_id), chosen=forged)
            assert answer.status_code == 403, forged
    assert one.headers["location"] == many.headers["location"]
    assert one.headers["location"] == f"/inbox/{LEAD}?urgency=soon&sort=newest&done=1"


async def test_many_alerts_are_marked_with_one_form(notify: Bench) -> None:
    """The chosen ones and no others; none chosen is told beside the list."""
    chosen = [await id_of(notify), await id_of(notify, kind="lead_professional.assigned")]
    async with browser(notify, LEAD) as lead:
        nothing = await lead.send(f"/inbox/{LEAD}", do="acknowledge")
        answer = await lead.send(f"/inbox/{LEAD}", do="acknowledge", alert=[str(each) for each in chosen])
        left = await lead.text(answer.headers["location"])
    assert nothing.status_code == 422
    assert "Select at least one alert" in nothing.text
    assert "2 alerts are marked as seen" in left
    assert sorted(await acknowledged(notify)) == sorted((each, LEAD) for each in chosen)
    assert "Assessment started" in left


async def test_alert_is_put_off_and_comes_back(notify: Bench) -> None:
    """Not for longer than its urgency allows; meanwhile it is in a list of its own."""
    alert_id = await id_of(notify)
    here = f'data-alert="{alert_id}"'
    async with browser(notify, LEAD) as lead:
        refused = await lead.send(f"/inbox/{LEAD}", do="put-off", alert=str(alert_id), **{"for": "72"})
        assert refused.status_code == 422
        assert "Choose a reminder within 4 hours" in refused.text
        answer = await lead.send(f"/inbox/{LEAD}/alerts/{alert_id}/put-off", **{"for": "4"})
        assert answer.headers["location"] == f"/inbox/{LEAD}?put_off=1"
        assert here not in await lead.text(f"/inbox/{LEAD}")
        assert here in await lead.text(f"/inbox/{LEAD}?state=put_off")
        notify.clock.move(timedelta(hours=4))
        assert here in await lead.text(f"/inbox/{LEAD}")


async def test_list_is_filtered_by_kind_and_urgency(notify: Bench) -> None:
    """What the form offers is what the inbox holds."""
    async with browser(notify, LEAD) as lead:
        assert "Assessment overdue</option>" in await lead.text(f"/inbox/{LEAD}")
        urgent = await lead.text(f"/inbox/{LEAD}?urgency=urgent&kind=")
        about = await lead.text(f"/inbox/{LEAD}?kind=assessment.started&urgency=")
        nothing = await lead.text(f"/inbox/{LEAD}?kind=case.closed")
    assert urgent.count("data-alert=") == 1
    assert about.count("data-alert=") == 1
    assert "No alert is like that" in nothing


async def test_everything_in_a_long_inbox_is_seen_page_by_page(notify: Bench) -> None:
    """What is marked as seen leaves the list, and hides nothing of the pages that follow."""
    await notify.deliver(
        *[referral_received(a_child(100 + number)) for number in range(1, 45)]
    )  # and one is there
    seen: list[str] = []
    async with browser(notify, DUTY) as duty:
        async for page in duty.pages(f"/inbox/{DUTY}"):
            shown = ALERT_IDS.findall(page)
            assert 0 < len(shown) <= 20
            seen += shown
            await duty.send(f"/inbox/{DUTY}", do="acknowledge", alert=shown)
        rest = await duty.text(f"/inbox/{DUTY}")
    assert len(seen) == len(set(seen)) == 45
    assert "You have no alerts." in rest


async def test_pages_of_a_long_inbox_lead_on_and_back(notify: Bench) -> None:
    """Twenty at a time; each says which rows it shows, and the way back shows the same pages."""
    await notify.deliver(
        *[referral_received(a_child(100 + number)) for number in range(1, 45)]
    )  # and one is there
    async with browser(notify, DUTY) as duty:
        there = [page async for page in duty.pages(f"/inbox/{DUTY}?sort=newest")]
        last = re.findall(r'href="([^"]+)" rel="next"', there[1])[0]
        back = [page async for page in duty.pages(last, way="prev")]
    assert [len(ALERT_IDS.findall(page)) for page in there] == [20, 20, 5]
    assert [ALERT_IDS.findall(page) for page in back[::-1]] == [ALERT_IDS.findall(page) for page in there]
    for page, rows in zip(there, ("1 to 20", "21 to 40", "41 to 45"), strict=True):
        assert f"{rows} of 45" in page
    first = f'href="/inbox/{DUTY}?state=open&sort=newest">First page</a>'
    assert [first in page for page in there] == [False, True, True]


async def test_page_whose_rows_have_gone_leads_to_the_first(notify: Bench) -> None:
    """Somebody else has dealt with what was on it."""
    await notify.deliver(*[referral_received(a_child(100 + number)) for number in range(1, 25)])
    async with browser(notify, DUTY) as duty:
        first = await duty.text(f"/inbox/{DUTY}")
        link = re.findall(r'href="([^"]+)" rel="next"', first)[0]
        await duty.send(f"/inbox/{DUTY}", do="acknowledge", alert=ALERT_IDS.findall(await duty.text(link)))
        gone = await duty.text(link)
    assert "Nothing more is in this list." in gone
    assert ALERT_IDS.findall(gone) == []


async def test_board_and_timeline_have_pages_that_hold_every_row_once(notify: Bench) -> None:
    """Whatever they are in order of."""
    await notify.deliver(*[referral_received(a_child(100 + number)) for number in range(1, 46)])
    await notify.deliver(
        *[deadline_overdue(number=number, kind=f"kind_{number}") for number in range(100, 160)]
    )
    async with browser(notify, MANAGER) as manager:
        board = [page async for page in manager.pages("/board/lt-ely")]
        timeline = [page async for page in manager.pages(TIMELINE)]
    links = [link for page in board for link in re.findall(r'/alerts/([0-9a-f-]{36})"', page)]
    (open_ones,) = await notify.rows(
        "SELECT count(*) FROM alerts WHERE status = 'open' AND settled_at IS NULL AND role <> 'referrer'"
    )
    assert len(links) == len(set(links)) == open_ones[0] > 100
    (events,) = await notify.rows("SELECT count(*) FROM chronology WHERE child_id = :child", child=CHILD)
    assert sum(page.count('class="app-quiet"') for page in timeline) == events[0] > 100
    assert f"51 to 100 of {events[0]} events" in timeline[1]


async def test_agency_sees_what_it_was_told_and_nothing_about_the_case(notify: Bench) -> None:
    """Its own inbox, also where its id holds a slash; no timeline, no event, no board, no preferences."""
    await notify.deliver(referral_received(a_child(107), agency_id="school/7"))
    alert_id = await id_of(notify, "school/7", "referral.received")
    async with browser(notify, "school/7") as school:
        page = await school.text("/inbox")
        single = await school.text(f"/inbox/school%2F7/alerts/{alert_id}")
        for path in (f"/children/{UUID(int=107)}/chronology", "/board", "/preferences", f"/inbox/{LEAD}"):
            assert (await school.get(path)).status_code == 403, path
    assert "Your referral has arrived." in page
    assert "The event" not in single
    assert "Timeline" not in single


async def test_alert_page_tells_the_event_the_rule_and_the_history_of_the_deadline(notify: Bench) -> None:
    """Why I got it, from the bus and the pack."""
    alert_id = await id_of(notify)
    async with browser(notify, LEAD) as lead:
        page = await lead.text(f"/inbox/{LEAD}/alerts/{alert_id}")
    for words in (
        "Any deadline overdue",
        "History of the deadline",
        "Assessment overdue, today 10:00",
        "45 working days",
    ):
        assert words in page


async def test_timeline_is_for_those_around_the_child(notify: Bench) -> None:
    """The lead and the manager; not a colleague of another team who was never told anything."""
    for person, status in ((LEAD, 200), (MANAGER, 200), ("W-0001", 200), ("W-0701", 403), ("W-0700", 403)):
        async with browser(notify, person) as visitor:
            assert (await visitor.get(TIMELINE)).status_code == status, person


async def test_timeline_shows_what_was_heard_and_can_be_narrowed(notify: Bench) -> None:
    """In order of time; by kind of event and by day; a wrong day is told beside its field."""
    async with browser(notify, LEAD) as lead:
        page = await lead.text(TIMELINE)
        deadlines = await lead.text(f"{TIMELINE}?kind=deadline")
        before = await lead.text(f"{TIMELINE}?until=2026-09-06")
        entered = await lead.text(f"{TIMELINE}?until-day=6&until-month=9&until-year=2026")
        paper = await lead.text(f"{TIMELINE}?paper=true")
        wrong = await lead.get(f"{TIMELINE}?since=soon")
    assert page.index("Assessment started") < page.index("Lead professional assigned")
    assert page.index("<strong>Assessment started") < page.index("<strong>Alert raised")
    assert "Assessment overdue" in deadlines
    assert "Assessment started" not in deadlines
    assert "No event is like that." in before
    assert "No event is like that." in entered
    assert "data-prints" in paper
    assert wrong.status_code == 422
    assert "Enter the first day, for example 7 9 2026" in wrong.text


async def test_board_shows_who_has_what_and_what_has_escalated(notify: Bench) -> None:
    """Before anything escalates there is nothing; a working day later the manager sees it."""
    async with browser(notify, MANAGER) as manager:
        first = await manager.text("/board")
        nothing = await manager.text("/board/lt-ely?which=escalated")
        notify.clock.move(datetime(2026, 9, 8, 10, 1, tzinfo=LONDON).astimezone(UTC))
        while await escalate_once(notify.service, notify.engine, notify.clock):
            pass
        escalated = await manager.text("/board/lt-ely?which=escalated")
        overdue_ones = await manager.text("/board/lt-ely?which=overdue")
    assert f"{LEAD} (family worker)" in first
    assert "Alerts per person and week" in first
    assert "Nothing was escalated" in nothing
    assert "Nobody marked it as seen in time" in escalated
    assert "Assessment overdue" in overdue_ones


async def test_county_manager_chooses_a_board(notify: Bench) -> None:
    """One of every team, with its figures."""
    async with browser(notify, "W-0001") as manager:
        page = await manager.text("/board")
        assert (await manager.get("/board/lt-soham")).status_code == 200
        assert (await manager.get("/board/lt-nowhere")).status_code == 403
    assert 'href="/board/lt-ely"' in page


async def test_preferences_are_kept_and_what_is_urgent_stays_locked(notify: Bench) -> None:
    """A choice, quiet hours, and no field at all for what can be urgent; forging one changes nothing."""
    async with browser(notify, LEAD) as lead:
        page = await lead.text("/preferences")
        assert 'name="email-assessment-completed"' in page
        assert 'name="email-exit_interview-overdue"' not in page
        kept = await lead.send(
            "/preferences", seen="/preferences", **{"email-assessment-completed": "digest"}
        )
        assert kept.headers["location"] == "/preferences?saved=true"
        forged = await lead.send(
            "/preferences", seen="/preferences", **{"email-exit_interview-overdue": "off"}
        )
        assert forged.status_code == 422
        assert "urgent alerts always come at once" in forged.text
        hours = {"quiet_from": "20:00", "quiet_until": "06:30", "digest": "daily", "digest_at": "07:00"}
        await lead.send("/preferences/hours", seen="/preferences", **hours)
        after = await lead.text("/preferences")
    rows = await notify.rows("SELECT worker_id, kind, channel, choice FROM preferences")
    assert [tuple(row) for row in rows] == [(LEAD, "assessment.completed", "email", "digest")]
    assert 'value="20:00"' in after
    assert "You have chosen these." in after


async def test_a_time_that_is_none_is_told_beside_its_field(notify: Bench) -> None:
    """With what was entered still there."""
    async with browser(notify, LEAD) as lead:
        hours = {"quiet_from": "late", "quiet_until": "06:30", "digest": "sometimes", "digest_at": "07:00"}
        answer = await lead.send("/preferences/hours", seen="/preferences", **hours)
    assert answer.status_code == 422
    assert 'href="#quiet_from"' in answer.text
    assert 'href="#digest"' in answer.text
    assert 'value="late"' in answer.text
    assert await notify.rows("SELECT 1 FROM quiet_hours") == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/inbox/W-0601/alerts/no-id", 404),
        (f"/inbox/W-0601/alerts/{UUID(int=404)}", 404),
        ("/children/nobody/chronology", 404),
        ("/inbox/W-0601?state=lost", 404),
        ("/inbox/W-0601?after=x", 404),
        ("/inbox/W-0601?before=" + "x" * 600, 404),
        (f"/inbox/W-0601?after={OF_ANOTHER}", 404),
        (f"/inbox/W-0601?after={OF_ANOTHER}&before={OF_ANOTHER}", 404),
        (f"{TIMELINE}?after={OF_ANOTHER}", 404),
    ],
)
async def test_what_is_not_there_is_answered_with_a_page(notify: Bench, path: str, status: int) -> None:
    """A person at a browser gets words, not a problem document."""
    async with browser(notify, LEAD) as lead:
        answer = await lead.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert "Page not found" in answer.text


async def test_own_files_are_served_and_no_others(notify: Bench) -> None:
    """Style and scripts; a path that leads elsewhere leads nowhere."""
    async with browser(notify) as visitor:
        style = await visitor.get("/assets/leadline.css")
        for path in ("/assets/../web.py", "/assets/%2e%2e/web.py", "/assets/package.json", "/assets/"):
            assert (await visitor.get(path)).status_code == 404, path
    assert style.headers["content-type"].startswith("text/css")


async def test_open_page_hears_of_a_new_alert_and_of_one_that_is_seen(notify: Bench) -> None:
    """Woken by the commit, long before the next look would come."""
    live = Live(notify.engine, notify.clock)
    alert_id = await id_of(notify)
    async with asyncio.timeout(10), live.watch(LEAD) as page:
        first = await page.news()
        await notify.deliver(deadline_due_soon())
        raised = await page.news()
        async with browser(notify, LEAD) as lead:
            await lead.send(f"/inbox/{LEAD}/alerts/{alert_id}/acknowledge")
        seen = await page.news()
        assert len({first, raised, seen}) == 3
        assert None not in {first, raised, seen}
        async with browser(notify, LEAD) as lead:
            assert f'data-standing="{seen}"' in await lead.text(f"/inbox/{LEAD}")


async def test_stream_is_for_those_whose_inbox_it_is(notify: Bench) -> None:
    """Like the page."""
    async with browser(notify, OTHER) as other:
        assert (await other.get(f"/inbox/live?inbox={LEAD}")).status_code == 403
    async with browser(notify) as nobody:
        assert (await nobody.get(f"/inbox/live?inbox={LEAD}")).status_code == 403
