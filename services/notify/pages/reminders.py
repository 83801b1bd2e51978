"""The reminder times that the form offers, and their moments. Pure."""

from datetime import date, datetime, timedelta

from services.kernel.deadlines.calendar import LONDON, WorkingCalendar
from services.kernel.web.pages.answers import Forbidden
from services.notify.pack.model import NotifyPack
from services.notify.pack.notifications import UrgencyRules
from services.notify.preferences.hours import at

LENGTHS: tuple[tuple[str, str], ...] = (
    ("1", "in 1 hour"),
    ("4", "in 4 hours"),
    ("tomorrow", "the next working morning"),
    ("72", "in 3 days"),
    ("168", "in 7 days"),
)


def until(chosen: str, *, now: datetime, pack: NotifyPack) -> datetime:
    """Return until when an alert is put off. Raises Forbidden for what the form does not offer."""
    if chosen not in dict(LENGTHS):
        raise Forbidden
    if chosen == "tomorrow":
        begins = pack.notifications.working_day.begins
        return at(_next_working_day(now.astimezone(LONDON).date(), pack.working_calendar), begins)
    return now + timedelta(hours=int(chosen))


def allowed(rules: UrgencyRules, *, now: datetime, pack: NotifyPack) -> list[tuple[str, str]]:
    """Return the lengths that an urgency allows at a moment."""
    longest = timedelta(hours=rules.snooze_at_most_hours)
    return [(value, words) for value, words in LENGTHS if until(value, now=now, pack=pack) - now <= longest]


def _next_working_day(day: date, calendar: WorkingCalendar) -> date:
    day += timedelta(days=1)
    while not calendar.is_working_day(day):
        day += timedelta(days=1)
    return day
