"""The inbox: the messages that this service has already processed."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.kernel.postgres.bulk import Columns
from services.kernel.postgres.connection import Connection
from services.kernel.postgres.statements import sql

MESSAGE = Columns(message_id="uuid")
CLAIM = sql(
    """
    INSERT INTO inbox (message_id, received_at)
    SELECT DISTINCT message_id, CAST(:received_at AS timestamptz) FROM {incoming}
    ORDER BY message_id
    ON CONFLICT DO NOTHING
    RETURNING message_id
    """,
    incoming=MESSAGE.unnest("incoming"),
)


async def claim(connection: Connection, ids: Sequence[UUID], *, now: datetime) -> set[UUID]:
    """Claim messages in this transaction; return those that no earlier delivery has committed.

    A concurrent transaction that claims the same message makes this one wait for its outcome.
    """
    rows = await connection.execute(CLAIM, {"message_id": list(ids), "received_at": now})
    return {row[0] for row in rows}
