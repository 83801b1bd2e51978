"""Days and moments in words for people: London time, in English."""

from datetime import date, datetime, timedelta

from services.kernel.deadlines.calendar import LONDON

_MOMENT = timedelta(microseconds=1)
_DAY = timedelta(days=1)


def day_words(day: date) -> str:
    """Return a day, for example `3 March 2027`."""
    return f"{day.day} {day:%B %Y}"


def last_day(due_at: datetime) -> date:
    """Return the last London day that is in time; `due_at` is the first moment that is late."""
    return (due_at - _MOMENT).astimezone(LONDON).date()


def due_words(due_at: datetime) -> str:
    """Return a due moment, for example `end of 3 March 2027`, or with the time when it is not midnight."""
    local = due_at.astimezone(LONDON)
    if local.hour or local.minute:
        return f"{day_words(local.date())}, {local:%H:%M}"
    return f"end of {day_words(last_day(due_at))}"


def moment_words(moment: datetime, *, now: datetime) -> str:
    """Return when something happened: `today 14:05`, `yesterday 09:30` or `3 March 2027, 14:05`."""
    local, today = moment.astimezone(LONDON), now.astimezone(LONDON).date()
    if local.date() == today:
        return f"today {local:%H:%M}"
    if local.date() == today - _DAY:
        return f"yesterday {local:%H:%M}"
    return f"{day_words(local.date())}, {local:%H:%M}"


def sentence(words: str) -> str:
    """Return words with a capital first letter and the rest unchanged."""
    return words[:1].upper() + words[1:]
