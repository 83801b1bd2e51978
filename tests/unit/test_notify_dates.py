"""Dates as people enter them."""

from datetime import date

import pytest

from services.kernel.web.pages.dates import EnteredDay


@pytest.mark.parametrize(
    ("day", "month", "year"),
    [("7", "9", "2026"), ("07", "09", "2026"), ("7", "Sep", "2026"), ("7", "september", "2026")],
)
def test_a_month_is_a_number_or_a_word(day: str, month: str, year: str) -> None:
    """Shown as one, whichever it was."""
    entered = EnteredDay(day, month, year)
    assert entered.value == date(2026, 9, 7)
    assert entered.words == "7 September 2026"


@pytest.mark.parametrize(
    "entered",
    [
        EnteredDay(),
        EnteredDay("31", "2", "2026"),
        EnteredDay("7", "S", "2026"),
        EnteredDay("7", "13", "2026"),
        EnteredDay("7", "9", "26"),
        EnteredDay("7", "9", "9" * 20),
        EnteredDay("seven", "9", "2026"),
        EnteredDay("1_0", "9", "2026"),
        EnteredDay("+7", "9", "2026"),
        EnteredDay("\u0667", "9", "2026"),
    ],
)
def test_what_is_no_date_is_none(entered: EnteredDay) -> None:
    """Nor is one beyond every case; two digits are no year."""
    assert entered.value is None
    assert not entered.words


def test_what_was_entered_is_kept_word_for_word() -> None:
    """So that the page shows it again beside what is wrong; only its length is bounded."""
    sent = {"since-day": " 7 ", "since-month": "x" * 500}
    entered = EnteredDay.read(lambda name: sent.get(name, ""), "since")
    assert (entered.day, entered.month, entered.year) == ("7", "x" * 20, "")
    assert not entered.is_empty
    assert EnteredDay.of(None).is_empty
    assert EnteredDay.of(date(2026, 9, 7)) == EnteredDay("7", "9", "2026")
