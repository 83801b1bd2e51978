"""The SQL of bulk writes, and the arrays that go with it. The flow tests run it on PostgreSQL."""

from dataclasses import dataclass

import pytest

from services.kernel.postgres.bulk import Columns
from services.kernel.postgres.statements import sql

THING = Columns(thing_id="uuid", version="integer", offset="bigint")
ARRAYS = "CAST(:thing_id AS uuid[]), CAST(:version AS integer[]), CAST(:offset AS bigint[])"
NAMES = 'thing_id, version, "offset"'


@dataclass(frozen=True)
class Thing:
    thing_id: int
    version: int = 1
    offset: int | None = None


def test_columns_as_text_are_their_names() -> None:
    """A word of SQL's own stands in quotation marks."""
    assert str(THING) == NAMES
    assert sql("SELECT {columns} FROM things", columns=THING).text == f"SELECT {NAMES} FROM things"


def test_rows_are_read_from_arrays() -> None:
    """Each parameter has its column's name and type."""
    assert THING.unnest("given") == f"unnest({ARRAYS}) AS given ({NAMES})"


def test_rows_can_be_counted() -> None:
    """The count is one more column, and no parameter."""
    assert (
        THING.unnest("given", ordinal=True) == f"unnest({ARRAYS}) WITH ORDINALITY AS given ({NAMES}, ordinal)"
    )


def test_insert_names_the_columns_on_both_sides() -> None:
    """So the order of the table's own columns does not matter."""
    expected = f"INSERT INTO things ({NAMES}) SELECT {NAMES} FROM unnest({ARRAYS}) AS incoming ({NAMES})"
    assert THING.insert("things") == expected


def test_insert_in_order_is_sorted_by_the_ordinal() -> None:
    """What a table numbers by itself is numbered as it was given."""
    assert THING.insert("things", ordered=True).endswith(f"incoming ({NAMES}, ordinal) ORDER BY ordinal")


def test_insert_takes_expressions_for_its_own_and_for_other_columns() -> None:
    """One of its own stays where it is; another comes last."""
    inserted = THING.insert("things", values={"version": "version + 1", "at": ":now"})
    assert inserted.startswith(
        f'INSERT INTO things ({NAMES}, at) SELECT thing_id, version + 1, "offset", :now FROM unnest('
    )


def test_upsert_changes_all_but_the_key_and_what_it_keeps() -> None:
    """What never changes is written once."""
    assert THING.upsert("things", keep=("version",)) == (
        THING.insert("things") + ' ON CONFLICT (thing_id) DO UPDATE SET "offset" = excluded."offset"'
    )


def test_update_finds_rows_by_the_key() -> None:
    """Expressions may replace a column's own value or change another column."""
    assert THING.update("things", values={"version": "things.version + 1", "claim": "NULL"}) == (
        'UPDATE things SET version = things.version + 1, "offset" = fresh."offset", claim = NULL '
        f"FROM unnest({ARRAYS}) AS fresh ({NAMES}) WHERE things.thing_id = fresh.thing_id"
    )


def test_some_columns_keep_their_types() -> None:
    """In the order in which they are named; an unknown one is an error."""
    assert THING.only("version", "thing_id").unnest("x").startswith("unnest(CAST(:version AS integer[]), ")
    with pytest.raises(KeyError):
        THING.only("colour")


def test_columns_of_two_sources_are_put_together() -> None:
    """The first ones lead, so that the key stays the key. No name may come twice."""
    assert list(THING | Columns(colour="text")) == ["thing_id", "version", "offset", "colour"]
    with pytest.raises(TypeError):
        _ = THING | Columns(version="text")


def test_arrays_hold_the_attributes_of_items() -> None:
    """Or what is made of an item where a column is no attribute as it is."""
    things = [Thing(1), Thing(2, version=7)]
    assert THING.of(things, offset=lambda thing: thing.thing_id * 10) == {
        "thing_id": [1, 2],
        "version": [1, 7],
        "offset": [10, 20],
    }


def test_arrays_of_rows_follow_the_order_of_the_columns() -> None:
    """No rows are empty arrays; a row with a value too few is an error, and not a NULL."""
    assert THING.rows([(1, 2, 3), (4, 5, 6)]) == {"thing_id": (1, 4), "version": (2, 5), "offset": (3, 6)}
    assert THING.rows([]) == {"thing_id": (), "version": (), "offset": ()}
    with pytest.raises(ValueError, match="shorter"):
        THING.rows([(1, 2, 3), (4, 5)])
    with pytest.raises(ValueError, match="shorter"):
        THING.rows([(1, 2)])


def test_a_part_is_not_read_as_a_template() -> None:
    """Braces in a part are the part's own."""
    assert sql("SELECT {part}", part="'{}'::json").text == "SELECT '{}'::json"
