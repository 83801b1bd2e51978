"""The queries behind the service's GET requests; they lock nothing."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.kernel.postgres.connection import Connection
from services.kernel.postgres.statements import sql
from services.kernel.store.cursors import Key, ListPart
from services.kernel.store.keyset import Column, Listing
from services.placement.store.tables import PLACEMENTS

FILTER = """
    WHERE (CAST(:status AS text) IS NULL OR status = :status)
      AND (CAST(:location AS text) IS NULL OR location = :location)
      AND (CAST(:child_id AS uuid) IS NULL OR child_id = :child_id)
      AND (CAST(:case_id AS uuid) IS NULL OR case_id = :case_id)
"""
# Ordered by time of request, which never changes, then by id.
LIST = Listing(
    "placements",
    PLACEMENTS.columns,
    f"FROM placements {FILTER}",
    Column("requested_at", "moment", descending=True),
    Column("placement_id", "uuid"),
)
FIND = sql("SELECT {columns} FROM placements WHERE placement_id = :id", columns=PLACEMENTS.columns)
OBJECTIVES = text("""
    SELECT objective_id, domain, words, outcome, childs_words FROM objectives
    WHERE placement_id = :id ORDER BY number
""")
FIGURES = text("""
    SELECT count(*) AS requested,
           count(*) FILTER (WHERE status <> 'requested') AS started,
           count(*) FILTER (WHERE status = 'ended') AS ended,
           count(*) FILTER (WHERE status = 'started') AS live,
           count(*) FILTER (WHERE location = 'in_county') AS in_county,
           count(*) FILTER (WHERE location = 'out_of_county') AS out_of_county,
           count(*) FILTER (WHERE exit_interview = 'due') AS exit_interviews_due,
           count(*) FILTER (WHERE exit_interview = 'overdue') AS exit_interviews_overdue,
           count(*) FILTER (WHERE exit_interview = 'completed') AS exit_interviews_completed
    FROM placements
""")
HISTORY = text("""
    SELECT (SELECT count(*) FROM looked_after_children) AS children,
           (SELECT count(*) FROM episodes) AS episodes,
           (SELECT count(*) FROM episodes WHERE status = 'open') AS open_episodes,
           (SELECT count(*) FROM looked_after_reviews) AS reviews,
           (SELECT count(*) FROM missing_episodes) AS missing_episodes
""")


KNOWN_CASES = """
    SELECT case_id AS key, jsonb_build_array(child_id, level, status)::text AS facts FROM known_cases
"""
"""Every case: the child, its level if it has one, open or closed."""

WITHOUT_WORDS = text("SELECT DISTINCT placement_id FROM objectives WHERE words = :lost")


@dataclass(frozen=True)
class PlacementFilter:
    """Which placements a list shows; None means any."""

    status: str | None = None
    location: str | None = None
    child_id: UUID | None = None
    case_id: UUID | None = None


async def list_placements(
    connection: Connection, chosen: PlacementFilter, *, limit: int, after: Key | None = None
) -> ListPart[dict[str, Any]]:
    """Return one page of placements, the newest request first.

    Paging on shows each one that stays in the list exactly once.
    """
    part = await LIST.part(connection, asdict(chosen), limit=limit, after=after)
    return part.map(lambda row: {column: row[column] for column in PLACEMENTS.columns})


async def find_placement(connection: Connection, placement_id: UUID) -> dict[str, Any] | None:
    """Return one placement with its objectives and their wording, or None."""
    row = (await connection.execute(FIND, {"id": placement_id})).one_or_none()
    if row is None:
        return None
    objectives = await connection.execute(OBJECTIVES, {"id": placement_id})
    return dict(row) | {"objectives": [dict(each) for each in objectives]}


async def without_words(connection: Connection, *, lost: str) -> list[UUID]:
    """Return the placements with an objective whose wording is `lost`."""
    return [row[0] for row in await connection.execute(WITHOUT_WORDS, {"lost": lost})]


async def figures(connection: Connection) -> Mapping[str, Any]:
    """Return the numbers of placements and exit interviews by state, and the history's size."""
    placements = (await connection.execute(FIGURES)).one()
    history = (await connection.execute(HISTORY)).one()
    return {**placements, "looked_after_history": dict(history)}
