"""People's hours: working hours, quiet hours, the time of the digest. London times of day. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from pydantic import AfterValidator

from services.kernel.deadlines.calendar import LONDON, WorkingCalendar

_DAY = timedelta(days=1)


def _without_offset(moment: time) -> time:
    if moment.tzinfo is not None:
        message = "a time of day is London's and has no offset"
        raise ValueError(message)
    return moment


TimeOfDay = Annotated[time, AfterValidator(_without_offset)]


def after_working_hours(
    start: datetime, hours: float, *, begins: time, ends: time, calendar: WorkingCalendar
) -> datetime:
    """Return the moment at which this many working hours have passed since `start`.

    Working hours run from `begins` to `ends` on working days. Never before `start`; a later start never
    gives an earlier moment.
    """
    left = timedelta(hours=hours)
    day = calendar.london_date(start)
    while True:
        if calendar.is_working_day(day):
            opens, closes = max(start, at(day, begins)), at(day, ends)
            if closes > opens:
                if opens + left <= closes:
                    return opens + left
                left -= closes - opens
        day += _DAY


def peace_ends(now: datetime, *, quiet_from: time, quiet_until: time) -> datetime | None:
    """Return the end of the quiet hours around `now`; None outside quiet hours.

    They may run through midnight. The same time twice means that there are none.
    """
    local = now.astimezone(LONDON)
    moment = local.time()
    if quiet_from == quiet_until:
        return None
    if quiet_from < quiet_until:
        quiet, day = quiet_from <= moment < quiet_until, local.date()
    else:
        quiet = moment >= quiet_from or moment < quiet_until
        day = local.date() + _DAY if moment >= quiet_from else local.date()
    if not quiet:
        return None
    # In the hour that the clocks go through twice, peace may end at a moment that has been.
    return max(now, at(day, quiet_until))


def next_digest(
    now: datetime, *, digest_at: time, working_days_only: bool, calendar: WorkingCalendar
) -> datetime:
    """Return when the next digest goes out: after `now`, on every day or on working days only."""
    day = calendar.london_date(now)
    while at(day, digest_at) <= now or (working_days_only and not calendar.is_working_day(day)):
        day += _DAY
    return at(day, digest_at)


def at(day: date, moment: time) -> datetime:
    """Return a London time of day as an instant (UTC)."""
    return datetime.combine(day, moment, LONDON).astimezone(UTC)
