"""The SQL of lists by key, in every combination of directions: forwards and backwards, with ties."""

from itertools import product
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from services.kernel.postgres.connection import Connection
from services.kernel.store.cursors import Key, ListPart
from services.kernel.store.keyset import Column, Listing
from services.notify.app import build as build_notify
from services.notify.queries.lists import LIST, AlertFilter, Sort
from services.referral.app import build
from tests.builders import MONDAY
from tests.flow.conftest import MakeBench

pytestmark = pytest.mark.connected

ROWS = [(rank, word, UUID(int=number)) for number, (rank, word) in enumerate(product((2, 1), "bab"), 1)]
VALUES = ", ".join(f"({rank}, '{word}', CAST('{row_id}' AS uuid))" for rank, word, row_id in ROWS)
SOURCE = f"FROM (VALUES {VALUES}) AS rows (rank, word, row_id) WHERE rank <> :without"


def listing(*descending: bool) -> Listing:
    """Return the list of the rows, by rank, word and id, each in its direction."""
    names: list[tuple[str, Any]] = [("rank", "integer"), ("word", "text"), ("row_id", "uuid")]
    order = [Column(name, kind, down) for (name, kind), down in zip(names, descending, strict=True)]
    return Listing("rows", "rank, word, row_id", SOURCE, *order)


def in_order(*descending: bool) -> list[tuple[int, str, UUID]]:
    """Return the rows as Python sorts them: by the last column first."""
    rows = list(ROWS)
    for place in (2, 1, 0):
        rows.sort(key=lambda row: row[place], reverse=descending[place])
    return rows


async def read(connection: Connection, rows: Listing, without: int = 0, **where: Key | None) -> ListPart[Any]:
    part = await rows.part(connection, {"without": without}, limit=2, numbered=True, **where)
    return part.map(tuple)


async def test_rows_are_read_forwards_and_backwards_in_every_order(bench: MakeBench) -> None:
    """Each once; every part knows how many came before it, and where the list begins and ends."""
    made = await bench("referral", build)
    async with made.engine.connect() as connection:
        for descending in product((False, True), repeat=3):
            rows, wanted = listing(*descending), in_order(*descending)
            parts = [await read(connection, rows)]
            while (following := parts[-1].following) is not None:
                parts.append(await read(connection, rows, after=following))
            assert [row[:3] for part in parts for row in part.items] == wanted
            assert [part.passed for part in parts] == [0, 2, 4]
            assert {part.total for part in parts} == {6}
            back = [parts[-1]]
            while (preceding := back[0].preceding) is not None:
                back.insert(0, await read(connection, rows, before=preceding))
            assert [row[:3] for part in back for row in part.items] == wanted
            assert [part.following is None for part in back] == [False, False, True]


async def test_part_before_the_first_rows_is_the_beginning(bench: MakeBench) -> None:
    """What stood there has gone: a page that is nearly empty would say too little."""
    made = await bench("referral", build)
    async with made.engine.connect() as connection:
        rows = listing(False, False, False)
        second = await read(connection, rows, after=(await read(connection, rows)).following)
        assert second.preceding is not None
        assert second.preceding[0] == 1
        # Without rank 1 nothing is left before it, and what remains begins the list.
        first = await read(connection, rows, without=1, before=second.preceding)
        assert (first.begins, [row[0] for row in first.items], first.passed) == (True, [2, 2], 0)
        beyond = await read(connection, rows, without=2, after=(2, "b", UUID(int=9)))
        assert (list(beyond.items), beyond.begins, beyond.ends, beyond.total) == ([], False, True, 3)


@pytest.mark.parametrize(("sort", "index"), [("newest", "alerts_by_time"), ("due", "alerts_open_by_due")])
async def test_page_of_alerts_begins_in_an_index_where_the_one_before_ended(
    bench: MakeBench, sort: Sort, index: str
) -> None:
    """The table's indexes have the expressions of the list; without an index each page reads all alerts."""
    made = await bench("notify", build_notify)
    rows = LIST[sort]
    key = (MONDAY, UUID(int=1)) if sort == "newest" else (MONDAY, MONDAY, UUID(int=1))
    given = {**AlertFilter().parameters(), **rows._given(key), "limit": 50}
    async with made.engine.begin() as connection:
        # Of an empty table PostgreSQL would rather read everything.
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        await connection.execute(text("SET LOCAL enable_sort = off"))
        lines = await connection.execute(text(f"EXPLAIN {rows._after.text}"), given)
    plan = "\n".join(line[0] for line in lines)
    assert f"Index Scan using {index}" in plan or f"Index Scan Backward using {index}" in plan
    assert "Index Cond" in plan
    assert "Sort" not in plan
