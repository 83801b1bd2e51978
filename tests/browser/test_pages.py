"""What a worker, a colleague and a manager do with the pages, in a real browser on the whole system."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from services.kernel.base.clock import SystemClock
from services.kernel.base.settings import Settings
from services.kernel.web.pages.shell import Shell
from services.notify.pages.inbox import PER_PAGE
from services.notify.queries import lists as reading
from tests.browser.county import County, eventually
from tests.browser.windows import SCREENS, window

pytestmark = [pytest.mark.browser, pytest.mark.connected]

DUTY = "duty-lt-ely"
CHOSEN = {"inbox": DUTY, "state": "open", "kind": None, "urgency": None, "sort": "urgency"}
BEHIND_THE_LAST = (
    reading.LIST["urgency"]
    .cursors(CHOSEN)
    .write((3, datetime(9999, 12, 31, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC), UUID(int=0)))
)
"""Where an alert without a date would be that was raised before all others."""
NEWEST = f"/inbox/{DUTY}?sort=newest"
WORKER, COLLEAGUE, MANAGER, COUNTY_MANAGER = "W-0602", "W-0603", "W-0600", "W-0001"
SOON = 15_000
"""Milliseconds within which an open page must have followed; it takes well under a second by itself."""

OVERDUE = "deadline.overdue:assessment"
DUE_SOON = "deadline.due_soon:assessment"
TOLD = "lead_professional.assigned"


def test_signing_in_leads_to_the_page_that_was_asked_for(chromium: Browser, county: County) -> None:
    """A link in an email is followed by somebody who has not signed in today."""
    with window(chromium, county) as visitor:
        visitor.open("/preferences")
        expect(visitor.page.get_by_role("heading", name="Sign in", level=1)).to_be_visible()
        visitor.choose(WORKER)
        expect(visitor.page.get_by_role("heading", name="Preferences", level=1)).to_be_visible()


def test_alert_arrives_live_and_is_gone_in_a_second_window_when_it_is_acknowledged(
    chromium: Browser, county: County
) -> None:
    """Nobody reloads: a referral comes in, both windows show it, one marks it as seen, the other loses it.

    The page is full: what the new alert moves to the next page is not told as done.
    """
    for _ in range(PER_PAGE):
        waits = county.refer()
    with window(chromium, county, WORKER) as one, window(chromium, county, COLLEAGUE) as two:
        for each in (one, two):
            each.open(NEWEST)
            each.reload_until(str(waits)[:8])
            expect(each.page.locator("[data-alert]")).to_have_count(PER_PAGE)
            each.mark()
        referral = county.refer()
        for each in (one, two):
            expect(each.card(referral)).to_be_visible(timeout=SOON)
            assert each.is_same_document()
        expect(two.page.locator("#news")).to_have_text("1 new alert", timeout=SOON)
        two.card(referral).get_by_role("button", name="Mark as seen").focus()
        one.card(referral).get_by_role("button", name="Mark as seen").click()
        expect(one.page.get_by_text("1 alert is marked as seen")).to_be_visible()
        expect(two.card(referral)).to_have_count(0, timeout=SOON)
        assert two.is_same_document()
        expect(two.page.locator("#news")).to_have_text("1 no longer to do", timeout=SOON)
        expect(two.page.locator("#alerts")).to_be_focused()  # and not the top of the page


def test_a_choice_survives_that_the_list_changes_under_it(chromium: Browser, county: County) -> None:
    """Whoever has selected alerts keeps the ticks, the time and the place when another alert comes in."""
    with window(chromium, county, WORKER) as one:
        one.open(NEWEST)
        first = county.refer()
        box = one.card(first).get_by_role("checkbox")
        expect(box).to_be_attached(timeout=SOON)
        one.page.get_by_label("When to remind me about selected alerts").select_option("in 3 days")
        box.check()
        box.focus()
        second = county.refer()
        expect(one.card(second)).to_be_visible(timeout=SOON)
        expect(one.card(first).get_by_role("checkbox")).to_be_checked()
        expect(one.card(first).get_by_role("checkbox")).to_be_focused()
        expect(one.page.get_by_label("When to remind me about selected alerts")).to_have_value("72")
        one.card(second).get_by_role("checkbox").check()
        one.page.get_by_role("button", name="Mark selected as seen").click()
        expect(one.page.get_by_text("2 alerts are marked as seen")).to_be_visible()


def test_everything_works_without_javascript(chromium: Browser, county: County) -> None:
    """A reload shows what is new; links and forms do the rest: seen, put off, filtered, and the timeline."""
    with window(chromium, county, WORKER, scripts=False) as one:
        seen, waits = county.refer(), county.refer()
        one.open(NEWEST)
        for each in (seen, waits):
            one.reload_until(str(each)[:8])
        one.card(seen).get_by_role("checkbox").check()
        one.page.get_by_role("button", name="Mark selected as seen").click()
        expect(one.page.get_by_text("1 alert is marked as seen")).to_be_visible()
        expect(one.card(seen)).to_have_count(0)
        expect(one.page.get_by_label("In order of")).to_have_value("newest")  # as before

        one.card(waits).get_by_role("link", name="Referral received").click()
        one.page.get_by_label("When to remind me").select_option("in 4 hours")
        one.page.get_by_role("button", name="Remind me later").click()
        expect(one.page.get_by_text("You will be reminded about 1 alert")).to_be_visible()
        expect(one.card(waits)).to_have_count(0)
        one.page.get_by_role("link", name="Reminders").click()
        expect(one.card(waits)).to_be_visible()

        one.page.get_by_text("Filter or sort").click()
        one.page.get_by_label("Urgency").select_option("Routine")
        one.page.get_by_role("button", name="Show these").click()
        expect(one.page.get_by_text("No alert is like that.")).to_be_visible()
        one.page.get_by_role("link", name="Show all that is to do").click()
        one.page.get_by_role("link", name="Seen", exact=True).click()
        one.card(seen).get_by_role("link", name="timeline").click()
        expect(one.page.get_by_role("heading", name="Timeline", level=1)).to_be_visible()
        expect(one.page.get_by_text("Referral received").first).to_be_visible()


def test_keyboard_alone_is_enough(chromium: Browser, county: County) -> None:
    """Past the navigation, into the filter, a tick by the space bar, a button by the return key."""
    referral = county.refer()
    with window(chromium, county, WORKER) as one:
        one.open(NEWEST)
        expect(one.card(referral)).to_be_visible(timeout=SOON)
        one.page.keyboard.press("Tab")
        expect(one.page.get_by_role("link", name="Skip to main content")).to_be_focused()
        one.page.keyboard.press("Enter")
        assert one.page.url.endswith("#main-content")
        filters = one.page.locator("summary")
        one.tab_to(filters)
        one.page.keyboard.press("Enter")
        expect(one.page.get_by_label("Urgency")).to_be_visible()
        one.tab_to(one.card(referral).get_by_role("checkbox"))
        one.page.keyboard.press("Space")
        expect(one.card(referral).get_by_role("checkbox")).to_be_checked()
        one.tab_to(one.card(referral).get_by_role("button", name="Mark as seen"))
        one.page.keyboard.press("Enter")
        expect(one.page.get_by_text("1 alert is marked as seen")).to_be_visible()


def test_navigation_of_a_telephone_opens_and_leads_on(chromium: Browser, county: County) -> None:
    """On a narrow screen the pages are behind a button."""
    with window(chromium, county, MANAGER) as manager:
        manager.page.set_viewport_size({"width": 320, "height": 640})
        manager.open(f"/inbox/{MANAGER}")
        board = manager.page.get_by_role("link", name="Team board")
        expect(board).to_be_hidden()
        manager.page.get_by_role("button", name="Menu").click()
        manager.page.screenshot(path=SCREENS / "menu-telephone.png")
        board.click()
        expect(manager.page.get_by_role("heading", name="Ely Locality Team", level=1)).to_be_visible()


def test_preferences_hold_a_digest_back_until_its_hour(chromium: Browser, county: County) -> None:
    """Chosen on the page: the email of a deadline that comes near waits, and comes at the digest's time."""
    case = county.open_case()
    with window(chromium, county, case.lead) as lead:
        lead.open("/preferences")
        expect(lead.page.get_by_text("so they always come at once")).to_be_visible()
        lead.page.get_by_label("Any deadline due soon: Email").select_option("In the digest")
        lead.page.get_by_role("button", name="Save").click()
        expect(lead.page.get_by_text("Your preferences are kept")).to_be_visible()
        lead.inspect("preferences-kept")
        lead.page.get_by_label("Quiet hours begin").fill("20:00")
        lead.page.get_by_role("button", name="Keep quiet hours and digest").click()
        expect(lead.page.get_by_text("You have chosen these.")).to_be_visible()
        expect(lead.page.get_by_label("Quiet hours begin")).to_have_value("20:00")

        county.move_to(case.due_at - timedelta(days=7) + timedelta(hours=1))
        eventually(lambda: bool(county.alerts_of(case.lead, DUE_SOON, case)), "the deadline comes near")
        (alert,) = county.alerts_of(case.lead, DUE_SOON, case)
        lead.open(f"/inbox/{case.lead}/alerts/{alert['alert_id']}")
        expect(lead.page.get_by_role("cell", name="Held until", exact=True)).to_be_visible()
        lead.inspect("alert-held-for-digest")
        assert not [each for each in county.letters_to(case.lead) if alert["alert_id"] in each.get_content()]

        county.move(timedelta(days=4))
        eventually(
            lambda: any(alert["alert_id"] in each.get_content() for each in county.letters_to(case.lead)),
            "the digest arrives",
        )

        def is_sent() -> bool:
            lead.page.reload(wait_until="load")
            return lead.page.get_by_role("cell", name="Sent", exact=True).count() == 1

        eventually(is_sent, "the page says that the email was sent")


def test_overdue_alert_that_nobody_sees_is_escalated_on_the_managers_board(
    chromium: Browser, county: County
) -> None:
    """Overdue first; some working hours later escalated; acknowledged by the lead, it leaves the board."""
    case = county.open_case()
    with window(chromium, county, MANAGER) as manager, window(chromium, county, case.lead) as lead:
        county.move_to(case.due_at + timedelta(hours=1))
        eventually(lambda: bool(county.alerts_of(case.lead, OVERDUE, case)), "the assessment is overdue")
        (alert,) = county.alerts_of(case.lead, OVERDUE, case)
        link = f'a[href$="/alerts/{alert["alert_id"]}"]'
        assert manager.leaf_through("/board/lt-ely?which=overdue", link)
        assert not manager.leaf_through("/board/lt-ely?which=escalated", link)

        county.move(timedelta(days=4))
        eventually(
            lambda: county.alerts_of(case.lead, OVERDUE, case)[0]["escalation_step"] > 0,
            "the alert is escalated",
        )
        assert manager.leaf_through("/board/lt-ely?which=escalated", link)
        manager.inspect("board-escalated")
        manager.print("board")
        manager.page.locator(link).click()
        expect(manager.page.get_by_text("only they mark it as seen")).to_be_visible()
        expect(
            manager.page.get_by_text(f"{case.lead} is the lead professional of this case.")
        ).to_be_visible()
        expect(manager.page.get_by_text("History of the deadline")).to_be_visible()
        manager.inspect("alert-of-the-team")

        lead.open(f"/inbox/{case.lead}/alerts/{alert['alert_id']}")
        expect(lead.page.get_by_text("You are the lead professional of this case.")).to_be_visible()
        lead.inspect("alert")
        lead.print("alert")
        lead.page.get_by_role("button", name="Mark as seen").click()
        expect(lead.page.get_by_text("1 alert is marked as seen")).to_be_visible()
        lead.inspect("inbox-marked")
        assert not manager.leaf_through("/board/lt-ely?which=escalated", link)


def test_what_nobody_saw_reaches_the_manager_with_who_was_told_before(
    chromium: Browser, county: County
) -> None:
    """The manager's own alert answers the five questions as well, and leads to the first one."""
    case = county.open_case()
    eventually(lambda: bool(county.alerts_of(case.lead, TOLD, case)), "the lead is told")
    county.move(timedelta(days=4))  # two working days and a weekend
    eventually(lambda: county.alerts_of(case.lead, TOLD, case)[0]["escalation_step"] == 1, "a reminder")
    county.move(timedelta(days=5))
    eventually(lambda: bool(county.alerts_of(MANAGER, TOLD, case)), "the manager is told")
    (alert,) = county.alerts_of(MANAGER, TOLD, case)
    with window(chromium, county, MANAGER) as manager:
        manager.open(f"/inbox/{MANAGER}/alerts/{alert['alert_id']}")
        for words in (
            f"Case {case.reference}",
            "A new case has its lead professional.",
            "No date",
            "You are the manager of the team that answers for this case.",
            "find out who acts",
        ):
            expect(manager.page.locator(".govuk-summary-list").first).to_contain_text(words)
        manager.inspect("alert-escalated")
        manager.page.get_by_role("link", name="open their alert").click()
        expect(manager.page.get_by_text(f"This is in the inbox of {case.lead}")).to_be_visible()


def test_axe_finds_nothing_on_any_page(chromium: Browser, county: County) -> None:
    """Wide and on a telephone; every page leaves a picture in var/screens."""
    case = county.open_case()
    for _ in range(PER_PAGE + 1):
        county.refer()
    with window(chromium, county) as visitor:
        visitor.open("/sign-in")
        visitor.inspect("sign-in")
        visitor.open("/sign-in?next=/board")
        visitor.page.context.clear_cookies()
        visitor.page.locator(f'button[value="{MANAGER}"]').click()
        expect(visitor.page.get_by_text("Your sign-in has timed out")).to_be_visible()
        visitor.inspect("sign-in-error")
    pages = {
        "inbox-empty": f"/inbox/{case.lead}?state=put_off",
        "inbox-nothing-like-that": f"/inbox/{case.lead}?kind=case.closed",
        "inbox": f"/inbox/{case.lead}",
        "inbox-filtered": f"/inbox/{case.lead}?urgency=soon&sort=due",
        "inbox-shared": f"/inbox/{DUTY}",
        "inbox-done": f"/inbox/{DUTY}?state=settled",
        "inbox-seen": f"/inbox/{DUTY}?state=acknowledged",
        "inbox-behind-the-last-row": f"/inbox/{DUTY}?after={BEHIND_THE_LAST}",
        "timeline": f"/children/{case.child_id}/chronology",
        "timeline-filtered": f"/children/{case.child_id}/chronology?kind=deadline&since=2026-09-01",
        "timeline-nothing-like-that": f"/children/{case.child_id}/chronology?until=2026-09-01",
        "timeline-to-print": f"/children/{case.child_id}/chronology?paper=true",
        "timeline-error": f"/children/{case.child_id}/chronology?since=x",
        "preferences": "/preferences",
        "absences-none": "/absences",
        "forbidden": "/board",
        "missing": "/children/nobody/chronology",
    }
    with window(chromium, county, case.lead) as lead:
        eventually(lambda: bool(county.alerts_of(case.lead, TOLD, case)), "the lead is told")
        for name, path in pages.items():
            lead.open(path)
            lead.inspect(name)
        lead.open(f"/inbox/{DUTY}?state=all")
        lead.page.get_by_role("link", name="Next page").click()
        expect(lead.page.get_by_role("link", name="First page")).to_be_visible()
        lead.inspect("inbox-second-page")
        lead.open(f"/inbox/{case.lead}")
        lead.print("inbox")
        lead.page.get_by_role("button", name="Mark selected as seen").click()
        expect(lead.page.get_by_role("link", name="Select at least one alert")).to_be_visible()
        lead.inspect("inbox-error")
        lead.open("/preferences")
        lead.page.get_by_label("The digest comes at").fill("")
        lead.page.get_by_role("button", name="Keep quiet hours and digest").click()
        expect(lead.page.get_by_text("enter a time of day").first).to_be_visible()
        lead.inspect("preferences-error")
    with window(chromium, county, "school-1") as school:
        school.open("/inbox")
        school.inspect("inbox-agency")
        school.open(f"/inbox/school-1?kind={TOLD}")
        school.page.get_by_role("link", name="Lead professional assigned").first.click()
        school.inspect("alert-agency")
    with window(chromium, county, MANAGER) as manager:
        manager.open("/board/lt-ely")
        manager.inspect("board")
    with window(chromium, county, COUNTY_MANAGER) as manager:
        manager.open("/board")
        manager.inspect("boards")
        manager.open("/board/lt-soham")
        manager.inspect("board-empty")


def enter(page: Page, legend: str, day: date) -> None:
    """Enter a date in its three fields."""
    fields = page.get_by_role("group", name=legend)
    for label, number in (("Day", day.day), ("Month", day.month), ("Year", day.year)):
        fields.get_by_label(label).fill(str(number))


def test_manager_says_who_stands_in_for_somebody_and_takes_it_back(chromium: Browser, county: County) -> None:
    """What is left out is told beside its field; what was kept is in the list until it is taken back."""
    with window(chromium, county, MANAGER) as manager:
        manager.open("/absences")
        manager.page.get_by_role("button", name="Save").click()
        expect(manager.page.get_by_text("There is a problem")).to_be_visible()
        manager.inspect("absences-error")
        day = county.clock.now().date() + timedelta(days=30)
        manager.page.get_by_label("Who", exact=True).select_option(COLLEAGUE)
        enter(manager.page, "First day away", day)
        manager.page.get_by_label("Until a last day").check()
        enter(manager.page, "Last day away", day)
        manager.page.get_by_label("Who stands in").select_option(WORKER)
        manager.page.get_by_role("button", name="Save").click()
        expect(manager.page.get_by_text("Absence saved")).to_be_visible()
        manager.inspect("absences")
        manager.page.get_by_role("button", name="Take back").click()
        expect(manager.page.get_by_text("Nobody of your teams is away")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "template", "status"),
    [("away", "away.html", 503), ("failed", "failed.html", 500), ("refused", "refused.html", 409)],
)
def test_axe_finds_nothing_on_pages_that_say_what_is_wrong(
    chromium: Browser, county: County, name: str, template: str, status: int
) -> None:
    """As they are rendered when the store is away, when we have made a mistake, when rules refuse a form."""
    shell = Shell(Settings(), SystemClock())
    page = shell.page(None, template, status=status, sentence="Choose a reminder within 4 hours.")

    def answer(route: Route) -> None:
        route.fulfill(status=status, body=bytes(page.body), headers=dict(page.headers))

    with window(chromium, county) as visitor:
        visitor.page.route("**/in-trouble", answer)
        visitor.open("/in-trouble")
        visitor.inspect(name)


def test_timeline_prints_its_events_and_nothing_else(chromium: Browser, county: County) -> None:
    """On paper there is no navigation, no form and no button; the events and who printed them are there."""
    case = county.open_case()
    with window(chromium, county, case.lead) as lead:
        lead.open(f"/children/{case.child_id}/chronology?paper=true")
        lead.reload_until("Lead professional assigned")
        expect(lead.page.get_by_role("button", name="Print")).to_be_visible()
        lead.print("timeline")
        lead.page.emulate_media(media="print")
        expect(lead.page.get_by_text("Lead professional assigned").first).to_be_visible()
        expect(lead.page.get_by_text(f"opened by {case.lead}")).to_be_visible()
        paper = lead.page.pdf(format="A4")
    assert paper.startswith(b"%PDF-")


def test_timeline_stands_in_the_order_in_which_one_thing_led_to_another(
    chromium: Browser, county: County
) -> None:
    """Also where all of it has happened at one moment, as it has while a test holds the clock."""
    case = county.open_case()
    with window(chromium, county, case.lead) as lead:
        lead.open(f"/children/{case.child_id}/chronology")
        lead.reload_until("Notification queued")
        told = [each.inner_text() for each in lead.page.locator(".app-timeline strong").all()]
    order = [
        "Referral received",
        "Referral accepted",
        "Assessment started",
        "Lead professional assigned",
        "Alert raised",
        "Notification queued",
    ]
    assert [words for words in dict.fromkeys(told) if words in order] == order


def test_signing_out_shuts_the_pages(chromium: Browser, county: County) -> None:
    """In every window of the same browser."""
    with window(chromium, county, WORKER) as one:
        one.page.get_by_role("button", name=f"Sign out {WORKER}").click()
        expect(one.page.get_by_role("heading", name="Sign in", level=1)).to_be_visible()
        one.open(f"/inbox/{WORKER}")
        expect(one.page.get_by_role("heading", name="Sign in", level=1)).to_be_visible()
