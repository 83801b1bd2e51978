"""When the county acts: the moments at which simulated time stops."""

from datetime import UTC, datetime, timedelta

from services.kernel.deadlines.calendar import LONDON, WorkingCalendar

WORKING_HOURS = (9, 11, 13, 15, 17)
"""London time. Together with every midnight, at which deadlines pass."""

DAY_OFF_HOURS = (14,)
"""Emergency duty looks in on days off."""

INBOX_HOURS = (9, 15)
"""When people go through their inboxes."""


def moments(start: datetime, days: int, calendar: WorkingCalendar) -> list[datetime]:
    """Return the moments of `days` days of London's from `start` on, the last midnight included; UTC."""
    first = start.astimezone(LONDON).date()
    found: list[datetime] = []
    for offset in range(days + 1):
        day = first + timedelta(days=offset)
        found.append(calendar.start_of_day(day))
        if offset < days:
            hours = WORKING_HOURS if calendar.is_working_day(day) else DAY_OFF_HOURS
            found += [
                datetime(day.year, day.month, day.day, hour, tzinfo=LONDON).astimezone(UTC) for hour in hours
            ]
    return [moment for moment in found if moment >= start]


def at_work(now: datetime, calendar: WorkingCalendar) -> bool:
    """Return whether practitioners other than emergency duty work at this moment."""
    hour = now.astimezone(LONDON).hour
    return WORKING_HOURS[0] <= hour <= WORKING_HOURS[-1] and calendar.is_working_day(
        calendar.london_date(now)
    )


def looks_into_inbox(now: datetime, calendar: WorkingCalendar) -> bool:
    """Return whether this is a moment at which people go through their inboxes."""
    return at_work(now, calendar) and now.astimezone(LONDON).hour in INBOX_HOURS


def working_days_after(since: datetime, count: int, calendar: WorkingCalendar) -> datetime:
    """Return the beginning of the `count`-th working day after a moment; the moment itself for 0."""
    if count == 0:
        return since
    return calendar.start_of_day(calendar.add_working_days(calendar.london_date(since), count))
