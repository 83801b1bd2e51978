"""What partner agencies send: the same for a seed, every path in a month, and nothing personal."""

import json
import re
from collections import Counter
from datetime import datetime, timedelta

import pytest

from schemas.events import ReferralMade
from services.county.partner_bus import message_of
from services.county.people import County
from services.county.plan import NO_LOCALITY, Step, county_month
from services.county.timetable import moments
from services.kernel.deadlines.calendar import LONDON
from services.kernel.messages.envelope import decode
from services.kernel.messages.record import Record
from tests.tooling.county_lists import CALENDAR, COUNTY

MONDAY = datetime(2026, 9, 7, tzinfo=LONDON)
SEEDS = (1, 7, 42, 2026)


def month(seed: int = 7, *, days: int = 30, scale: float = 1.0) -> list[Step]:
    return county_month(seed, MONDAY, days, scale, localities=COUNTY.places)


def new(plan: list[Step]) -> list[Step]:
    return [step for step in plan if step.repeats == "nothing"]


def test_the_same_seed_is_the_same_month() -> None:
    """Everything that is sent, its ids and its moments follow from the seed alone."""
    assert month(7) == month(7)
    assert month(7) != month(8)


def test_a_longer_month_begins_like_a_shorter_one() -> None:
    """Ten more days add steps and change none of the first days."""
    before = MONDAY + timedelta(days=10)
    assert [step for step in month(days=20) if step.at < before] == month(days=10)


def test_a_larger_county_keeps_the_families_of_the_smaller_one() -> None:
    """Scale adds families; the first ones stay who they are."""
    small = County.of(7, localities=COUNTY.places, scale=1.0)
    large = County.of(7, localities=COUNTY.places, scale=2.0)
    assert large.families[: len(small.families)] == small.families
    assert len(large.families) == 2 * len(small.families)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_month_has_the_size_of_a_small_county(seed: int) -> None:
    """About 120 to 220 referrals, so that a month plays in about a minute."""
    assert 120 <= len(new(month(seed))) <= 220


@pytest.mark.parametrize("seed", SEEDS)
def test_a_month_contains_every_way_to_refer(seed: int) -> None:
    """Channels, siblings, second agencies, information only, immediate risk, repetitions, a lost place."""
    plan = month(seed)
    referrals = [step.referral for step in new(plan)]
    assert {step.channel for step in new(plan)} == {"http", "bus"}
    assert {step.repeats for step in plan} == {"nothing", "delivery", "entry"}
    assert any(referral.immediate_risk for referral in referrals)
    assert any(referral.information_only for referral in referrals)
    assert any(referral.locality == NO_LOCALITY for referral in referrals)
    families = Counter((referral.family_id, referral.made_at) for referral in referrals if referral.family_id)
    assert max(families.values()) > 1
    agencies = Counter(
        child for child, _ in {(referral.child_id, referral.agency_id) for referral in referrals}
    )
    assert max(agencies.values()) > 1


@pytest.mark.parametrize("seed", SEEDS)
def test_every_message_has_its_own_id_but_its_repetitions(seed: int) -> None:
    """A delivery that is repeated carries the first one's id; a second entry carries a new one."""
    plan = month(seed)
    ids = Counter(step.message_id for step in plan if step.repeats != "delivery")
    assert max(ids.values()) == 1
    for step in plan:
        if step.repeats == "delivery":
            assert step.message_id in ids
    references = Counter(step.referral.agency_reference for step in new(plan))
    assert max(references.values()) == 1


def test_only_the_bus_can_lack_a_locality() -> None:
    """The API refuses an unknown locality, so nobody sends one there."""
    for seed in SEEDS:
        assert all(
            step.channel == "bus" for step in month(seed) if step.referral.locality not in COUNTY.places
        )


def test_schools_call_in_their_hours_and_the_police_at_any() -> None:
    """Agencies keep their own hours, London time."""
    for seed in SEEDS:
        for step in new(month(seed)):
            local = step.at.astimezone(LONDON)
            if step.referral.agency == "school":
                assert 8 <= local.hour < 16
                assert CALENDAR.is_working_day(local.date())
    nights = [step for step in new(month(7)) if step.at.astimezone(LONDON).hour < 7]
    assert {step.referral.agency.value for step in nights} <= {"police", "hospital"}
    assert nights


def test_nothing_personal_is_sent() -> None:
    """Every value is an id, a code, a date or a flag: no word that could be a name, an address or a note."""
    harmless = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/+-]*")
    for step in month(7):
        body = json.loads(step.referral.encode())
        assert set(body) <= set(ReferralMade.model_fields)
        for value in body.values():
            for item in value if isinstance(value, list) else [value]:
                assert item is None or isinstance(item, bool) or harmless.fullmatch(item), item


def test_the_bus_message_is_the_referral_with_the_agency_as_its_source() -> None:
    """The envelope reads back: id, source, key and data."""
    step = next(step for step in month(7) if step.channel == "bus")
    key, value, headers = message_of(step)
    envelope = decode(Record("partner-events", 0, 0, key, value, tuple(headers)))
    assert (envelope.id, envelope.source) == (step.message_id, f"/partners/{step.referral.agency_id}")
    assert envelope.key == str(step.referral.child_id)
    assert ReferralMade.model_validate_json(envelope.data) == step.referral


def test_time_stops_at_every_midnight_and_during_the_day() -> None:
    """Deadlines pass at London's midnights; people work in between; the last midnight belongs to it."""
    stops = moments(MONDAY, 7, CALENDAR)
    assert stops == sorted(set(stops))
    locals_ = [stop.astimezone(LONDON) for stop in stops]
    assert [local.hour for local in locals_[:7]] == [0, 9, 11, 13, 15, 17, 0]
    assert sum(local.hour == 0 for local in locals_) == 8
    assert locals_[-1] == MONDAY + timedelta(days=7)


def test_every_step_of_a_month_is_sent_by_its_last_moment() -> None:
    """Nothing that an agency does is left over."""
    assert max(step.at for step in month(7)) <= moments(MONDAY, 30, CALENDAR)[-1]
