"""SQL: who subscribed, and where their messages go. Only this module and the channels see addresses."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from schemas.events.codes import Channel
from services.kernel.messages.envelope import MESSAGES
from services.kernel.messages.ids import derived
from services.kernel.postgres.connection import Connection
from services.kernel.postgres.statements import sql

COLUMNS = "subscription_id, owner_kind, owner_id, channel, url, secret_reference, kinds, active"

FIND = sql("SELECT {columns} FROM subscriptions WHERE subscription_id = :subscription_id", columns=COLUMNS)
LIST = sql("SELECT {columns} FROM subscriptions ORDER BY created_at, subscription_id", columns=COLUMNS)
ADD = text("""
    INSERT INTO subscriptions
        (subscription_id, owner_kind, owner_id, channel, url, secret_reference, kinds, created_at)
    VALUES
        (:subscription_id, :owner_kind, :owner_id, :channel, :url, :secret_reference,
         CAST(:kinds AS text[]), :now)
    ON CONFLICT (subscription_id) DO UPDATE SET
        url = excluded.url, secret_reference = excluded.secret_reference, kinds = excluded.kinds,
        active = true
""")
END = text("""
    UPDATE subscriptions SET active = false WHERE subscription_id = :subscription_id AND active
    RETURNING subscription_id
""")

OwnerKind = Literal["agency", "team"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A subscribed address, as it is now."""

    subscription_id: UUID
    owner_kind: OwnerKind
    owner_id: str
    channel: Channel
    url: str
    secret_reference: str | None = None
    """Which file under `LEADLINE_WEBHOOK_SECRETS` holds the signing key; the key itself is not here."""
    kinds: tuple[str, ...] = ("*",)
    active: bool = True


def subscription_id(owner_kind: OwnerKind, owner_id: str, channel: Channel, url: str) -> UUID:
    """Return the id of a subscription: subscribing an address again changes the existing one."""
    return derived(MESSAGES, f"subscriptions\n{owner_kind}\n{owner_id}\n{channel.value}\n{url}")


async def add(connection: Connection, endpoint: Endpoint, *, now: datetime) -> None:
    """Subscribe an address, or change its key and kinds; one that had ended, or was lost, is active again."""
    await connection.execute(
        ADD,
        {
            "subscription_id": endpoint.subscription_id,
            "owner_kind": endpoint.owner_kind,
            "owner_id": endpoint.owner_id,
            "channel": endpoint.channel.value,
            "url": endpoint.url,
            "secret_reference": endpoint.secret_reference,
            "kinds": list(endpoint.kinds),
            "now": now,
        },
    )


async def end(connection: Connection, identity: UUID) -> bool:
    """End a subscription; return whether there was one that had not ended. Messages queued for it fail."""
    return bool(await connection.execute(END, {"subscription_id": identity}))


async def list_all(connection: Connection) -> Sequence[Endpoint]:
    """Return every subscription, ended ones too, the oldest first."""
    return [_endpoint(row) for row in await connection.execute(LIST)]


async def get(connection: Connection, identity: UUID) -> Endpoint:
    """Return a subscription's endpoint. LookupError when there is none; a delivery's always exists."""
    return _endpoint((await connection.execute(FIND, {"subscription_id": identity})).one())


def _endpoint(row: Any) -> Endpoint:
    return Endpoint(**dict(row) | {"channel": Channel(row.channel), "kinds": tuple(row.kinds)})
