"""How the pages look when something is on them: well formed, escaped, with one main heading."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import pytest
from fastapi import Request
from jinja2 import UndefinedError
from pydantic import ValidationError

from schemas.events.codes import Channel, Role, Urgency
from services.kernel.base.clock import SystemClock
from services.kernel.base.settings import Settings
from services.kernel.pack.model import load_pack
from services.kernel.pack.people import find_person
from services.kernel.web.pages.assets import Assets
from services.kernel.web.pages.dates import EnteredDay
from services.kernel.web.pages.identity import Choice, ChoiceGroup
from services.kernel.web.pages.lists import Pages
from services.kernel.web.pages.rendering import Renderer
from services.kernel.web.pages.session import Session
from services.kernel.web.pages.shell import Shell, Visit
from services.notify.alerts.model import Alert
from services.notify.chronology.queries import ChronologyEntry
from services.notify.delivery.model import DeliveryState
from services.notify.pack.model import NotifyPack
from services.notify.pages import absences, preferences
from services.notify.pages.alert import rule_shown
from services.notify.pages.board import mondays_before, rate_rows
from services.notify.pages.chronology import KINDS
from services.notify.pages.inbox import Shown
from services.notify.pages.reminders import LENGTHS
from services.notify.pages.router import extend
from services.notify.pages.words import CHANNELS, COLOURS, DONE, STATES, TAGS, WHY, card, line, parcel
from services.notify.preferences.model import Arrangements, Delegation
from services.notify.queries.boards import Workload
from services.notify.queries.rates import Rate
from tests.builders import alert_raised

NOW = datetime(2026, 9, 7, 13, 5, tzinfo=UTC)  # 14:05 in London
ALERT, ABOUT, CHILD = UUID(int=1), UUID(int=3), UUID(int=9)
CASE = UUID("3f2a1b4c-0000-4000-8000-000000000001")
PACK = load_pack(Path("deploy/policies/cambridgeshire.yaml"), NotifyPack)
MANY = Pages(163, 21, 40, "/x", "/x?before=b", "/x?after=a")


def alert(**changes: Any) -> Alert:
    """Return an open alert that is urgent and an hour late."""
    facts: dict[str, Any] = {
        "alert_id": ALERT,
        "child_id": CHILD,
        "at": NOW,
        "urgency": Urgency.URGENT,
        "kind": "deadline.overdue:assessment",
        "about": ABOUT,
        "case_id": CASE,
        "due_at": NOW - timedelta(hours=1),
        "says": "Overdue.",
        "next_step": "Act now.",
    }
    raised = alert_raised(**facts | changes)
    return Alert(ALERT, 1, "open", raised)


def entry(**data: object) -> ChronologyEntry:
    return ChronologyEntry(
        UUID(int=8), CASE, "/leadline/assessment", "deadline.overdue.v1", NOW, UUID(int=7), 3, data
    )


@pytest.fixture(scope="module")
def shell() -> Shell:
    """All that pages share; nothing here asks a store."""
    return shell_with(Assets())


def shell_with(assets: Assets, **options: bool) -> Shell:
    shell = Shell(Settings(), SystemClock(), renderer=Renderer(assets, **options))
    extend(shell)
    return shell


def visit_of(person_id: str) -> Visit:
    person = find_person(PACK, person_id)
    assert person is not None
    request = Request({"type": "http", "method": "GET", "path": "/inbox", "headers": [], "query_string": b""})
    return Visit(request, Session(person_id, "a token", NOW + timedelta(hours=1)), person, NOW)


def delivery(**changes: object) -> dict[str, object]:
    return {
        "channel": "email",
        "template": "reminder",
        "recipient_id": "W-0601",
        "state": "not_needed",
        "queued_at": NOW,
        "held_until": None,
        "sent_at": None,
        "delivered_at": None,
        "reason": "acknowledged",
    } | changes


def inbox(**changes: object) -> dict[str, object]:
    return {
        "inbox": "W-0601",
        "is_own": True,
        "cards": [card(alert(), now=NOW)],
        "kinds": [("deadline.overdue:assessment", "Assessment overdue")],
        "others": [("duty-lt-ely", 3)],
        "lengths": LENGTHS,
        "standing": "0123456789abcdef",
        "works_with_children": True,
        "chosen": {"state": "open", "kind": None, "urgency": "urgent", "sort": "urgency"},
        "chosen_words": "state=open&urgency=urgent&sort=urgency",
        "said": "1 alert is marked as seen",
        "errors": [],
        "pages": MANY,
    } | changes


def single(**changes: object) -> dict[str, object]:
    shown = line(
        entry(kind="assessment", due_at="2026-09-07T12:05:00Z", rules=[{"words": "A rule."}]), now=NOW
    )
    return {
        "inbox": "W-0601",
        "card": card(replace(alert(), step=1, snoozed_until=NOW + timedelta(hours=2)), now=NOW),
        "is_mine": True,
        "cause": shown,
        "rule": rule_shown(alert(), PACK),
        "history": [shown],
        "before": card(alert(), now=NOW),
        "may_open_before": True,
        "deliveries": [
            parcel(delivery(), now=NOW),
        ],
        "next_step_at": "7 September 2026, 17:00",
        "lengths": list(LENGTHS),
        "works_with_children": True,
    } | changes


def timeline(**changes: object) -> dict[str, object]:
    return {
        "child_id": CHILD,
        "days": [("7 September 2026", [line(entry(kind="assessment", late=True), now=NOW)])],
        "shown": 1,
        "kinds": KINDS,
        "chosen": {"kind": ["deadline"], "since": "2026-09-01", "until": None},
        "since": EnteredDay.of(date(2026, 9, 1)),
        "until": EnteredDay(day="soon"),
        "errors": [("until-day", "Enter the last day, for example 7 9 2026")],
        "paper": False,
        "today": "7 September 2026",
        "clock": "14:05",
        "address": f"/children/{CHILD}/chronology",
        "pages": Pages(1, 1, 1),
    } | changes


def board(**changes: object) -> dict[str, object]:
    mondays = mondays_before(date(2026, 9, 7))
    return {
        "team": PACK.team_by_code["lt-ely"],
        "roles": {"W-0601": "family worker"},
        "loads": [(Workload("W-0601", 3, 1, 1, 1, 0, 2, NOW), "today 14:05"), (Workload("W-0602"), None)],
        "cards": [card(alert(), now=NOW)],
        "which": "escalated",
        "mondays": [str(monday) for monday in mondays],
        "rates": [(row, row.kind) for row in rate_rows([Rate("W-0601", "x.y", mondays[1], 4, 2)], mondays)],
        "pages": MANY,
    } | changes


def choices(**changes: object) -> dict[str, object]:
    return {
        "rows": preferences.rows_of(PACK, Arrangements(), "W-0601"),
        "channels": [("Email", True), ("Text message", False)],
        "digests": preferences.DIGESTS,
        "times": preferences.TIMES,
        "hours": {"quiet_from": "19:00", "quiet_until": "x", "digest_at": "08:30", "digest": "daily"},
        "chosen_hours": False,
        "saved": True,
        "errors": [("quiet_until", "Quiet hours end: enter a time of day, for example 19:00")],
    } | changes


def absent(**changes: object) -> dict[str, object]:
    people = ["W-0600", "W-0601", "W-0602"]
    away = Delegation(UUID(int=11), "W-0601", None, NOW, NOW + timedelta(days=4))
    left = Delegation(UUID(int=12), "W-0602", "W-0601", NOW + timedelta(days=1), None)
    known = Arrangements(delegations={"W-0601": (away,), "W-0602": (left,)})
    return {
        "people": people,
        "colleagues": absences.colleagues_of(people, PACK),
        "duty_inbox": absences.DUTY_INBOX,
        "lines": absences.lines_of(known, people, now=NOW),
        "entered": absences.Entered("W-0601"),
        "saved": True,
        "errors": [("to", "Choose who stands in")],
    } | changes


def sign_in() -> dict[str, object]:
    groups = (ChoiceGroup("Ely", (Choice("W-0601", "family_worker", 3),)),)
    return {
        "groups": groups,
        "wanted": "/inbox",
        "token_of_form": "t",
        "error": "Choose who you are",
        "is_demo": True,
        "signed_in": None,
    }


PAGES: dict[str, Callable[[], dict[str, object]]] = {
    "inbox.html": inbox,
    "alert.html": single,
    "chronology.html": timeline,
    "board.html": board,
    "boards.html": lambda: {"rows_of_teams": [(PACK.teams[0], 3, 2, 1)]},
    "preferences.html": choices,
    "absences.html": absent,
    "sign_in.html": sign_in,
    "forbidden.html": dict,
    "missing.html": lambda: {"sentence": "There is no such alert."},
    "refused.html": lambda: {"sentence": "Not for so long."},
    "away.html": dict,
    "failed.html": dict,
}
PARTS = {"layout.html", "navigation.html", "parts.html", "cards.html"}
TEMPLATES = ("services/notify/pages/templates", "services/kernel/web/pages/templates")

every_page = pytest.mark.parametrize("name", PAGES)


class Outline(HTMLParser):
    """What a page is made of: tags in order with their attributes, and which are left open."""

    VOID = frozenset({"meta", "link", "br", "input", "path"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def rendered(shell: Shell, name: str, person: str | None = "W-0600", **changes: object) -> str:
    values: dict[str, Any] = PAGES[name]() | changes
    visit = None if person is None else visit_of(person)
    answer = shell.page(visit, name, pack=PACK, **values)
    return bytes(answer.body).decode()


def test_every_template_is_a_page_here_or_a_part_of_one() -> None:
    """A new one cannot be forgotten by the rules below."""
    files = {path.name for folder in TEMPLATES for path in Path(folder).glob("*.html")}
    assert files == {*PAGES, *PARTS}


@every_page
@pytest.mark.parametrize("person", ["W-0600", "W-0601", "leadline-operations", None])
def test_page_is_well_formed_and_has_one_main_heading(shell: Shell, name: str, person: str | None) -> None:
    """Language, title, one h1, a main landmark, a way past the navigation; all that is opened is closed."""
    page = rendered(shell, name, person)
    outline = Outline(page)
    assert outline.open == []
    assert [len(outline.all(tag)) for tag in ("h1", "main", "title", "header", "footer")] == [1] * 5
    assert '<html lang="en-GB"' in page
    assert 'href="#main-content"' in page


@every_page
def test_every_field_has_a_label_and_every_id_is_there_once(shell: Shell, name: str) -> None:
    """Whoever listens to a page hears what each field is for."""
    outline = Outline(rendered(shell, name))
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    labelled = {label["for"] for label in outline.all("label")}
    fields = [*outline.all("select"), *(each for each in outline.all("input") if each["type"] != "hidden")]
    assert {each["id"] for each in fields} <= labelled


@every_page
def test_every_form_that_changes_something_carries_the_token(shell: Shell, name: str) -> None:
    """No other site can send one in somebody's name."""
    page = rendered(shell, name)
    posts = page.count('method="post"')
    assert posts >= 1, "at least signing out"
    assert page.count('name="token"') == posts


@every_page
def test_page_holds_no_script_or_style_of_its_own_and_nothing_from_elsewhere(shell: Shell, name: str) -> None:
    """The content security policy would refuse it."""
    outline = Outline(rendered(shell, name))
    assert all(each.get("src", "").startswith("/assets/") for each in outline.all("script"))  # type: ignore[union-attr]
    assert outline.all("style") == []
    handlers = [key for _, attributes in outline.tags for key in attributes if key.startswith("on")]
    assert handlers == []
    assert [attributes for _, attributes in outline.tags if "style" in attributes] == []


def test_pages_are_kept_nowhere_and_framed_by_nobody(shell: Shell) -> None:
    """Headers of every page."""
    headers = shell.page(None, "failed.html", status=500).headers
    assert headers["cache-control"] == "no-store"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("name", ["inbox.html", "alert.html", "board.html"])
def test_page_escapes_whatever_it_shows(shell: Shell, name: str) -> None:
    """Even the pack's own words cannot become markup."""
    hostile = card(alert(says="<script>alert(1)</script>", next_step='"&<b>'), now=NOW)
    page = rendered(shell, name, **{"card": hostile} if name == "alert.html" else {"cards": [hostile]})
    assert "<script>" not in page
    assert "<b>" not in page


def test_a_fact_of_an_event_cannot_be_markup(shell: Shell) -> None:
    """What a producer sends is shown as text."""
    hostile = line(entry(kind="assessment", reason="<img src=x>"), now=NOW)
    page = rendered(shell, "chronology.html", days=[("7 September 2026", [hostile])])
    assert "<img" not in page
    assert "&lt;img src=x&gt;" in page


def test_worker_id_cannot_be_markup() -> None:
    """Ids are codes, and codes have no angle brackets."""
    with pytest.raises(ValidationError):
        alert(recipient_id="<b>")


def test_a_name_that_nobody_gave_a_template_is_a_mistake() -> None:
    """Only the options of a component may be left out."""
    templates = Renderer(Assets()).templates
    with pytest.raises(UndefinedError):
        templates.from_string("{{ forgotten }}").render()
    with pytest.raises(UndefinedError):
        templates.from_string("{% if card.forgotten %}{% endif %}").render(card=card(alert(), now=NOW))
    assert templates.from_string("{{ params.left_out }}").render(params={}) == ""


def test_card_answers_who_what_by_when_why_me_and_what_now() -> None:
    """The five questions of every alert."""
    shown = card(alert(), now=NOW)
    assert (shown.case, shown.full_id) == ("Case 3f2a1b4c", CASE)
    assert shown.says == "Overdue."
    assert (shown.by_when, shown.late) == ("7 September 2026, 13:05", True)
    assert shown.why == "You are the lead professional of this case."
    assert shown.next_step == "Act now."
    assert (shown.raised, shown.tag) == ("today 14:05", "Urgent")


def test_card_says_what_has_happened_since() -> None:
    """Repeated, escalated, put off, settled: a sentence each; what is settled is late no more."""
    shown = card(
        replace(
            alert(),
            repeats=2,
            repeated_at=NOW,
            step=1,
            snoozed_until=NOW + timedelta(hours=3),
            settled_at=NOW,
        ),
        now=NOW,
    )
    assert shown.notes == (
        "Nothing left to do since today 14:05: done, or a later alert says more.",
        "The same has happened 2 times more, last today 14:05.",
        "Nobody marked it as seen in time: escalated once.",
        "Reminder set for 7 September 2026, 17:05.",
    )
    assert (shown.late, shown.next_step) == (False, DONE)


def test_card_tells_a_stand_in_and_a_manager_why_it_came_to_them() -> None:
    """Not only the role: also for whom, and that somebody else was told before."""
    changes = {"stands_in_for": "W-0602", "escalates": UUID(int=5), "role": Role.TEAM_MANAGER}
    assert card(alert(**changes), now=NOW).why == (
        "You stand in for W-0602, who is away or has left."
        " Nobody marked the alert before this one as seen in time."
        " You are the manager of the team that answers for this case."
    )


def test_card_tells_somebody_else_about_its_recipient() -> None:
    """A manager who reads an alert of the team is not told that they lead the case."""
    assert (
        card(alert(), now=NOW, to_its_recipient=False).why == "W-0601 is the lead professional of this case."
    )
    changes = {"recipient_id": "duty-lt-ely", "role": Role.DUTY_INBOX}
    assert card(alert(**changes), now=NOW).why.startswith("This is the duty inbox")
    other = card(alert(**changes, stands_in_for="W-0602"), now=NOW, to_its_recipient=False).why
    assert other.startswith(
        "duty-lt-ely stands in for W-0602, who is away or has left. duty-lt-ely is the duty"
    )


def test_every_role_urgency_channel_and_state_has_words() -> None:
    """A new one cannot be forgotten."""
    assert set(WHY) == set(Role)
    assert set(TAGS) == set(COLOURS) == set(Urgency)
    assert set(CHANNELS) == set(Channel)
    assert {"absent", *STATES} == set(get_args(DeliveryState))


@pytest.mark.parametrize(
    ("name", "words"),
    [("inbox.html", "21 to 40 of 163 alerts"), ("board.html", "21 to 40 of 163 alerts")],
)
def test_page_of_a_long_list_says_which_rows_it_shows_and_leads_on_and_back(
    shell: Shell, name: str, words: str
) -> None:
    """In its title, too; by links, without a script."""
    page = rendered(shell, name)
    assert "(21 to 40 of 163)" in page[page.index("<title") : page.index("</title>")]
    assert words in page
    for link in ('href="/x?before=b" rel="prev"', 'href="/x?after=a" rel="next"', 'href="/x">First page</a>'):
        assert link in page


@pytest.mark.parametrize("name", ["inbox.html", "board.html", "chronology.html"])
def test_page_behind_the_last_row_leads_to_the_first(shell: Shell, name: str) -> None:
    """What was on it has left the list since the link was made."""
    pages = Pages(40, beginning="/x?state=open")
    page = rendered(shell, name, pages=pages, days=[], cards=[])
    assert 'Nothing more is in this list. <a class="govuk-link" href="/x?state=open">' in page
    assert 'rel="' not in page[page.index("<main") :]


@pytest.mark.parametrize("state", get_args(Shown))
def test_every_list_of_alerts_has_a_heading_a_way_to_the_others_and_words_where_it_is_empty(
    shell: Shell, state: str
) -> None:
    """The list that is shown is no link; nothing is left blank."""
    chosen = {"state": state, "kind": None, "urgency": None, "sort": "urgency"}
    page = rendered(shell, "inbox.html", chosen=chosen, cards=[], pages=Pages(0))
    assert "lert" in page[page.index("<h1") : page.index("</h1>")]
    assert page.count('aria-current="page"') == 1
    assert page.count("?state=") == len(get_args(Shown)) - 1
    alerts = page[page.index('id="alerts"') : page.index("</main>")]
    assert '<p class="govuk-body">' in alerts


@pytest.mark.parametrize(
    ("changes", "state", "at"),
    [
        (
            {"state": "held", "held_until": NOW + timedelta(days=3), "reason": None},
            "Held until",
            "10 September",
        ),
        ({"state": "sent", "sent_at": NOW - timedelta(days=1), "reason": None}, "Sent", "Yesterday 14:05"),
        ({"state": "failed", "reason": "gave_up"}, "Failed (gave up)", "Today 14:05"),
        ({}, "Not needed (acknowledged)", "Today 14:05"),
    ],
)
def test_delivery_says_what_has_become_of_it_and_when(
    changes: dict[str, object], state: str, at: str
) -> None:
    """One that waits says for how long, one that failed says why."""
    shown = parcel(delivery(**changes), now=NOW)
    assert (shown.channel, shown.what, shown.to, shown.state) == ("Email", "Reminder", "W-0601", state)
    assert shown.at.startswith(at)


def test_facts_leave_out_what_the_title_says_and_ids_that_only_machines_compare() -> None:
    """Ids are as short as people write them, codes are words, limits are said in full."""
    raised = replace(
        entry(
            child_id=str(CHILD),
            cause_id=str(ABOUT),
            template="alert",
            about=str(ABOUT),
            case_id=str(CASE),
            kind="deadline.due_soon:plan_review",
            role="lead_professional",
            raised_at="2026-09-07T13:05:00Z",
        ),
        type="alert.raised.v2",
    )
    assert dict(line(raised, now=NOW).facts) == {
        "Case": "3f2a1b4c",
        "About": "plan review due soon",
        "Role": "lead professional",
    }
    scheduled = entry(rule="1:working_days:next_day", about=str(CASE), due_from="2026-09-07T23:00:00Z")
    assert dict(line(scheduled, now=NOW).facts) == {
        "Rule": "1 working day, counted from the next day",
        "Reference": "3f2a1b4c",
        "Due from": "8 September 2026",
    }


def test_event_is_told_in_words_with_its_facts() -> None:
    """Moments and days in London's, lists joined, rules by their words, and nothing for what is not said."""
    shown = line(
        entry(
            child_id=str(CHILD),
            deadline_id=str(ABOUT),
            kind="assessment",
            due_at="2026-09-07T12:05:00Z",
            started_on="2026-09-04",
            late=True,
            concerns=["N1", "N5"],
            rules=[{"code": "r1", "words": "Two needs or more."}, {"code": "r2", "words": "And one."}],
            needs=[{"domain": "parenting_capacity", "level": 3}, {"domain": "health", "level": 2}],
            outcomes=[{"objective_id": str(ABOUT), "met": True}],
            reason=None,
        ),
        now=NOW,
    )
    assert (shown.what, shown.when, shown.source) == ("Assessment overdue", "today 14:05", "assessment")
    assert (shown.clock, shown.day) == ("14:05", date(2026, 9, 7))
    assert dict(shown.facts) == {
        "Due": "7 September 2026, 13:05",
        "Started on": "4 September 2026",
        "Late": "yes",
        "Concerns": "N1; N5",
        "Rules": "Two needs or more; And one.",
        "Needs": "parenting capacity 3; health 2",
        "Outcomes": "objective id 00000000, met yes",
    }


def test_alert_page_names_the_rule_the_limit_and_its_source(shell: Shell) -> None:
    """Why me: by which rule of which pack, under which law."""
    page = rendered(shell, "alert.html")
    for words in (
        "Any deadline overdue: told to the team manager and the lead professional",
        PACK.pack.version,
        "45 working days",
        "Working Together 2018",
    ):
        assert words in page


def test_pages_without_built_style_ask_for_none() -> None:
    """They work and look plain: nothing is loaded that is not there."""
    page = rendered(shell_with(Assets(), styled=False), "inbox.html")
    assert "/assets/govuk/" not in page
    assert "/assets/components.js" not in page
    assert "/assets/live.js" in page
