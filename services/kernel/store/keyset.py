"""The SQL of lists that are read part by part, by key; `cursors` states the guarantees."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from sqlalchemy import text

from services.kernel.postgres.bulk import Columns
from services.kernel.postgres.connection import Connection, Row
from services.kernel.store.cursors import Cursors, Key, Kind, ListPart

TYPES: Mapping[Kind, str] = {
    "boolean": "boolean",
    "integer": "bigint",
    "text": "text",
    "uuid": "uuid",
    "moment": "timestamptz",
}
"""The PostgreSQL type of each kind of value."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an order: an expression that is never null."""

    expression: str
    kind: Kind
    descending: bool = False


class Listing:
    """One list in one order; the last column of the order is unique.

    `source` is everything from FROM to the last condition of a WHERE. It is always our own code: no part of
    the statements comes from outside.
    """

    def __init__(self, name: str, columns: Columns | str, source: str, *order: Column) -> None:
        self._name = name
        self._kinds = tuple(column.kind for column in order)
        self._names = [f"key_{number}" for number, _ in enumerate(order, 1)]
        keys = ", ".join(
            f"{column.expression} AS {key}" for column, key in zip(order, self._names, strict=True)
        )
        forwards, backwards = _beyond(order), _beyond(order, backwards=True)
        select, limit = f"SELECT {columns}, {keys} {source}", "LIMIT :limit"
        self._first = text(f"{select} ORDER BY {_by(order)} {limit}")
        self._after = text(f"{select} AND {forwards} ORDER BY {_by(order)} {limit}")
        self._before = text(f"{select} AND {backwards} ORDER BY {_by(order, backwards=True)} {limit}")
        self._count = text(f"SELECT count(*) {source}")
        self._passed = text(f"SELECT count(*) {source} AND {backwards}")

    def cursors(self, chosen: Mapping[str, Any]) -> Cursors:
        """Return the cursors of this list, filtered by `chosen`."""
        return Cursors.of(self._name, self._kinds, chosen)

    async def part(
        self,
        connection: Connection,
        parameters: Mapping[str, Any],
        *,
        limit: int,
        after: Key | None = None,
        before: Key | None = None,
        numbered: bool = False,
    ) -> ListPart[Row]:
        """Return at most `limit` rows: those after a key, those before one, or the first ones.

        If fewer than `limit` rows precede a key, the first rows are returned. `numbered` also counts the rows
        before the part. The statements run one after the other, so a change between them may show in one
        count and not in the other.
        """
        part = await self._part(connection, parameters, limit, after, before)
        total = (await connection.execute(self._count, parameters)).scalar_one()
        passed = 0
        if numbered and part.preceding is not None:
            given = {**parameters, **self._given(part.preceding)}
            passed = (await connection.execute(self._passed, given)).scalar_one()
        return ListPart(part.items, part.keys, part.begins, part.ends, total, passed)

    async def _part(
        self,
        connection: Connection,
        parameters: Mapping[str, Any],
        limit: int,
        after: Key | None,
        before: Key | None,
    ) -> ListPart[Row]:
        one_more = {**parameters, "limit": limit + 1}
        if before is not None:
            rows = await connection.execute(self._before, {**one_more, **self._given(before)})
            if len(rows) > limit:
                return self._made(rows[limit - 1 :: -1], begins=False, ends=False)
        if after is None:
            rows = await connection.execute(self._first, one_more)
        else:
            rows = await connection.execute(self._after, {**one_more, **self._given(after)})
        return self._made(rows[:limit], begins=after is None, ends=len(rows) <= limit)

    def _made(self, rows: list[Row], *, begins: bool, ends: bool) -> ListPart[Row]:
        return ListPart(rows, [tuple(row[name] for name in self._names) for row in rows], begins, ends)

    def _given(self, key: Key) -> dict[str, Any]:
        return dict(zip(self._names, key, strict=True))


def _by(order: tuple[Column, ...], *, backwards: bool = False) -> str:
    return ", ".join(
        f"{column.expression} {'DESC' if column.descending is not backwards else 'ASC'}" for column in order
    )


def _beyond(order: tuple[Column, ...], *, backwards: bool = False) -> str:
    """Return the condition that a row comes after the key, or before it, in a form that can use an index."""
    columns = [
        (
            column.expression,
            "<" if column.descending is not backwards else ">",
            f"CAST(:key_{number} AS {TYPES[column.kind]})",
        )
        for number, column in enumerate(order, 1)
    ]
    alike = [direction for _, direction, _ in reversed(columns)]
    count = len(list(takewhile(lambda direction: direction == alike[0], alike)))
    leading, last = columns[:-count], columns[-count:]
    # Row comparison follows the order as long as all columns sort in the same direction.
    ours = ", ".join(expression for expression, _, _ in last)
    given = ", ".join(value for _, _, value in last)
    condition = f"({ours}) {alike[0]} ({given})"
    if not leading:
        return condition
    for expression, direction, value in reversed(leading):
        condition = f"({expression} {direction} {value} OR ({expression} = {value} AND {condition}))"
    # This bound lets the index find the first row; the rest filters the rows from there on.
    expression, direction, value = leading[0]
    return f"{expression} {direction}= {value} AND {condition}"
