"""Many rows in one statement: each column is sent as one array, and `unnest` turns the arrays into rows.

A statement has one parameter per column, however many rows it writes, so a connection prepares it once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from services.kernel.postgres.connection import DIALECT

NOTHING: Mapping[str, str] = MappingProxyType({})

INSERT = "INSERT INTO {table} ({columns}) SELECT {values} FROM {incoming}"
UPSERT = "{insert} ON CONFLICT ({key}) DO UPDATE SET {changes}"
UPDATE = "UPDATE {table} SET {changes} FROM {fresh} WHERE {table}.{key} = fresh.{key}"

Arrays = dict[str, Sequence[Any]]
"""The parameters of a statement: the values of each column, by name."""


class Columns:
    """Columns of one table in order, each with its PostgreSQL type; the first is the key. Immutable.

    `str()` gives the list of names, for use as a part in a template of `statements.sql`. A column's parameter
    has the column's name. A column of type `json` takes text.

    Create them, and the statements, at import: names, types and expressions become SQL.
    """

    def __init__(self, **types: str) -> None:
        self._types: Mapping[str, str] = MappingProxyType(types)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._types)

    def __str__(self) -> str:
        """Return the names as a SQL list."""
        return _listed(self)

    def __or__(self, others: "Columns") -> "Columns":
        """Return these columns followed by the others."""
        return Columns(**self._types, **others._types)

    def only(self, *names: str) -> "Columns":
        """Return some of the columns, in the order of `names`. Raises KeyError for an unknown name."""
        return Columns(**{name: self._types[name] for name in names})

    def unnest(self, alias: str, *, ordinal: bool = False) -> str:
        """Return the rows as an item of FROM. `ordinal` adds a column of this name that numbers them."""
        arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in self._types.items())
        if ordinal:
            return f"unnest({arrays}) WITH ORDINALITY AS {alias} ({self}, ordinal)"
        return f"unnest({arrays}) AS {alias} ({self})"

    def insert(self, table: str, *, ordered: bool = False, values: Mapping[str, str] = NOTHING) -> str:
        """Return an INSERT of the rows.

        `values` are columns filled by an expression: additional columns, or some of these in another form.
        `ordered`: the table numbers its rows, so they are inserted in the given order.
        """
        filled = {name: _quoted(name) for name in self} | dict(values)
        statement = INSERT.format(
            table=table,
            columns=_listed(filled),
            values=", ".join(filled.values()),
            incoming=self.unnest("incoming", ordinal=ordered),
        )
        return f"{statement} ORDER BY ordinal" if ordered else statement

    def upsert(self, table: str, *, keep: Sequence[str] = (), values: Mapping[str, str] = NOTHING) -> str:
        """Return an INSERT of the rows that updates existing ones, except for the columns to `keep`."""
        key, *others = self
        changed = [_quoted(name) for name in others if name not in keep]
        return UPSERT.format(
            insert=self.insert(table, values=values),
            key=_quoted(key),
            changes=", ".join(f"{name} = excluded.{name}" for name in changed),
        )

    def update(self, table: str, *, values: Mapping[str, str] = NOTHING) -> str:
        """Return an UPDATE of the rows with these keys.

        `values` as in an INSERT; in them `fresh` is the new row and the table's name the existing one.
        """
        key, *others = self
        changes = {name: f"fresh.{_quoted(name)}" for name in others} | dict(values)
        return UPDATE.format(
            table=table,
            changes=", ".join(f"{_quoted(name)} = {value}" for name, value in changes.items()),
            fresh=self.unnest("fresh"),
            key=_quoted(key),
        )

    def of(self, items: Sequence[object], /, **made: Callable[[Any], object]) -> Arrays:
        """Return the arrays for items: attributes named after the columns, or values that `made` computes."""
        return {name: list(map(made.get(name) or attrgetter(name), items)) for name in self}

    def rows(self, rows: Sequence[Sequence[Any]]) -> Arrays:
        """Return the arrays for rows. Raises ValueError unless each has one value per column, in order."""
        columns = zip(*rows, strict=True) if rows else ((),) * len(self._types)
        return dict(zip(self, columns, strict=True))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    """Return a name for use in SQL, quoted if it is a reserved word."""
    return DIALECT.identifier_preparer.quote(name)
