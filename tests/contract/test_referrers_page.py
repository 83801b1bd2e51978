"""The page for referring agencies says what the API answers: its fields and states are the ones there are."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args
from uuid import UUID

from services.notify.api.referrers import Cursor, ShownUpdate, read_cursor
from services.notify.referrers.policy import State, Update

PAGE = Path(__file__).parents[2] / "docs" / "referrers.md"
UPDATE = Update(
    UUID(int=1),
    "school-1",
    UUID(int=2),
    "REF-17",
    "lead_professional_assigned",
    datetime(2026, 9, 7, 9, 0, tzinfo=UTC),
    UUID(int=3),
    lead_professional_id="W-0601",
    team="lt-ely",
)


def first_column(table: str) -> list[str]:
    """Return the first words of a table between `<!-- name: ... -->` and `<!-- end of name -->`."""
    text = PAGE.read_text(encoding="utf-8")
    match = re.search(rf"<!-- {table}:.*?-->\n(.*?)<!-- end of {table} -->", text, re.DOTALL)
    assert match is not None, f"the page has no table of {table}"
    return re.findall(r"^\| `(\w+)` \|", match.group(1), re.MULTILINE)


def test_the_fields_are_the_ones_that_are_answered() -> None:
    """Each field of an update, in its order, and no other."""
    assert list(UPDATE.shown()) == first_column("fields")
    assert list(ShownUpdate.model_fields) == first_column("fields")
    assert ShownUpdate.model_validate(UPDATE.shown()).model_dump(mode="json") == UPDATE.shown()


def test_the_states_are_the_ones_that_there_are() -> None:
    """Each state that an update can tell of."""
    assert list(get_args(State)) == first_column("states")


def test_the_cursor_of_the_example_is_one_of_ours() -> None:
    """A reader may try the page's own cursor: it is well formed."""
    (given,) = re.findall(r'"cursor": "([^"]+)"', PAGE.read_text(encoding="utf-8"))
    cursor = read_cursor(given)
    assert cursor == Cursor(4, 0x6D2A6B6C6F0E5D2F)
    assert cursor is not None
    assert cursor.text() == given
