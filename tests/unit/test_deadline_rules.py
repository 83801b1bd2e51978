"""From a rule and a trigger to the moments at which a deadline is due soon, due and late."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.events.base import Code
from services.kernel.deadlines.calendar import LONDON, WorkingCalendar
from services.kernel.deadlines.rules import DeadlineRule, schedule, schedule_to

CALENDAR = WorkingCalendar()


def rule(limit: int, unit: str, count_from: str = "next_day", **more: Any) -> DeadlineRule:
    """Return a rule with the fields that matter to a test."""
    fields = {"words": "Do it", "starts": "now", "source": "a test", "confidence": "H", "due_soon_before": 0}
    return DeadlineRule.model_validate(
        fields | {"limit": limit, "unit": unit, "count_from": count_from} | more
    )


def london(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """Return a moment by London's clocks."""
    return datetime(year, month, day, hour, minute, tzinfo=LONDON)


@st.composite
def rules(draw: st.DrawFn) -> DeadlineRule:
    """Draw any valid rule."""
    unit = draw(st.sampled_from(["working_days", "calendar_days", "weeks", "months", "hours"]))
    hours = unit == "hours"
    return rule(
        draw(st.integers(1, 60)),
        unit,
        "same_day" if hours else draw(st.sampled_from(["same_day", "next_day"])),
        roll="none" if hours else draw(st.sampled_from(["none", "next_working_day", "previous_working_day"])),
        due_soon_before=draw(st.integers(0, 40)),
    )


MOMENTS = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis takes naive bounds


@pytest.mark.parametrize(
    ("limit", "unit", "count_from", "trigger", "last"),
    [
        # one working day
        (1, "working_days", "next_day", london(2026, 6, 8, 10), date(2026, 6, 9)),
        (1, "working_days", "same_day", london(2026, 6, 8, 10), date(2026, 6, 8)),
        (1, "working_days", "next_day", london(2026, 4, 2, 16), date(2026, 4, 7)),  # over Easter
        (1, "working_days", "next_day", london(2026, 12, 24, 9), date(2026, 12, 29)),  # over Christmas
        # on a day off, the next working day is day 1 either way
        (1, "working_days", "next_day", london(2026, 4, 4, 12), date(2026, 4, 7)),
        (1, "working_days", "same_day", london(2026, 4, 4, 12), date(2026, 4, 7)),
        # late in a summer evening it is the next day in UTC, but not in London
        (1, "working_days", "next_day", london(2026, 6, 8, 0, 30), date(2026, 6, 9)),
        # the other units
        (10, "calendar_days", "next_day", london(2026, 3, 27, 9), date(2026, 4, 6)),
        (10, "calendar_days", "same_day", london(2026, 3, 27, 9), date(2026, 4, 5)),
        (6, "weeks", "next_day", london(2026, 3, 2, 9), date(2026, 4, 13)),
        (6, "weeks", "same_day", london(2026, 3, 2, 9), date(2026, 4, 12)),
        (3, "months", "next_day", london(2026, 1, 15, 9), date(2026, 4, 15)),
        (3, "months", "same_day", london(2026, 1, 15, 9), date(2026, 4, 14)),
        (1, "months", "next_day", london(2026, 1, 31, 9), date(2026, 2, 28)),  # no 31 February
        (6, "months", "next_day", london(2027, 8, 31, 9), date(2028, 2, 29)),  # a leap year
    ],
)
def test_the_last_day_is_counted_as_the_rule_says(
    limit: int, unit: str, count_from: str, trigger: datetime, last: date
) -> None:
    """It is due from the start of the last day, and late from the first moment of the day after."""
    dates = schedule(rule(limit, unit, count_from), trigger, CALENDAR)
    assert dates.due_from == max(trigger, CALENDAR.start_of_day(last))
    assert dates.due_at == CALENDAR.start_of_day(last + timedelta(days=1))


@pytest.mark.parametrize("limit", [45, 15])
def test_same_day_agrees_with_the_census_rules(limit: int) -> None:
    """On 31 March 2026 a start `limit - 1` working days ago is in time, and `limit` working days ago is late.

    That is what the census validator's code for 8670Q (45) and 8675Q (15) was seen to do.
    """
    reference = london(2026, 3, 31, 12)
    same_day = rule(limit, "working_days", "same_day")
    in_time = CALENDAR.start_of_day(CALENDAR.add_working_days(date(2026, 3, 31), -(limit - 1)))
    late = CALENDAR.start_of_day(CALENDAR.add_working_days(date(2026, 3, 31), -limit))
    assert reference < schedule(same_day, in_time, CALENDAR).due_at
    assert reference >= schedule(same_day, late, CALENDAR).due_at
    next_day = rule(limit, "working_days", "next_day")
    assert reference < schedule(next_day, late, CALENDAR).due_at


@pytest.mark.parametrize(
    ("roll", "last"),
    [
        ("none", date(2026, 4, 4)),
        ("next_working_day", date(2026, 4, 7)),
        ("previous_working_day", date(2026, 4, 2)),
    ],
)
def test_a_last_day_off_rolls_as_the_rule_says(roll: str, last: date) -> None:
    """Two weeks from Saturday 21 March 2026 end on Easter Saturday."""
    dates = schedule(rule(2, "weeks", roll=roll), london(2026, 3, 21, 9), CALENDAR)
    assert dates.due_from == CALENDAR.start_of_day(last)


def test_rolling_back_stops_at_the_day_of_the_trigger() -> None:
    """A limit that ends on the Sunday it starts on stays there, rather than end on the Friday before."""
    sunday = london(2026, 6, 7, 15)
    dates = schedule(rule(1, "calendar_days", "same_day", roll="previous_working_day"), sunday, CALENDAR)
    assert dates.due_from == sunday
    assert dates.due_at == london(2026, 6, 8)


@pytest.mark.parametrize(
    ("trigger", "due_at"),
    [
        (london(2026, 3, 27, 9), london(2026, 3, 31)),  # the weekend has 47 hours
        (london(2026, 10, 23, 9), london(2026, 10, 27)),  # the weekend has 49 hours
    ],
)
def test_days_end_at_londons_midnight_when_the_clocks_change(trigger: datetime, due_at: datetime) -> None:
    """Monday ends at midnight in London, whatever the clocks did on Sunday."""
    assert schedule(rule(1, "working_days"), trigger, CALENDAR).due_at == due_at


def test_hours_run_from_the_moment_through_nights_and_clock_changes() -> None:
    """72 hours are 72 hours; the last of them is when it is due."""
    trigger = london(2026, 3, 27, 9)
    dates = schedule(rule(72, "hours", "same_day", due_soon_before=24), trigger, CALENDAR)
    assert dates.due_at - trigger.astimezone(UTC) == timedelta(hours=72)
    assert dates.due_from == dates.due_at - timedelta(hours=1)
    assert dates.due_soon_at == dates.due_at - timedelta(hours=24)


def test_due_soon_is_counted_in_working_days() -> None:
    """Three working days before the Wednesday after Easter is the Wednesday before it."""
    dates = schedule(rule(10, "working_days", due_soon_before=3), london(2026, 3, 23, 9), CALENDAR)
    assert dates.due_from == london(2026, 4, 8)
    assert dates.due_soon_at == london(2026, 4, 1)


def test_a_one_off_holiday_gives_a_day_more() -> None:
    """Counted again on a calendar with the new day off, the same trigger ends a working day later."""
    announced = WorkingCalendar(frozenset({date(2026, 6, 9)}))
    assert schedule(rule(1, "working_days"), london(2026, 6, 8, 10), announced).due_at == london(2026, 6, 11)


@given(rule=rules(), trigger=MOMENTS)
def test_moments_come_in_order_and_never_before_the_trigger(rule: DeadlineRule, trigger: datetime) -> None:
    """trigger <= due soon <= due <= late, and it is late strictly after the trigger; all in UTC."""
    dates = schedule(rule, trigger, CALENDAR)
    assert trigger <= dates.due_soon_at <= dates.due_from <= dates.due_at
    assert trigger < dates.due_at
    assert {dates.due_soon_at.tzinfo, dates.due_from.tzinfo, dates.due_at.tzinfo} == {UTC}


@given(rule=rules(), trigger=MOMENTS, later=st.timedeltas(timedelta(0), timedelta(days=40)))
def test_a_later_trigger_never_gives_an_earlier_moment(
    rule: DeadlineRule, trigger: datetime, later: timedelta
) -> None:
    """Correcting the trigger to a later moment never makes anything due earlier."""
    first, second = schedule(rule, trigger, CALENDAR), schedule(rule, trigger + later, CALENDAR)
    assert first.due_soon_at <= second.due_soon_at
    assert first.due_from <= second.due_from
    assert first.due_at <= second.due_at


@given(rule=rules(), trigger=MOMENTS)
def test_counting_the_same_day_is_never_later_than_counting_the_next(
    rule: DeadlineRule, trigger: datetime
) -> None:
    """`same_day` is the cautious reading."""
    assume(rule.unit != "hours")
    same = schedule(rule.model_copy(update={"count_from": "same_day"}), trigger, CALENDAR)
    after = schedule(rule.model_copy(update={"count_from": "next_day"}), trigger, CALENDAR)
    assert same.due_at <= after.due_at


@given(rule=rules(), now=MOMENTS, ahead=st.integers(0, 90))
def test_a_chosen_last_day_is_kept(rule: DeadlineRule, now: datetime, ahead: int) -> None:
    """More time ends when the chosen day ends, and its moments keep their order."""
    last = CALENDAR.london_date(now) + timedelta(days=ahead)
    dates = schedule_to(rule, last, now, CALENDAR)
    assert now <= dates.due_soon_at <= dates.due_from < dates.due_at
    assert dates.due_at == CALENDAR.start_of_day(last + timedelta(days=1))


def test_a_day_that_is_over_can_not_be_chosen() -> None:
    """More time ends in the future."""
    with pytest.raises(ValueError, match="2026-06-07 is over"):
        schedule_to(rule(1, "working_days"), date(2026, 6, 7), london(2026, 6, 8, 0, 1), CALENDAR)


def test_a_trigger_without_offset_is_refused() -> None:
    """A naive moment is refused, not guessed."""
    with pytest.raises(ValueError, match="has no offset"):
        schedule(rule(1, "hours", "same_day"), datetime(2026, 6, 8, 10), CALENDAR)  # noqa: DTZ001 - the point


@pytest.mark.parametrize("more", [{"count_from": "next_day"}, {"roll": "next_working_day"}])
def test_hours_take_neither_a_roll_nor_the_next_day(more: dict[str, str]) -> None:
    """A rule that would be read one way and counted another is refused."""
    with pytest.raises(ValidationError, match="hours run from the moment itself"):
        rule(72, "hours", **{"count_from": "same_day"} | more)


def test_the_code_of_a_rule_says_how_it_is_counted() -> None:
    """Number, unit, first day, and the roll when there is one."""
    assert rule(1, "working_days").code == "1:working_days:next_day"
    rolled = rule(6, "weeks", roll="previous_working_day")
    assert rolled.code == "6:weeks:next_day:previous_working_day"


@given(rule=rules())
def test_the_code_of_any_rule_may_travel(rule: DeadlineRule) -> None:
    """Every rule has a code that events accept."""
    assert TypeAdapter(Code).validate_python(rule.code) == rule.code
    assert re.fullmatch(r"\d+:[a-z_]+:(same|next)_day(:[a-z_]+)?", rule.code)
