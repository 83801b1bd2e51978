"""Times and days as they come in: RFC 3339 and nothing else, in headers, events and requests alike."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from pydantic import BeforeValidator

from schemas.events.fields import mistake

# The form alone: whether there is such a day or hour Python says. What it may take beyond RFC 3339, the hour
# 24:00 and offsets like +01:60, is kept out here.
_DAYS = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENTS = re.compile(r"\d{4}-\d\d-\d\d[Tt](?!24)\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:[0-5]\d)", re.ASCII)
_LEAP_SECOND = re.compile(r":60(?:\.\d+)?(?=[Z+-])", re.ASCII)
_BEFORE_IT = ":59.999999"
_MIDNIGHT = time()
_A_MICROSECOND = timedelta(microseconds=1)

NO_MOMENT = "write a time as 2026-09-07T08:00:00Z, with Z or an offset"
NO_DAY = "write a day as 2026-09-07"
BEYOND = "in UTC it lies before the year 1 or after the year 9999"


def moment_of(value: object) -> datetime:
    """Return the instant, in UTC, that RFC 3339 text or an aware datetime names.

    `T` and `Z` may be lower case; digits beyond microseconds are cut off. Python has no leap seconds: all
    of one, `23:59:60` UTC at the end of a month, becomes the last microsecond before it. So it stays on its
    day, and what happened in it is never earlier than what happened before.

    Raises PydanticCustomError, a ValueError, for everything else: times without an offset, a space for the
    `T`, week dates, ordinal dates, numbers.
    """
    if isinstance(value, str):
        if _MOMENTS.fullmatch(value) is None:
            raise mistake(NO_MOMENT)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = _seldom_written(value.upper())
    elif isinstance(value, datetime) and value.tzinfo is not None:
        moment = value
    else:
        raise mistake(NO_MOMENT)
    if moment.tzinfo is UTC:
        return moment
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise mistake(BEYOND) from None


def day_of(value: object) -> date:
    """Return the day that RFC 3339 text or a date names. Raises PydanticCustomError for everything else."""
    if isinstance(value, str) and _DAYS.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:  # the 30th of February
            raise mistake(NO_DAY) from None
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise mistake(NO_DAY)


def _seldom_written(text: str) -> datetime:
    """Return the instant of a text in upper case that has the right form, leap seconds included."""
    try:
        moment = datetime.fromisoformat(_LEAP_SECOND.sub(_BEFORE_IT, text)).astimezone(UTC)
        following = moment + _A_MICROSECOND
    except ValueError:  # the 30th of February
        raise mistake(NO_MOMENT) from None
    except OverflowError:
        raise mistake(BEYOND) from None
    if _LEAP_SECOND.search(text) and (following.day, following.time()) != (1, _MIDNIGHT):
        raise mistake(NO_MOMENT)
    return moment


Moment = Annotated[datetime, BeforeValidator(moment_of)]
"""An instant: any offset comes in, UTC goes out. A time without an offset is refused."""

Day = Annotated[date, BeforeValidator(day_of)]
"""A day of the calendar."""
