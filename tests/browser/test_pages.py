"""What a worker, a colleague and a manager do with the pages, in a real browser on the whole system."""

from datetime import timedelta

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.county import County, eventually
from tests.browser.windows import SCREENS, window

pytestmark = [pytest.mark.browser, pytest.mark.connected]

DUTY = "duty-lt-ely"
WORKER, COLLEAGUE, MANAGER, COUNTY_MANAGER = "W-0602", "W-0603", "W-0600", "W-0001"
SOON = 15_000
"""Milliseconds within which an open page must have followed; it takes well under a second by itself."""

OVERDUE = "deadline.overdue:assessment"
DUE_SOON = "deadline.due_soon:assessment"


def test_alert_arrives_live_and_is_gone_in_a_second_window_when_it_is_acknowledged(
    chromium: Browser, county: County
) -> None:
    """Nobody reloads: a referral comes in, both windows show it, one marks it as seen, the other loses it."""
    with window(chromium, county, WORKER) as one, window(chromium, county, COLLEAGUE) as two:
        for each in (one, two):
            each.open(f"/inbox/{DUTY}")
            each.mark()
        referral = str(county.refer())
        for each in (one, two):
            expect(each.card(referral)).to_be_visible(timeout=SOON)
            assert each.is_same_document()
        expect(two.page.locator("#news")).to_have_text("1 new alert", timeout=SOON)
        one.card(referral).get_by_role("button", name="Mark as seen").click()
        expect(one.page.get_by_text("1 alert is marked as seen")).to_be_visible()
        expect(two.card(referral)).to_have_count(0, timeout=SOON)
        assert two.is_same_document()
        expect(two.page.locator("#news")).to_have_text("1 no longer to do", timeout=SOON)


def test_a_choice_survives_that_the_list_changes_under_it(chromium: Browser, county: County) -> None:
    """Whoever has ticked alerts keeps the ticks, and the place, when another alert comes in."""
    with window(chromium, county, WORKER) as one:
        one.open(f"/inbox/{DUTY}")
        first = str(county.refer())
        box = one.card(first).get_by_role("checkbox")
        expect(box).to_be_visible(timeout=SOON)
        box.check()
        box.focus()
        second = str(county.refer())
        expect(one.card(second)).to_be_visible(timeout=SOON)
        expect(one.card(first).get_by_role("checkbox")).to_be_checked()
        expect(one.card(first).get_by_role("checkbox")).to_be_focused()
        one.card(second).get_by_role("checkbox").check()
        one.page.get_by_role("button", name="Mark the chosen as seen").click()
        expect(one.page.get_by_text("2 alerts are marked as seen")).to_be_visible()


def test_everything_works_without_javascript(chromium: Browser, county: County) -> None:
    """A reload shows what is new; forms do the rest."""
    with window(chromium, county, WORKER, scripts=False) as one:
        referral = str(county.refer())
        one.open(f"/inbox/{DUTY}")
        one.reload_until(referral)
        one.card(referral).get_by_role("checkbox").check()
        one.page.get_by_role("button", name="Mark the chosen as seen").click()
        expect(one.page.get_by_text("1 alert is marked as seen")).to_be_visible()
        expect(one.card(referral)).to_have_count(0)


def test_keyboard_alone_skips_the_navigation_and_marks_an_alert(chromium: Browser, county: County) -> None:
    """The first tab stop leads past the navigation; a button is pressed with the return key."""
    referral = str(county.refer())
    with window(chromium, county, WORKER) as one:
        one.open(f"/inbox/{DUTY}")
        expect(one.card(referral)).to_be_visible(timeout=SOON)
        one.page.keyboard.press("Tab")
        expect(one.page.get_by_role("link", name="Skip to main content")).to_be_focused()
        one.page.keyboard.press("Enter")
        assert one.page.url.endswith("#main-content")
        one.card(referral).get_by_role("button", name="Mark as seen").focus()
        one.page.keyboard.press("Enter")
        expect(one.page.get_by_text("1 alert is marked as seen")).to_be_visible()


def test_preferences_hold_a_digest_back_until_its_hour(chromium: Browser, county: County) -> None:
    """Chosen on the page: the e-mail of a deadline that comes near waits, and comes at the digest's time."""
    case = county.open_case()
    with window(chromium, county, case.lead) as lead:
        lead.open("/preferences")
        expect(lead.page.get_by_text("Always at once").first).to_be_visible()
        lead.page.get_by_label("Any deadline due soon: E-mail").select_option("digest")
        lead.page.get_by_role("button", name="Keep choices").click()
        expect(lead.page.get_by_text("Your preferences are kept")).to_be_visible()
        lead.page.get_by_label("Quiet hours begin").fill("20:00")
        lead.page.get_by_role("button", name="Keep quiet hours and digest").click()
        expect(lead.page.get_by_text("You have chosen these.")).to_be_visible()
        expect(lead.page.get_by_label("Quiet hours begin")).to_have_value("20:00")

        county.move_to(case.due_at - timedelta(days=7) + timedelta(hours=1))
        eventually(lambda: bool(county.alerts_of(case.lead, DUE_SOON, case)), "the deadline comes near")
        (alert,) = county.alerts_of(case.lead, DUE_SOON, case)
        lead.open(f"/inbox/{case.lead}/alerts/{alert['alert_id']}")
        expect(lead.page.get_by_role("cell", name="held", exact=True)).to_be_visible()
        lead.inspect("alert-held-for-digest")
        assert not [each for each in county.letters_to(case.lead) if alert["alert_id"] in each.get_content()]

        county.move(timedelta(days=4))
        eventually(
            lambda: any(alert["alert_id"] in each.get_content() for each in county.letters_to(case.lead)),
            "the digest arrives",
        )

        def is_sent() -> bool:
            lead.page.reload(wait_until="load")
            return lead.page.get_by_role("cell", name="sent", exact=True).count() == 1

        eventually(is_sent, "the page says that the e-mail was sent")


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
        manager.page.locator(link).click()
        expect(manager.page.get_by_text("only they mark it as seen")).to_be_visible()
        expect(manager.page.get_by_text("History of the deadline")).to_be_visible()
        manager.inspect("alert-of-the-team")

        lead.open(f"/inbox/{case.lead}/alerts/{alert['alert_id']}")
        lead.inspect("alert")
        lead.page.get_by_role("button", name="Mark as seen").click()
        expect(lead.page.get_by_text("1 alert is marked as seen")).to_be_visible()
        assert not manager.leaf_through("/board/lt-ely?which=escalated", link)


def test_axe_finds_nothing_on_any_page(chromium: Browser, county: County) -> None:
    """Wide and on a telephone; every page leaves a picture in var/screens."""
    case = county.open_case()
    county.refer()
    with window(chromium, county) as visitor:
        visitor.open("/sign-in")
        visitor.inspect("sign-in")
    pages = {
        "inbox-empty": f"/inbox/{case.lead}?kind=case.closed",
        "inbox": f"/inbox/{case.lead}",
        "inbox-shared": f"/inbox/{DUTY}",
        "inbox-seen": f"/inbox/{DUTY}?state=acknowledged",
        "timeline": f"/children/{case.child_id}/chronology",
        "timeline-to-print": f"/children/{case.child_id}/chronology?paper=true",
        "timeline-error": f"/children/{case.child_id}/chronology?since=x",
        "preferences": "/preferences",
        "forbidden": "/board",
        "missing": "/children/nobody/chronology",
    }
    with window(chromium, county, case.lead) as lead:
        eventually(
            lambda: bool(county.alerts_of(case.lead, "lead_professional.assigned", case)), "the lead is told"
        )
        for name, path in pages.items():
            lead.open(path)
            lead.inspect(name)
        lead.open(f"/inbox/{case.lead}")
        lead.page.get_by_role("button", name="Mark the chosen as seen").click()
        expect(lead.page.get_by_text("Choose at least one alert")).to_be_visible()
        lead.inspect("inbox-error")
        lead.open("/preferences")
        lead.page.get_by_label("The digest comes at").fill("")
        lead.page.get_by_role("button", name="Keep quiet hours and digest").click()
        expect(lead.page.get_by_text("enter a time of day").first).to_be_visible()
        lead.inspect("preferences-error")
    with window(chromium, county, MANAGER) as manager:
        manager.open("/board/lt-ely")
        manager.inspect("board")
    with window(chromium, county, COUNTY_MANAGER) as manager:
        manager.open("/board")
        manager.inspect("boards")
    assert {f"{name}.png" for name in (*pages, "sign-in", "board", "boards", "inbox-error")} <= {
        path.name for path in SCREENS.iterdir()
    }


def test_timeline_prints_its_events_and_nothing_else(chromium: Browser, county: County) -> None:
    """On paper there is no navigation, no form and no button; the events are there."""
    case = county.open_case()
    with window(chromium, county, case.lead) as lead:
        lead.open(f"/children/{case.child_id}/chronology?paper=true")
        lead.reload_until("Lead professional assigned")
        expect(lead.page.get_by_role("button", name="Print")).to_be_visible()
        lead.page.emulate_media(media="print")
        for gone in ("nav", "form", "button", ".app-footer", ".govuk-skip-link"):
            for each in lead.page.locator(gone).all():
                expect(each).to_be_hidden()
        expect(lead.page.get_by_text("Lead professional assigned").first).to_be_visible()
        lead.page.screenshot(path=SCREENS / "timeline-printed.png", full_page=True)
        lead.page.emulate_media(media="screen")


def test_signing_out_shuts_the_pages(chromium: Browser, county: County) -> None:
    """In every window of the same browser."""
    with window(chromium, county, WORKER) as one:
        one.page.get_by_role("button", name=f"Sign out {WORKER}").click()
        expect(one.page.get_by_role("heading", name="Sign in", level=1)).to_be_visible()
        one.open(f"/inbox/{WORKER}")
        expect(one.page.get_by_role("heading", name="Sign in", level=1)).to_be_visible()
