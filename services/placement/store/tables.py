"""One table of the store: its columns once, and the two statements that every batch needs made of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from services.kernel.postgres.connection import Connection, Row


@dataclass(frozen=True)
class StoreTable:
    """A table whose columns are the attributes of one frozen type. The first column is its key.

    Names and types come from this package alone, never from outside: they are part of the statements.
    """

    name: str
    columns: Mapping[str, str]
    """PostgreSQL's type of each column; the key first."""

    @property
    def key(self) -> str:
        """Return the name of the key."""
        return next(iter(self.columns))

    @property
    def listed(self) -> str:
        """Return the columns as SQL lists them."""
        return ", ".join(self.columns)

    async def load(
        self, connection: Connection, ids: Iterable[UUID], *, where: str | None = None
    ) -> Sequence[Row]:
        """Return the rows that `ids` name, locked in the order of their keys; no query without ids."""
        wanted = sorted(set(ids))
        if not wanted:
            return []
        condition = where or f"{self.key} = ANY(CAST(:ids AS uuid[]))"
        statement = f"SELECT {self.listed} FROM {self.name} WHERE {condition} ORDER BY {self.key} FOR UPDATE"  # noqa: S608 - ours
        return await connection.execute(text(statement), {"ids": wanted})

    async def save(self, connection: Connection, items: Iterable[object]) -> None:
        """Write items in one statement, new ones and changed ones alike."""
        rows = sorted(items, key=lambda item: str(getattr(item, self.key)))
        if not rows:
            return
        arrays = ", ".join(f"CAST(:{column} AS {kind}[])" for column, kind in self.columns.items())
        updates = ", ".join(f"{column} = excluded.{column}" for column in list(self.columns)[1:])
        statement = (
            f"INSERT INTO {self.name} ({self.listed}) SELECT * FROM unnest({arrays}) "  # noqa: S608 - ours
            f"ON CONFLICT ({self.key}) DO UPDATE SET {updates}"
        )
        values = {column: [getattr(row, column) for row in rows] for column in self.columns}
        await connection.execute(text(statement), values)


KNOWN_CASES = StoreTable(
    "known_cases",
    {
        "case_id": "uuid",
        "child_id": "uuid",
        "level": "smallint",
        "level_since": "timestamptz",
        "status": "text",
    },
)
PLACEMENTS = StoreTable(
    "placements",
    {
        "placement_id": "uuid",
        "version": "integer",
        "status": "text",
        "child_id": "uuid",
        "case_id": "uuid",
        "kind": "text",
        "need_group": "text",
        "requested_by": "text",
        "requested_at": "timestamptz",
        "provider_id": "text",
        "location": "text",
        "started_on": "date",
        "reviews_held": "integer",
        "last_review_on": "date",
        "ended_on": "date",
        "end_reason": "text",
        "exit_interview": "text",
        "exit_interview_due_at": "timestamptz",
        "exit_interview_held_on": "date",
    },
)
EPISODES = StoreTable(
    "episodes",
    {
        "episode_id": "uuid",
        "version": "integer",
        "status": "text",
        "child_id": "uuid",
        "return_year": "smallint",
        "started_on": "date",
        "reason_started": "text",
        "legal_status": "text",
        "need": "text",
        "placement_type": "text",
        "placement_provider": "text",
        "ended_on": "date",
        "reason_ended": "text",
        "reason_place_change": "text",
    },
)
REVIEWS = StoreTable(
    "looked_after_reviews",
    {
        "review_id": "uuid",
        "version": "integer",
        "child_id": "uuid",
        "return_year": "smallint",
        "reviewed_on": "date",
        "review_code": "text",
    },
)
MISSING = StoreTable(
    "missing_episodes",
    {
        "missing_id": "uuid",
        "version": "integer",
        "child_id": "uuid",
        "return_year": "smallint",
        "kind": "text",
        "started_on": "date",
        "ended_on": "date",
    },
)
