"""The rules behind the pages: who sees what, sessions, addresses, how long an alert is put off."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from fastapi import Request, Response
from starlette.datastructures import FormData

from schemas.events.codes import Channel, Urgency
from services.kernel.pack.model import load_pack
from services.kernel.pack.people import agency, find_person, members_of
from services.kernel.store.cursors import Cursors, ListPart
from services.kernel.web.pages.answers import Forbidden
from services.kernel.web.pages.lists import pages_of
from services.kernel.web.pages.session import COOKIE, LASTS, Session, Sessions
from services.kernel.web.pages.sign_in import inside
from services.notify.pack.model import NotifyPack
from services.notify.pages.chronology import start_of
from services.notify.pages.live import fingerprint
from services.notify.pages.preferences import changes, field_name, kinds_of, left_open, rows_of, time_of
from services.notify.pages.reminders import allowed, until
from services.notify.preferences.model import Arrangements
from services.notify.queries.watching import InboxStanding

NOW = datetime(2026, 9, 4, 13, 5, tzinfo=UTC)  # a Friday, 14:05 in London
CURSORS = Cursors.of("list", ["integer"], {})
PACK = load_pack(Path("deploy/policies/cambridgeshire.yaml"), NotifyPack)


class Clock:
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        return self.moment


@pytest.mark.parametrize(
    ("person_id", "inboxes", "boards"),
    [
        ("W-0601", ("W-0601", "duty-lt-ely"), ()),
        ("W-0600", ("W-0600", "duty-lt-ely"), ("lt-ely",)),
        ("W-0002", ("W-0002",), ()),
        ("duty-lt-ely", ("duty-lt-ely",), ()),
        ("leadline-operations", ("leadline-operations",), ()),
    ],
)
def test_person_has_their_own_inbox_their_teams_and_the_boards_they_manage(
    person_id: str, inboxes: tuple[str, ...], boards: tuple[str, ...]
) -> None:
    """As the pack says who works where."""
    person = find_person(PACK, person_id)
    assert person is not None
    assert (person.inboxes, person.boards) == (inboxes, boards)


def test_county_manager_has_every_board_and_the_countys_inbox() -> None:
    """But not the shared inboxes of the teams: those have managers of their own."""
    person = find_person(PACK, "W-0001")
    assert person is not None
    assert person.boards == tuple(team.code for team in PACK.teams)
    assert person.inboxes == ("W-0001", "integrated-access-team")


def test_who_is_in_no_pack_is_nobody_and_an_agency_is_around_no_child() -> None:
    """A leaver, a stranger; a school that referred sees what it was told."""
    assert find_person(PACK, "W-9999") is None
    assert not agency("school-1").works_with_children


def test_board_shows_a_teams_people_its_manager_and_its_shared_inbox() -> None:
    """Everybody once."""
    members = members_of(PACK, PACK.team_by_code["lt-ely"])
    assert members == ("W-0600", "W-0601", "W-0602", "W-0603", "W-0611", "duty-lt-ely")


def kept(sessions: Sessions, session: Session) -> Request:
    """Return the next request of a browser that was given a session."""
    answer = Response()
    sessions.keep(answer, session)
    cookie = answer.headers["set-cookie"].partition(";")[0]
    return Request({"type": "http", "headers": [(b"cookie", cookie.encode())]})


def test_session_is_found_again_until_it_is_over() -> None:
    """Twelve hours of real time, and not a moment longer."""
    clock = Clock()
    sessions = Sessions("a secret of the tests", clock, secure=False)
    session = sessions.start("W-0601")
    request = kept(sessions, session)
    assert sessions.find(request) == session
    clock.moment += LASTS
    assert sessions.find(request) is None


def test_over_https_the_cookie_has_the_prefix_that_no_neighbour_can_give_it() -> None:
    """And without the prefix it counts no longer."""
    sessions = Sessions("a secret of the tests", Clock(), secure=True)
    session = sessions.start("W-0601")
    request = kept(sessions, session)
    (cookie,) = request.cookies.items()
    assert cookie[0] == f"__Host-{COOKIE}"
    assert sessions.find(request) == session
    plain = [(b"cookie", f"{COOKIE}={cookie[1]}".encode())]
    assert sessions.find(Request({"type": "http", "headers": plain})) is None


def test_session_that_another_secret_signed_is_none() -> None:
    """Nor is a cookie that holds anything else."""
    ours, theirs = (Sessions(secret, Clock(), secure=False) for secret in ("one secret", "another secret"))
    assert ours.find(kept(theirs, theirs.start("W-0601"))) is None
    for cookie in ("", "x", "W-0601", "a.b.c"):
        headers = [(b"cookie", f"{COOKIE}={cookie}".encode())]
        assert ours.find(Request({"type": "http", "headers": headers})) is None


def test_every_session_has_a_token_of_its_own() -> None:
    """And a form's token fits only the session that it was given out in."""
    sessions = Sessions(None, Clock(), secure=True)
    one, other = sessions.start("W-0601"), sessions.start("W-0601")
    assert one.matches(one.token)
    assert not one.matches(other.token)
    assert not one.matches("")
    assert not one.matches("ü")


@pytest.mark.parametrize(
    ("address", "home"),
    [
        ("/inbox/W-0601/alerts/1", "/inbox/W-0601/alerts/1"),
        ("//elsewhere.example", "/inbox"),
        ("/\\elsewhere.example", "/inbox"),
        ("https://elsewhere.example", "/inbox"),
        ("/a\r\nSet-Cookie: b", "/inbox"),
        ("", "/inbox"),
    ],
)
def test_signing_in_leads_nowhere_but_inside(address: str, home: str) -> None:
    """A link from elsewhere cannot send somebody on to another site."""
    assert inside(address, "/inbox") == home


def test_alert_is_put_off_until_the_next_working_morning() -> None:
    """From Friday to Monday at nine, London time."""
    assert until("tomorrow", now=NOW, pack=PACK) == datetime(2026, 9, 7, 8, 0, tzinfo=UTC)
    assert until("4", now=NOW, pack=PACK) == NOW + timedelta(hours=4)
    with pytest.raises(Forbidden):
        until("8760", now=NOW, pack=PACK)


def test_form_offers_only_what_the_urgency_allows() -> None:
    """What is urgent waits for four hours at the most."""
    rules = PACK.notifications.by_urgency
    assert [value for value, _ in allowed(rules[Urgency.URGENT], now=NOW, pack=PACK)] == ["1", "4"]
    assert [value for value, _ in allowed(rules[Urgency.SOON], now=NOW, pack=PACK)] == [
        "1",
        "4",
        "tomorrow",
        "72",
    ]


def test_every_kind_that_people_are_told_of_has_a_row_and_urgent_ones_are_locked() -> None:
    """What can be urgent cannot be chosen; everything else can."""
    rows = {row.kind: row for row in rows_of(PACK, Arrangements(), "W-0601")}
    assert next(iter(rows)) == "*"
    assert rows["exit_interview.overdue"].locked
    assert not rows["assessment.completed"].locked
    assert [row.kind for row in rows.values() if row.locked] == [
        kind for kind in rows if PACK.is_urgent(kind)
    ]
    names = [field_name(kind, channel) for kind in kinds_of(PACK) for channel in (Channel.EMAIL, Channel.SMS)]
    assert len(names) == len(set(names))


def test_only_what_differs_from_before_is_kept() -> None:
    """An empty choice forgets one; the same again is no change; what no page offers is refused."""
    known = Arrangements(preferences={("W-0601", "plan.reviewed", "email"): "off"})
    sent = {
        field_name("plan.reviewed", Channel.EMAIL): "",
        field_name("assessment.completed", Channel.EMAIL): "",
    }
    kinds = kinds_of(PACK)
    assert "plan.reviewed" in kinds
    assert list(changes(FormData(sent), PACK, known, "W-0601")) == [("plan.reviewed", Channel.EMAIL, None)]
    with pytest.raises(Forbidden):
        list(changes(FormData({field_name("*", Channel.EMAIL): "never"}), PACK, known, "W-0601"))


@pytest.mark.parametrize(
    ("entered", "moment"),
    [
        ("19:00", time(19)),
        ("07:30:00", time(7, 30)),
        ("", None),
        ("late", None),
        ("19:00+01:00", None),
        ("25:00", None),
    ],
)
def test_time_of_day_is_read_as_browsers_send_it(entered: str, moment: time | None) -> None:
    """London's, without an offset."""
    assert time_of(entered) == moment


def test_a_day_begins_at_londons_midnight() -> None:
    """Which in summer is the evening before in UTC."""
    assert start_of(date(2026, 9, 7)) == datetime(2026, 9, 6, 23, 0, tzinfo=UTC)


def test_pages_of_a_list_keep_what_was_chosen() -> None:
    """Lists of choices too; each way leads to where the list begins on its page."""
    part = ListPart(["b"], [(2,)], begins=False, ends=False, total=41, passed=20)
    pages = pages_of("/x", part, CURSORS, {"kind": ["a", "b"], "since": None}, fragment="#list")
    here = CURSORS.write((2,))
    assert pages.beginning == "/x?kind=a&kind=b#list"
    assert pages.previous == f"/x?kind=a&kind=b&before={here}#list"
    assert pages.following == f"/x?kind=a&kind=b&after={here}#list"


@pytest.mark.parametrize(
    ("part", "span", "ways"),
    [
        (ListPart([], []), None, ""),
        (ListPart("abc", [(1,), (2,), (3,)], total=3), None, ""),
        (ListPart("abc", [(1,), (2,), (3,)], ends=False, total=7), "1 to 3 of 7", "following"),
        (
            ListPart("abc", [(4,), (5,), (6,)], begins=False, ends=False, total=7, passed=3),
            "4 to 6 of 7",
            "beginning previous following",
        ),
        (ListPart("a", [(7,)], begins=False, total=7, passed=6), "7 of 7", "beginning previous"),
        (ListPart("a", [(7,)], begins=False, total=5, passed=6), "7 of 7", "beginning previous"),
        (ListPart([], [], begins=False, total=7), None, "beginning"),
    ],
    ids=["none", "all", "first", "between", "last", "counted while it shrank", "behind the last"],
)
def test_pages_of_a_list_say_which_rows_they_show_and_where_others_are(
    part: ListPart[str], span: str | None, ways: str
) -> None:
    """Nothing where there is only one page; from behind the last row only the way to the first."""
    pages = pages_of("/x", part, CURSORS, {})
    assert pages.span == span
    assert [way for way in ("beginning", "previous", "following") if getattr(pages, way)] == ways.split()


def test_row_that_is_left_open_says_what_happens_then() -> None:
    """What the pack has, or a wider choice of one's own."""
    council = Arrangements()
    assert left_open(PACK, council, "W-0601", "*", Channel.EMAIL) == "as the council has it"
    for kind, words in (("key_worker.assigned", "at once"), ("plan.reviewed", "not at all")):
        assert left_open(PACK, council, "W-0601", kind, Channel.EMAIL) == f"as the council has it: {words}"
    chosen = Arrangements(preferences={("W-0601", "*", "email"): "digest"})
    assert left_open(PACK, chosen, "W-0601", "plan.reviewed", Channel.EMAIL) == "as above: in the digest"
    assert (
        left_open(PACK, chosen, "W-0601", "plan.reviewed", Channel.SMS) == "as the council has it: not at all"
    )


def test_fingerprint_tells_a_change_and_nothing_else() -> None:
    """Another alert, or another event of the same; not the order in which they were read."""
    one, two = InboxStanding(UUID(int=1), 1), InboxStanding(UUID(int=2), 1)
    assert fingerprint([one, two]) == fingerprint([two, one])
    assert (
        len({fingerprint(each) for each in ([], [one], [two], [one, two], [InboxStanding(UUID(int=1), 2)])})
        == 5
    )
