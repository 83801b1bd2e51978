"""Time limits as data, and the pure arithmetic that turns a trigger into moments."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from services.kernel.deadlines.calendar import WorkingCalendar

Unit = Literal["working_days", "calendar_days", "weeks", "months", "hours"]
CountFrom = Literal["same_day", "next_day"]
Roll = Literal["none", "next_working_day", "previous_working_day"]

_LAST_HOUR = timedelta(hours=1)
_ONE_DAY = timedelta(days=1)


class DeadlineRule(BaseModel):
    """One time limit, with its source.

    - `same_day` counts the day of the trigger as day 1, `next_day` the day after it. In working days, a
    trigger on a day off has the next working day as day 1 either way. - `roll` moves a last day that is not a
    working day; it never moves it before the trigger. - Hours run from the trigger itself, day and night:
    they take `count_from: same_day` and no roll.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """What must happen by the deadline, for example `Decide on the referral`."""
    starts: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """What starts the clock, in words. For explanation only; it has no effect."""
    limit: int = Field(ge=1, le=1000)
    unit: Unit
    count_from: CountFrom
    roll: Roll = "none"
    due_soon_before: int = Field(ge=0, le=250)
    """Working days before the last day (hours, when the unit is hours) at which it is due soon."""
    number: int | None = None
    """The row of the project's list of deadlines; none for a council's own."""
    source: Annotated[str, StringConstraints(min_length=1)]
    confidence: Literal["H", "M", "L"]
    """H: the primary text was read; M: a secondary source; L: no source at hand, check before use."""

    @model_validator(mode="after")
    def _hours_are_plain(self) -> Self:
        if self.unit == "hours" and (self.count_from != "same_day" or self.roll != "none"):
            message = "hours run from the moment itself: use count_from: same_day and roll: none"
            raise ValueError(message)
        return self

    @property
    def code(self) -> str:
        """Return the rule as a code for use in events, for example `1:working_days:next_day`."""
        code = f"{self.limit}:{self.unit}:{self.count_from}"
        return code if self.roll == "none" else f"{code}:{self.roll}"


@dataclass(frozen=True, slots=True)
class DeadlineDates:
    """The moments of one deadline, aware, UTC: trigger <= `due_soon_at` <= `due_from` <= `due_at`."""

    due_soon_at: datetime
    """When people are told that it is approaching."""
    due_from: datetime
    """When the last day begins (London); for hours, when the last hour begins."""
    due_at: datetime
    """The first moment that is late: London midnight at the end of the last day."""


def schedule(rule: DeadlineRule, trigger_at: datetime, calendar: WorkingCalendar) -> DeadlineDates:
    """Return when a deadline that starts at `trigger_at` is due soon, due and late.

    A later trigger never gives an earlier moment. A moment that would lie before the trigger is moved to the
    trigger. Raises ValueError when `trigger_at` has no offset.
    """
    start = calendar.london_date(trigger_at)
    trigger = trigger_at.astimezone(UTC)
    if rule.unit != "hours":
        return schedule_to(rule, _last_day(rule, start, calendar), trigger, calendar)
    due_at = trigger + timedelta(hours=rule.limit)
    due_from = due_at - _LAST_HOUR
    due_soon_at = due_at - timedelta(hours=rule.due_soon_before)
    return DeadlineDates(max(trigger, min(due_soon_at, due_from)), due_from, due_at)


def schedule_to(
    rule: DeadlineRule, last_day: date, not_before: datetime, calendar: WorkingCalendar
) -> DeadlineDates:
    """Return the moments of a deadline with a chosen last day, for example to give more time.

    `due_soon_before` of a rule in hours is ignored: such a deadline is due soon when its last day begins. No
    moment lies before `not_before`, which is aware and on the last day or earlier. Raises ValueError
    otherwise.
    """
    floor = not_before.astimezone(UTC)
    if calendar.london_date(not_before) > last_day:
        message = f"{last_day} is over at {not_before.isoformat()}: choose a later day"
        raise ValueError(message)
    ahead = 0 if rule.unit == "hours" else rule.due_soon_before
    due_from = max(floor, calendar.start_of_day(last_day))
    due_soon_at = max(floor, calendar.start_of_day(calendar.add_working_days(last_day, -ahead)))
    return DeadlineDates(min(due_soon_at, due_from), due_from, calendar.start_of_day(last_day + _ONE_DAY))


def _last_day(rule: DeadlineRule, start: date, calendar: WorkingCalendar) -> date:
    counted_after = start - _ONE_DAY if rule.count_from == "same_day" else start
    match rule.unit:
        case "working_days":
            return calendar.add_working_days(counted_after, rule.limit)
        case "months":
            last = _months_after(start, rule.limit) - (start - counted_after)
        case "weeks":
            last = counted_after + timedelta(weeks=rule.limit)
        case _:
            last = counted_after + timedelta(days=rule.limit)
    if rule.roll == "next_working_day":
        return calendar.next_working_day(last)
    if rule.roll == "previous_working_day":
        return max(start, calendar.previous_working_day(last))
    return last


def _months_after(day: date, months: int) -> date:
    """Return the corresponding date `months` later, or the month's last day if it has no such date."""
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))
