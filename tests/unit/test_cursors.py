"""Cursors: a key goes out and comes back; nothing else is taken, and every other text is refused alike."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.store.cursors import LONGEST, LONGEST_TEXT, Cursors, Key, Kind, WrongCursor, part_of

ALL: tuple[Kind, ...] = ("boolean", "integer", "text", "uuid", "moment")
CURSORS = Cursors.of("things, newest first", ALL, {"status": "open"})
KEY: Key = (True, 7, "W-0001", UUID(int=9), datetime(2026, 9, 7, 8, 0, 0, 1, tzinfo=UTC))

printable = st.text(st.characters(codec="utf-8"), max_size=LONGEST_TEXT).filter(str.isprintable)
keys = st.tuples(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    printable.filter(lambda text: len(json.dumps(text)) <= LONGEST_TEXT),
    st.uuids(),
    st.datetimes(timezones=st.just(UTC)),
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


def written(parts: object) -> str:
    """Return JSON as a cursor holds it, whatever it says."""
    raw = json.dumps(parts, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@given(keys)
def test_key_comes_back_as_it_went_out(key: Key) -> None:
    """Every value is the same afterwards, moments to the microsecond; the text is safe in an address."""
    text = CURSORS.write(key)
    assert CURSORS.read(text) == key
    assert text.replace("-", "").replace("_", "").isalnum()
    assert text.isascii()
    assert len(text) <= LONGEST


@pytest.mark.parametrize(
    "other",
    [
        Cursors.of("things, oldest first", ALL, {"status": "open"}),
        Cursors.of("things, newest first", ALL, {"status": "closed"}),
        Cursors.of("things, newest first", ALL, {}),
        Cursors.of("things, newest first", ALL[:-1], {"status": "closed"}),
    ],
    ids=["order", "filter", "no filter", "filter and kinds"],
)
def test_cursor_of_another_list_order_or_filter_is_refused(other: Cursors) -> None:
    """The sentence says that it is another's, and how to go on."""
    with pytest.raises(WrongCursor, match="belongs to another list, filter or order: use the ones"):
        other.read(CURSORS.write(KEY))


def test_order_in_which_filters_are_given_does_not_matter() -> None:
    """They are the same filters."""
    one, two = ({"a": 1, "b": UUID(int=2)}, {"b": UUID(int=2), "a": 1})
    assert Cursors.of("things", ALL, one) == Cursors.of("things", ALL, two)


PLAIN: list[Any] = [True, 7, "W-0001", UUID(int=9).hex, 1_788_768_000_000_001]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, 1),
        (0, None),
        (1, True),
        (1, 7.0),
        (1, "7"),
        (1, 2**63),
        (1, -(2**63) - 1),
        (2, 7),
        (2, "a\x00b"),
        (2, "\ud800"),
        (2, "\u202e"),
        (2, "x" * (LONGEST_TEXT + 1)),
        (3, "x"),
        (3, str(UUID(int=9))),
        (3, UUID(int=0xABCDEF).hex.upper()),
        (3, 9),
        (4, 2**63),
        (4, -(2**63)),
        (4, True),
        (4, 1.5),
        (4, "2026-09-07"),
    ],
)
def test_value_of_another_kind_or_beyond_its_range_is_refused(place: int, value: object) -> None:
    """Nothing reaches the database that it could stumble on."""
    assert CURSORS.read(written([1, CURSORS.mark, *PLAIN]))[:4] == KEY[:4]
    plain = [*PLAIN[:place], value, *PLAIN[place + 1 :]]
    with pytest.raises(WrongCursor, match="not a valid cursor"):
        CURSORS.read(written([1, CURSORS.mark, *plain]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        "=",
        "%00",
        "é",
        "\ud800",
        CURSORS.write(KEY) + "=",
        CURSORS.write(KEY) + "A",
        CURSORS.write(KEY)[:-1],
        CURSORS.write(KEY)[1:],
        "+" + CURSORS.write(KEY),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        base64.urlsafe_b64encode(b"[" * 300).decode(),
        base64.urlsafe_b64encode(b"9" * 380).decode().rstrip("="),
        base64.urlsafe_b64encode(b"[1, NaN]").decode().rstrip("="),
        written([1]),
        written([]),
        written({"1": CURSORS.mark}),
        written([2, CURSORS.mark, *PLAIN]),
        written([1, None, *PLAIN]),
        written([1, CURSORS.mark, *PLAIN[:-1]]),
        written([1, CURSORS.mark, *PLAIN, 1]),
        "x" * (LONGEST + 1),
        written([1, CURSORS.mark, *PLAIN]) * 10,
    ],
)
def test_text_that_is_no_cursor_is_refused(text: str) -> None:
    """In one sentence that quotes nothing of it."""
    with pytest.raises(WrongCursor) as refused:
        CURSORS.read(text)
    assert str(refused.value) == (
        "This is not a valid cursor: send one exactly as you received it, or none to start again."
    )


@given(
    st.one_of(
        st.text(max_size=2 * LONGEST), st.binary(max_size=LONGEST).map(lambda raw: raw.decode("latin-1"))
    )
)
def test_no_text_leads_to_another_error(text: str) -> None:
    """Whatever is sent, it is a cursor or it is refused."""
    with pytest.raises(WrongCursor):
        CURSORS.read(text)


@given(st.lists(anything, max_size=7).map(lambda values: [1, CURSORS.mark, *values]))
def test_no_values_lead_to_another_error(parts: list[object]) -> None:
    """Also of somebody who knows how our cursors are made: what is read is written the same."""
    text = written(parts)
    try:
        key = CURSORS.read(text)
    except WrongCursor:
        return
    assert CURSORS.write(key) == text


# A list while it is read: rows come and go between the pages. Ranks are few, so that many are the same.
rows = st.lists(st.tuples(st.integers(0, 3), st.uuids()), max_size=20, unique_by=lambda row: row[1])
changes = st.lists(st.tuples(st.sampled_from(["comes", "goes"]), st.integers(0, 3), st.uuids()), max_size=6)


@given(rows, st.lists(changes, max_size=8), st.integers(1, 5))
def test_what_is_there_throughout_is_shown_once_and_in_order(
    given_rows: list[tuple[int, UUID]], meanwhile: list[list[tuple[str, int, UUID]]], limit: int
) -> None:
    """Whatever comes and goes between the pages; and nothing at all comes twice."""
    cursors = Cursors.of("rows", ("integer", "uuid"), {})
    there, throughout = set(given_rows), set(given_rows)
    shown: list[tuple[int, UUID]] = []
    cursor: str | None = None
    pages = iter(meanwhile)
    while True:
        after = None if cursor is None else cursors.read(cursor)
        part = part_of(there, lambda row: row, limit=limit, after=after)
        shown += part.items
        if part.following is None:
            break
        cursor = cursors.write(part.following)
        for what, rank, row_id in next(pages, []):
            if what == "comes":
                there.add((rank, row_id))
            elif there:  # the one that is next to be shown, or one that was: each hides rows from an offset
                gone = sorted(there)[row_id.int % len(there)]
                there.discard(gone)
                throughout.discard(gone)
    assert throughout <= set(shown)
    assert len(shown) == len(set(shown))
    assert shown == sorted(shown)


def test_part_says_how_much_came_before_and_whether_more_follows() -> None:
    """The first, one in between and the last of three pages."""

    def part(after: Key | None) -> tuple[Sequence[int], int, int, Key | None, Key | None]:
        found = part_of(range(5), lambda number: (number,), limit=2, after=after)
        return found.items, found.passed, found.total, found.preceding, found.following

    assert part(None) == ([0, 1], 0, 5, None, (1,))
    assert part((1,)) == ([2, 3], 2, 5, (2,), (3,))
    assert part((3,)) == ([4], 4, 5, (4,), None)
    assert part((4,)) == ([], 5, 5, None, None)
