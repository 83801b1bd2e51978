"""Many rows in one statement: each column travels as one array, and `unnest` makes rows of the arrays again.

A statement has as many parameters as there are columns, however many rows it writes, so that a connection
prepares it once.
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
"""The parameters of a statement: the values of each column, by its name."""


class Columns:
    """Columns of one table in order, each with PostgreSQL's type; the first is the key. Immutable.

    As text they are a list of names, so that a template of `statements.sql` can take them as a part. The
    parameter of a column has the column's name. A column of type `json` takes text.

    Make them, and the statements, where a module is imported: names, types and expressions become SQL.
    """

    def __init__(self, **types: str) -> None:
        self._types: Mapping[str, str] = MappingProxyType(types)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._types)

    def __str__(self) -> str:
        """Return the names as SQL lists them."""
        return _listed(self)

    def __or__(self, others: "Columns") -> "Columns":
        """Return these columns and then the others."""
        return Columns(**self._types, **others._types)

    def only(self, *names: str) -> "Columns":
        """Return some of the columns, in the order of `names`. KeyError for a name that is not here."""
        return Columns(**{name: self._types[name] for name in names})

    def unnest(self, alias: str, *, ordinal: bool = False) -> str:
        """Return the rows as a part of FROM. `ordinal` adds a column of this name that counts them."""
        arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in self._types.items())
        if ordinal:
            return f"unnest({arrays}) WITH ORDINALITY AS {alias} ({self}, ordinal)"
        return f"unnest({arrays}) AS {alias} ({self})"

    def insert(self, table: str, *, ordered: bool = False, values: Mapping[str, str] = NOTHING) -> str:
        """Return an INSERT of the rows.

        `values` are columns that an expression fills: others than these, or some of these in another form.
        `ordered`: the table numbers its rows, and the order in which they are given counts.
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
        """Return an INSERT of the rows that changes those that are there, except for what is to `keep`."""
        key, *others = self
        changed = [_quoted(name) for name in others if name not in keep]
        return UPSERT.format(
            insert=self.insert(table, values=values),
            key=_quoted(key),
            changes=", ".join(f"{name} = excluded.{name}" for name in changed),
        )

    def update(self, table: str, *, values: Mapping[str, str] = NOTHING) -> str:
        """Return an UPDATE of the rows that have these keys.

        `values` as in an INSERT; there a row is called `fresh`, and the one that it changes by its table.
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
        """Return the arrays for items: attributes of the columns' names, or what `made` makes of an item."""
        return {name: list(map(made.get(name) or attrgetter(name), items)) for name in self}

    def rows(self, rows: Sequence[Sequence[Any]]) -> Arrays:
        """Return the arrays for rows. ValueError unless each has one value for every column, in order."""
        columns = zip(*rows, strict=True) if rows else ((),) * len(self._types)
        return dict(zip(self, columns, strict=True))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    """Return a name as SQL takes it: in quotation marks where it is a word of SQL's own."""
    return DIALECT.identifier_preparer.quote(name)
