"""SQL of receipts: which messages are asked about now."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from services.kernel.postgres.connection import Connection

# The next time is written before asking: two workers never ask about the same message, and none too often.
CLAIM = text("""
    WITH next AS (
        SELECT delivery_id, ask_until FROM deliveries
        WHERE ask_at <= :now AND message_id = delivery_id AND provider = :provider
        ORDER BY ask_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE deliveries SET ask_at = :again FROM next
    WHERE deliveries.delivery_id = next.delivery_id
    RETURNING deliveries.delivery_id, deliveries.reference, next.ask_until
""")


class Awaited(NamedTuple):
    """A message whose receipt has not come: the provider knows it by `reference`."""

    message_id: UUID
    reference: str
    ask_until: datetime


async def claim(
    connection: Connection, *, provider: str, now: datetime, again: datetime, limit: int
) -> list[Awaited]:
    """Return the messages to ask a provider about now; at `again` they are due once more.

    All times are real. No other worker asks about them until then.
    """
    parameters = {"provider": provider, "now": now, "again": again, "limit": limit}
    return list(map(Awaited._make, await connection.execute(CLAIM, parameters)))
