"""The store's tables: each names its columns once and builds from them the statements of every batch."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import TextClause, text

from services.kernel.postgres.bulk import Columns
from services.kernel.postgres.connection import Connection, Row
from services.kernel.postgres.statements import sql


class StoreTable:
    """A table whose columns are the attributes of one frozen type. The first column is its key.

    Names and types come from this package alone, never from outside: they are part of the statements.
    """

    def __init__(self, name: str, columns: Columns) -> None:
        self.columns = columns
        self._name = name
        self._key = next(iter(columns))
        self._load = self.locking(f"{self._key} = ANY(:ids)")
        self._save = text(columns.upsert(name))

    def locking(self, condition: str) -> TextClause:
        """Return a statement for `load` that selects by `condition` instead of by key."""
        return sql(
            "SELECT {columns} FROM {table} WHERE {condition} ORDER BY {key} FOR UPDATE",
            columns=self.columns,
            table=self._name,
            condition=condition,
            key=self._key,
        )

    async def load(
        self, connection: Connection, ids: Iterable[UUID], *, statement: TextClause | None = None
    ) -> Sequence[Row]:
        """Return the rows named by `ids`, locked in key order; no query without ids."""
        wanted = sorted(set(ids))
        if not wanted:
            return []
        return await connection.execute(self._load if statement is None else statement, {"ids": wanted})

    async def save(self, connection: Connection, items: Iterable[object]) -> None:
        """Write new and changed items in one statement."""
        rows = sorted(items, key=lambda item: str(getattr(item, self._key)))
        if rows:
            await connection.execute(self._save, self.columns.of(rows))


KNOWN_CASES = StoreTable(
    "known_cases",
    Columns(
        case_id="uuid",
        child_id="uuid",
        level="smallint",
        level_since="timestamptz",
        status="text",
    ),
)
PLACEMENTS = StoreTable(
    "placements",
    Columns(
        placement_id="uuid",
        version="integer",
        status="text",
        child_id="uuid",
        case_id="uuid",
        kind="text",
        need_group="text",
        requested_by="text",
        requested_at="timestamptz",
        provider_id="text",
        location="text",
        started_on="date",
        reviews_held="integer",
        last_review_on="date",
        ended_on="date",
        end_reason="text",
        exit_interview="text",
        exit_interview_due_at="timestamptz",
        exit_interview_held_on="date",
    ),
)
EPISODES = StoreTable(
    "episodes",
    Columns(
        episode_id="uuid",
        version="integer",
        status="text",
        child_id="uuid",
        return_year="smallint",
        started_on="date",
        reason_started="text",
        legal_status="text",
        need="text",
        placement_type="text",
        placement_provider="text",
        ended_on="date",
        reason_ended="text",
        reason_place_change="text",
    ),
)
REVIEWS = StoreTable(
    "looked_after_reviews",
    Columns(
        review_id="uuid",
        version="integer",
        child_id="uuid",
        return_year="smallint",
        reviewed_on="date",
        review_code="text",
    ),
)
MISSING = StoreTable(
    "missing_episodes",
    Columns(
        missing_id="uuid",
        version="integer",
        child_id="uuid",
        return_year="smallint",
        kind="text",
        started_on="date",
        ended_on="date",
    ),
)
