"""What commands print: safe on a terminal, whole in a pipe."""

from datetime import UTC, datetime, timedelta

import pytest

from services.cli.deadlines import how_far
from services.cli.output import london, printable, show_rows

NOW = datetime(2026, 9, 7, 9, 0, tzinfo=UTC)


def test_text_from_outside_cannot_steer_the_terminal() -> None:
    """An escape sequence is shown, not obeyed; letters of every language stay."""
    assert printable("\x1b[2Jgone\r\x07") == "\\x1b[2Jgone\\r\\x07"
    assert printable("Siân\n\tŁódź") == "Siân\n\tŁódź"


def test_a_pipe_gets_every_cell_whole_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """However long a row is, a script finds it on one line under its header, brackets and all."""
    long = "x" * 300
    show_rows(("a", "name"), [(1, long), (22, "[bold]y[/bold]")], title="not shown")
    assert capsys.readouterr().out == f"a   name\n1   {long}\n22  [bold]y[/bold]\n"


def test_times_are_londons() -> None:
    """In September clocks are an hour ahead of UTC, in January they are not."""
    assert london(NOW) == "2026-09-07 10:00"
    assert london(datetime(2026, 1, 7, 9, 0, tzinfo=UTC)) == "2026-01-07 09:00"
    assert london(None) == ""


@pytest.mark.parametrize(
    ("away", "words"),
    [
        (timedelta(days=3, hours=5), "in 3 days"),
        (timedelta(hours=-1, minutes=-59), "1 hour ago"),
        (timedelta(minutes=2), "in 2 minutes"),
        (timedelta(seconds=30), "now"),
    ],
)
def test_a_distance_is_told_in_its_largest_whole_unit(away: timedelta, words: str) -> None:
    """Rounded down, in words a practitioner would use."""
    assert how_far(NOW + away, NOW) == words
