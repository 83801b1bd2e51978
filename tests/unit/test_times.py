"""Times and days are RFC 3339 and nothing else."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from schemas.events.times import BEYOND, NO_MOMENT, day_of, moment_of

OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(
    min_value=datetime(2, 1, 1),  # noqa: DTZ001 - hypothesis takes naive bounds
    max_value=datetime(9998, 12, 31),  # noqa: DTZ001 - hypothesis takes naive bounds
    timezones=OFFSETS,
)


@given(MOMENTS)
def test_every_moment_that_python_writes_is_read_as_the_same_instant_in_utc(moment: datetime) -> None:
    """With any offset, with and without microseconds, in either case."""
    for text in (moment.isoformat(), moment.astimezone(UTC).isoformat().replace("+00:00", "Z")):
        for written in (text, text.lower()):
            assert moment_of(written) == moment
            assert moment_of(written).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-09-07T08:00:00z", datetime(2026, 9, 7, 8, tzinfo=UTC)),
        ("2026-09-07t08:00:00z", datetime(2026, 9, 7, 8, tzinfo=UTC)),
        ("2026-09-07T08:00:00.5+01:00", datetime(2026, 9, 7, 7, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-09-07T08:00:00.123456789Z", datetime(2026, 9, 7, 8, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-09-07T08:00:00-00:00", datetime(2026, 9, 7, 8, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_whichever_way_rfc_3339_lets_it_be_written(text: str, moment: datetime) -> None:
    """Letters in lower case, any number of digits, and the offset of nobody knows where."""
    assert moment_of(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "1990-12-31T23:59:60Z",
        "1990-12-31t23:59:60z",
        "1990-12-31T15:59:60-08:00",
        "1991-01-01T00:59:60.75+01:00",
    ],
)
def test_a_leap_second_is_the_last_microsecond_before_it(text: str) -> None:
    """It stays on its day, and comes after everything that came before."""
    assert moment_of(text) == datetime(1990, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-W37-1T08:00:00Z",
        "2026-250T08:00:00Z",
        "20260907T080000Z",
        "2026-09-07 08:00:00Z",
        "2026-09-07T08:00Z",
        "2026-09-07T08:00:00",
        "2026-09-07T08:00:00+01",
        "2026-09-07T08:00:00+0100",
        "2026-09-07T08:00:00+01:00:30",
        "2026-09-07T08:00:00,5Z",
        "2026-09-07T08:00:00.Z",
        "2026-09-07T24:00:00Z",
        "2026-09-07T08:00:00+24:00",
        "2026-09-07T08:00:00+01:60",
        "2026-09-07T08:00:60Z",
        "2026-09-07T23:59:60Z",
        "2026-09-30T23:59:60+01:00",
        "2026-09-30T23:59:61Z",
        "9999-12-31T23:59:60Z",
        "2026-02-30T08:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-09-07T08:00:00Z\n",
        " 2026-09-07T08:00:00Z",
        "\u0662026-09-07T08:00:00Z",
        "2026-09-07",
        "1757232000",
        "",
        "yesterday",
    ],
)
def test_what_is_no_time_of_rfc_3339_is_refused_in_words_that_quote_nothing(text: str) -> None:
    """ISO 8601 has more ways of writing times than anybody reads."""
    with pytest.raises(PydanticCustomError) as refused:
        moment_of(text)
    assert str(refused.value) in {NO_MOMENT, BEYOND}


@pytest.mark.parametrize(
    "value", [0, 1757232000, 1757232000.5, True, None, date(2026, 9, 7), [], b"x"], ids=repr
)
def test_what_is_no_text_is_no_time(value: object) -> None:
    """Seconds since when, and where?"""
    with pytest.raises(ValueError, match="write a time"):
        moment_of(value)


def test_our_own_code_may_use_any_aware_datetime_and_no_other() -> None:
    """It becomes UTC; one without an offset is as good as none."""
    hour_ahead = timezone(timedelta(hours=1))
    assert moment_of(datetime(2026, 9, 7, 8, tzinfo=hour_ahead)) == datetime(2026, 9, 7, 7, tzinfo=UTC)
    with pytest.raises(ValueError, match="write a time"):
        moment_of(datetime(2026, 9, 7, 8))  # noqa: DTZ001 - what must be refused


@given(st.dates())
def test_every_day_is_read_as_python_writes_it(day: date) -> None:
    """Four digits, two, two."""
    assert day_of(day.isoformat()) == day == day_of(day)


@pytest.mark.parametrize(
    "value",
    [
        "2026-W37-1",
        "2026-250",
        "20260907",
        "2026-9-7",
        "2026-02-30",
        "2026-09-07T00:00:00Z",
        "07/09/2026",
        "1757203200",
        "",
        0,
        1757203200,
        None,
        datetime(2026, 9, 7, tzinfo=UTC),
    ],
    ids=repr,
)
def test_what_is_no_day_of_rfc_3339_is_refused(value: object) -> None:
    """A moment is no day either: it depends on where one is."""
    with pytest.raises(ValueError, match=r"^write a day as 2026-09-07$"):
        day_of(value)
