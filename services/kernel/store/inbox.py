"""The inbox: which messages this service has already had in effect."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from services.kernel.postgres.connection import Connection

CLAIM = text("""
    INSERT INTO inbox (message_id, received_at)
    SELECT DISTINCT message_id, CAST(:received_at AS timestamptz)
    FROM unnest(CAST(:ids AS uuid[])) AS incoming (message_id)
    ORDER BY message_id
    ON CONFLICT DO NOTHING
    RETURNING message_id
""")


async def claim(connection: Connection, ids: Sequence[UUID], *, now: datetime) -> set[UUID]:
    """Claim messages in this transaction; return those that no earlier delivery has committed.

    A concurrent transaction that claims the same message makes this one wait for its outcome.
    """
    rows = await connection.execute(CLAIM, {"ids": list(ids), "received_at": now})
    return {row[0] for row in rows}
