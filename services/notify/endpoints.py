"""SQL: where a subscription's messages go. The address stays between here and the channel."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from schemas.events.codes import Channel
from services.kernel.connection import Connection

FIND = text("""
    SELECT subscription_id, channel, url, secret_reference, active FROM subscriptions
    WHERE subscription_id = :subscription_id
""")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A subscribed address, as it is now."""

    subscription_id: UUID
    channel: Channel
    url: str
    secret_reference: str | None
    active: bool


async def get(connection: Connection, subscription_id: UUID) -> Endpoint:
    """Return a subscription's endpoint. LookupError when there is none: a delivery's always exists."""
    row = (await connection.execute(FIND, {"subscription_id": subscription_id})).one()
    return Endpoint(row.subscription_id, Channel(row.channel), row.url, row.secret_reference, row.active)
