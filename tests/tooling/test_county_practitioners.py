"""How practitioners react: by seed, thing and moment alone; and a month in which everything happens."""

import json
import re
from collections import Counter
from datetime import datetime
from functools import cache
from uuid import UUID

import pytest

from schemas.events.codes import AgencyKind, Role
from services.county.acts import Act, Doing
from services.county.casework import assessed_from
from services.county.placing import OBJECTIVES
from services.county.plan import county_month
from services.county.practitioners import Practitioners
from services.county.seen import Advice, AlertSeen, ReferralSeen
from services.county.timetable import moments
from services.kernel.deadlines.calendar import LONDON
from tests.tooling.county_lists import CALENDAR, COUNTY, Lists, working_days_between

MONDAY = datetime(2026, 9, 7, tzinfo=LONDON)
DEMO_SEEDS = (7, 42)


@cache
def month(seed: int, *, days: int = 30, shuffle: int | None = None) -> Lists:
    plan = county_month(seed, MONDAY, days, localities=COUNTY.places)
    return Lists(seed, shuffle=shuffle).live(plan, moments(MONDAY, days, CALENDAR))


def done(lists: Lists, doing: Doing) -> list[tuple[datetime, Act]]:
    return [(at, act) for at, act in lists.acts if act.doing is doing]


def by_key(lists: Lists) -> dict[str, tuple[datetime, str]]:
    return {act.key: (at, json.dumps(act.body, sort_keys=True)) for at, act in lists.acts}


def test_the_order_in_which_lists_are_read_changes_nothing() -> None:
    """Whatever the order of rows, everybody does the same at the same moment."""
    assert by_key(month(7, shuffle=1)) == by_key(month(7, shuffle=2)) == by_key(month(7))


def test_nothing_is_done_twice() -> None:
    """One key for each deed; a repeated request is the same deed."""
    keys = Counter(act.key for _, act in month(7).acts)
    assert max(keys.values()) == 1


def test_decisions_of_one_turn_are_of_different_places() -> None:
    """Who leads a case follows from which of two was accepted first, so chance must not say which."""
    places = {UUID(int=number): place for number, place in enumerate(("ely", "ely", "march", "ely"))}
    referrals = [
        ReferralSeen(
            referral_id=referral_id,
            child_id=referral_id,
            agency=AgencyKind.POLICE,
            locality=place,
            immediate_risk=True,
            received_at=MONDAY,
            advice=Advice(recommend="accept"),
        )
        for referral_id, place in places.items()
    ]
    turns = Practitioners(7, COUNTY, CALENDAR).decide(referrals, (), now=MONDAY)
    decided = [[places[UUID(act.path.split("/")[2])] for act in turn] for turn in turns]
    assert decided == [["ely", "march"], ["ely"], ["ely"]]


def test_a_child_is_the_subject_of_one_deed_at_a_moment() -> None:
    """What happens at one moment never depends on which of two deeds the system handles first."""
    lists = month(7)
    children = Counter(
        (at, child)
        for at, act in lists.acts
        if act.doing is not Doing.DECISION
        for child in [_child(lists, act)]
    )
    assert max(children.values()) == 1


@pytest.mark.parametrize("seed", DEMO_SEEDS)
def test_a_month_contains_every_path(seed: int) -> None:
    """Everything that can be seen in the demo happens, and often enough to be seen."""
    lists = month(seed)
    counts = Counter(act.doing for _, act in lists.acts)
    assert set(counts) == set(Doing) - {Doing.ACKNOWLEDGEMENT}
    assert counts[Doing.PLACEMENT_START] >= 10
    assert counts[Doing.PLACEMENT_END] >= 5
    assert counts[Doing.EXIT_INTERVIEW] >= 2
    outcomes = {act.body.get("outcome", "advice") for _, act in done(lists, Doing.DECISION)}
    assert outcomes == {"advice", "accept", "close"}
    locations = {act.body["location"] for _, act in done(lists, Doing.PLACEMENT_START)}
    assert locations == {"in_county", "out_of_county"}
    reviews = {act.body["outcome"] for _, act in done(lists, Doing.PLAN_REVIEW)}
    assert {"continue", "close"} <= reviews
    assert {case.status for case in lists.cases.values()} == {"assessing", "planned", "closed"}


@pytest.mark.parametrize("seed", DEMO_SEEDS)
def test_some_exit_interviews_are_late_or_never_held(seed: int) -> None:
    """After ten working days an exit interview is overdue: the demo shows at least one."""
    lists = month(seed)
    end = CALENDAR.london_date(moments(MONDAY, 30, CALENDAR)[-1])
    held = {act.path.split("/")[2]: at for at, act in done(lists, Doing.EXIT_INTERVIEW)}
    waits = [
        working_days_between(
            placement.ended_on,
            CALENDAR.london_date(held[str(placement.placement_id)])
            if str(placement.placement_id) in held
            else end,
        )
        for placement in lists.placements.values()
        if placement.ended_on is not None
    ]
    assert any(wait > 10 for wait in waits)
    assert any(wait <= 10 for wait in waits)


@pytest.mark.parametrize("seed", DEMO_SEEDS)
def test_some_referrals_are_decided_late_and_most_are_not(seed: int) -> None:
    """One working day is the limit: a few decisions miss it, so that overdue is seen."""
    plan = county_month(seed, MONDAY, 30, localities=COUNTY.places)
    received = {step.message_id: step.at for step in plan if step.repeats == "nothing"}
    waits = [
        working_days_between(CALENDAR.london_date(received[act.path.split("/")[2]]), CALENDAR.london_date(at))
        for at, act in done(month(seed), Doing.DECISION)
    ]
    late = sum(wait > 1 for wait in waits)
    assert 1 <= late <= len(waits) / 8


def test_a_child_who_may_be_in_danger_is_decided_on_at_once() -> None:
    """Emergency duty decides at the first moment after the referral, at night and on days off too."""
    stops = moments(MONDAY, 30, CALENDAR)
    decided = {act.path.split("/")[2]: at for at, act in done(month(7), Doing.DECISION)}
    plan = county_month(7, MONDAY, 30, localities=COUNTY.places)
    urgent = [step for step in plan if step.referral.immediate_risk and step.repeats == "nothing"]
    turns: Counter[object] = Counter()
    for step in urgent:
        first = next(stop for stop in stops if stop >= step.at)
        if not turns[step.referral.child_id]:
            assert decided[step.message_id] == first
        turns[step.referral.child_id] += 1
    assert urgent


def test_a_few_assessments_take_longer_than_45_working_days() -> None:
    """A play of three months sees them overdue; a month can not."""
    waits = [
        working_days_between(
            CALENDAR.london_date(case.started_at),
            CALENDAR.london_date(assessed_from(case, month(seed).people.present(MONDAY))),
        )
        for seed in (1, *DEMO_SEEDS)
        for case in month(seed).cases.values()
    ]
    assert any(wait > 45 for wait in waits)
    assert sum(wait <= 25 for wait in waits) > 0.9 * len(waits)


def test_nothing_personal_is_sent_by_practitioners() -> None:
    """Ids, codes, dates and flags; the only words are the standard wordings of objectives."""
    harmless = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/+-]*")
    standard = set(OBJECTIVES.values())
    for _, act in month(7).acts:
        for value in _values(act.body):
            assert isinstance(value, bool | int) or value in standard or harmless.fullmatch(str(value)), value


def test_alerts_are_seen_in_the_morning_and_in_the_afternoon() -> None:
    """Nobody acknowledges at night; the same alert is acknowledged in every run or in none."""
    people = month(7).people
    alerts = [
        AlertSeen(
            alert_id=case_id,
            recipient_id="W-0101",
            role=Role.LEAD_PROFESSIONAL,
            kind="assessment.started",
            about=case_id,
            raised_at=MONDAY,
        )
        for case_id in month(7).cases
    ]
    night = datetime(2026, 9, 9, 3, tzinfo=LONDON)
    morning = datetime(2026, 9, 9, 9, tzinfo=LONDON)
    assert people.look_into_inboxes(alerts, now=night) == []
    seen = people.look_into_inboxes(alerts, now=morning)
    assert 0 < len(seen) < len(alerts)
    again = people.look_into_inboxes(reversed(alerts), now=morning)
    assert {act.key for act in again} == {act.key for act in seen}


def test_whether_an_alert_is_seen_does_not_depend_on_who_leads() -> None:
    """Of two cases of one moment either may come first and take another lead: figures stay the same."""
    people, morning = month(7).people, datetime(2026, 9, 9, 9, tzinfo=LONDON)

    def seen_by(lead: str, others: int) -> int:
        alerts = [
            AlertSeen(
                alert_id=UUID(int=case_id.int ^ others),
                recipient_id=lead,
                role=Role.LEAD_PROFESSIONAL,
                kind="assessment.started",
                about=case_id,
                raised_at=MONDAY,
            )
            for case_id in month(7).cases
        ]
        return len(people.look_into_inboxes(alerts, now=morning))

    assert seen_by("W-0101", 1) == seen_by("W-0102", 2)


def _child(lists: Lists, act: Act) -> object:
    named = act.body.get("case_id") or act.path.split("/")[2]
    things = {
        **{str(key): case.child_id for key, case in lists.cases.items()},
        **{str(key): placement.child_id for key, placement in lists.placements.items()},
    }
    return things[named]


def _values(body: object) -> list[object]:
    if isinstance(body, dict):
        return [value for item in body.values() for value in _values(item)]
    if isinstance(body, list):
        return [value for item in body for value in _values(item)]
    return [body]
