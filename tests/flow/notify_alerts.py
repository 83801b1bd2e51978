"""What the notify service has kept of an alert: its row and its history."""

from typing import Any
from uuid import UUID

from tests.flow.conftest import Bench


async def history(bench: Bench, subject: UUID) -> list[str]:
    """Return the wire types of an aggregate's events, in order, and check that they are numbered from 1."""
    rows = await bench.rows(
        "SELECT type, sequence FROM journal WHERE subject = :subject ORDER BY sequence", subject=subject
    )
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
    return [row.type for row in rows]


async def alert_of(bench: Bench, recipient: str, kind: str) -> Any:
    """Return the row of somebody's only alert of a kind."""
    (row,) = await bench.rows(
        "SELECT * FROM alerts WHERE recipient_id = :recipient AND kind = :kind",
        recipient=recipient,
        kind=kind,
    )
    return row
