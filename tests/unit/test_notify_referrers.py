"""What a referring agency is told follows from the child's events, in whatever order they are read."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import events as e
from schemas.events import Event
from services.notify.handlers import HANDLERS
from services.notify.referrers.policy import TELLING, Heard, ReferrerRules, Update, agencies_concerned, retold
from services.notify.referrers.policy import updates as updates_under
from tests.builders import (
    AGENCY,
    LEAD,
    MONDAY,
    assessment_started,
    case_closed,
    lead_professional_assigned,
    plan_reviewed,
    referral_accepted,
    referral_closed,
    referral_received,
    referral_redirected,
)

SCHOOL, POLICE = AGENCY, "police-1"


def hours(number: float) -> datetime:
    return MONDAY + timedelta(hours=number)


def received(referral: int, agency: str = SCHOOL, *, at: float = 0) -> e.ReferralReceived:
    return referral_received(
        referral_id=UUID(int=referral), agency_id=agency, agency_reference=f"REF-{referral}", at=hours(at)
    )


def accepted(referral: int, agency: str = SCHOOL, *, at: float = 1) -> e.ReferralAccepted:
    return referral_accepted(
        referral_id=UUID(int=referral), agency_id=agency, received_at=hours(at - 1), at=hours(at)
    )


def redirected(referral: int, agency: str = SCHOOL, *, at: float = 1) -> e.ReferralRedirected:
    return referral_redirected(referral_id=UUID(int=referral), agency_id=agency, at=hours(at))


def ended(referral: int, agency: str = SCHOOL, *, at: float = 1) -> e.ReferralClosed:
    return referral_closed(referral_id=UUID(int=referral), agency_id=agency, at=hours(at))


def started(case: int, referral: int, *, at: float = 2) -> e.AssessmentStarted:
    return assessment_started(case_id=UUID(int=case), referral_id=UUID(int=referral), at=hours(at))


def led(case: int, lead: str = LEAD, *, at: float = 2) -> e.LeadProfessionalAssigned:
    return lead_professional_assigned(lead, case_id=UUID(int=case), at=hours(at))


def closed(case: int, *, at: float = 50) -> e.CaseClosed:
    return case_closed(case_id=UUID(int=case), at=hours(at))


def updates(known: Sequence[Heard], rule: str = "id_and_team") -> list[Update]:
    return updates_under(known, ReferrerRules.model_validate({"lead_professional": rule}))


def heard(events: Sequence[Event]) -> list[Heard]:
    return [Heard(UUID(int=1000 + number), event) for number, event in enumerate(events)]


def told(agency: str, *events: Event) -> list[str]:
    """Return the states that an agency is told, in order."""
    return [one.state for one in updates(heard(events)) if one.agency_id == agency]


WHOLE = (received(10), accepted(10), started(20, 10), led(20), closed(20))


def test_an_accepted_referral_is_followed_to_the_end_of_its_case() -> None:
    """Received, accepted, led, closed: each with its own moment, the reference and the referral."""
    found = updates(heard(WHOLE))
    assert [(one.state, one.occurred_at) for one in found] == [
        ("received", hours(0)),
        ("accepted", hours(1)),
        ("lead_professional_assigned", hours(2)),
        ("closed", hours(50)),
    ]
    assert {(one.agency_id, one.agency_reference, one.referral_id) for one in found} == {
        (SCHOOL, "REF-10", UUID(int=10))
    }
    assert [(one.lead_professional_id, one.team) for one in found] == [
        (None, None),
        (None, None),
        ("W-0601", "lt-ely"),
        (None, None),
    ]


def test_a_redirected_referral_says_to_whom_and_hears_nothing_more() -> None:
    """What another agency's referral leads to afterwards is not its business."""
    mine = (received(10), redirected(10))
    theirs = (received(11, POLICE, at=3), accepted(11, POLICE, at=4), started(20, 11, at=5), led(20, at=5))
    events = (*mine, *theirs, closed(20))
    assert told(SCHOOL, *events) == ["received", "redirected"]
    assert [one.redirected_to for one in updates(heard(events)) if one.agency_id == SCHOOL] == [
        None,
        "early_help",
    ]
    assert told(POLICE, *events) == ["received", "accepted", "lead_professional_assigned", "closed"]


def test_a_closed_referral_hears_nothing_more() -> None:
    """Closing is the last word, with no reason."""
    assert told(SCHOOL, received(10), ended(10), started(20, 11), led(20)) == ["received", "closed"]


def test_a_referral_for_an_open_case_joins_it() -> None:
    """Its agency hears who leads now, and what comes; the first agency's updates stay as they are."""
    second = (received(11, POLICE, at=10), accepted(11, POLICE, at=12))
    before, after = updates(heard(WHOLE)), updates(heard((*WHOLE, *second)))
    assert [one for one in after if one.agency_id == SCHOOL] == before
    assert [(one.state, one.occurred_at) for one in after if one.agency_id == POLICE] == [
        ("received", hours(10)),
        ("accepted", hours(12)),
        ("lead_professional_assigned", hours(12)),
        ("closed", hours(50)),
    ]


def test_a_referral_after_the_case_was_closed_does_not_join_it() -> None:
    """The next case is another one, with its own lead."""
    later = (received(11, POLICE, at=60), accepted(11, POLICE, at=61))
    assert told(POLICE, *WHOLE, *later) == ["received", "accepted"]
    with_case = (*WHOLE, *later, started(21, 11, at=62), led(21, "W-0602", at=62))
    leads = [one.lead_professional_id for one in updates(heard(with_case)) if one.agency_id == POLICE]
    assert leads == [None, None, "W-0602"]


def test_a_new_lead_is_told_and_an_earlier_one_is_not_told_to_who_joins_later() -> None:
    """Whoever joins hears of who leads then; whoever was there hears of both."""
    events = (*WHOLE[:4], led(20, "W-0602", at=5), received(11, POLICE, at=10), accepted(11, POLICE, at=12))
    by_agency = {
        agency: [
            one.lead_professional_id
            for one in updates(heard(events))
            if one.agency_id == agency and one.lead_professional_id is not None
        ]
        for agency in (SCHOOL, POLICE)
    }
    assert by_agency == {SCHOOL: ["W-0601", "W-0602"], POLICE: ["W-0602"]}


@pytest.mark.parametrize(
    ("rule", "lead"),
    [
        ("id_and_team", {"id": "W-0601", "team": "lt-ely"}),
        ("team", {"id": None, "team": "lt-ely"}),
        ("nothing", None),
    ],
)
def test_the_council_decides_what_is_seen_of_a_lead(rule: str, lead: object) -> None:
    """Id and team, the team alone, or nothing; that there is a lead, the state says in any case."""
    (found,) = [one for one in updates(heard(WHOLE), rule) if one.state == "lead_professional_assigned"]
    assert found.shown()["lead_professional"] == lead


def test_nothing_is_told_before_the_receipt_is_known() -> None:
    """Topics are read side by side: a case may be known before its referral, and waits for it."""
    assert updates(heard(WHOLE[1:])) == []


STORY = heard(
    (
        *WHOLE,
        received(11, POLICE, at=10),
        accepted(11, POLICE, at=12),
        received(12, at=20),
        redirected(12, at=21),
    )
)


@given(st.permutations(STORY))
def test_the_order_in_which_events_are_read_changes_nothing(shuffled: list[Heard]) -> None:
    """The same updates with the same ids, whatever came first and whatever came twice."""
    assert updates(shuffled) == updates(STORY)
    assert updates([*shuffled, *shuffled]) == updates(STORY)


@given(st.permutations(STORY), st.integers(0, len(STORY)))
def test_what_was_told_to_who_opened_the_case_stays_told(shuffled: list[Heard], known: int) -> None:
    """Events known later add updates; of a referral with a case of its own none is taken back."""

    def of_the_opener(found: list[Update]) -> set[UUID]:
        return {one.update_id for one in found if one.referral_id == UUID(int=10)}

    # Who opened the case is known once it has started; before that nothing but the decision is told.
    assert of_the_opener(updates(shuffled[:known])) <= of_the_opener(updates(STORY))


@pytest.mark.parametrize("event", TELLING)
def test_every_telling_event_is_read_from_the_bus(event: type[Event]) -> None:
    """An event that nobody handles would tell nobody."""
    assert event in HANDLERS


RULES = ReferrerRules(lead_professional="id_and_team")


def test_a_case_concerns_the_agencies_whose_referrals_led_to_it() -> None:
    """The one that opened it and the one that joined it; not the one whose referral was redirected."""
    elsewhere = (received(12, "gp-1", at=3), redirected(12, "gp-1", at=4))
    joined = (received(11, POLICE, at=10), accepted(11, POLICE, at=12))
    story = heard((*WHOLE[:4], *elsewhere, *joined))
    for event in (led(20, "W-0602", at=20), closed(20)):
        assert agencies_concerned(story, event, RULES) == [POLICE, SCHOOL]


def test_a_case_of_others_concerns_nobody_whose_referral_was_decided_otherwise() -> None:
    """The last referrer is not told of what another one's referral leads to; empty, not unknown."""
    story = heard((received(12, "gp-1"), redirected(12, "gp-1"), started(20, 10)))
    assert agencies_concerned(story, led(20), RULES) == []


def test_where_no_referral_is_known_nobody_can_say() -> None:
    """Topics are read side by side: a case may come before any referral."""
    assert agencies_concerned(heard((started(20, 10),)), led(20), RULES) is None


@pytest.mark.parametrize("earlier", [(), (received(9, "gp-1"), redirected(9, "gp-1"))])
def test_who_made_the_referral_that_a_case_began_with_is_told_before_its_acceptance_is_read(
    earlier: tuple[Event, ...],
) -> None:
    """The case says that it was accepted; whose referral was decided otherwise hears nothing."""
    story = heard((*earlier, received(10), started(20, 10)))
    assert agencies_concerned(story, led(20), RULES) == [SCHOOL]
    other_case = heard((*earlier, received(10), started(20, 10), started(21, 12)))
    assert agencies_concerned(other_case, led(21), RULES) == ([] if earlier else None)


def test_an_event_is_retold_once_and_only_where_it_tells_something() -> None:
    """A story has each event once; deadlines and plans are not of it."""
    story = retold((), received(10))
    assert [each.event for each in story] == [received(10)]
    assert retold(story, received(10)) == story
    assert retold(story, plan_reviewed(case_id=UUID(int=20))) == story
