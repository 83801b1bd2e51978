"""Queries of live pages: the open alerts of some inboxes, and a signal when they may have changed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.engine import make_url

from services.kernel.postgres.connection import Connection

OPEN = text("""
    SELECT recipient_id, alert_id, version FROM alerts
    WHERE status = 'open' AND settled_at IS NULL AND recipient_id = ANY(:recipients)
      AND (snoozed_until IS NULL OR snoozed_until <= :now)
""")


@dataclass(frozen=True, slots=True)
class InboxStanding:
    """One open alert and how many events it has had."""

    alert_id: UUID
    version: int


async def open_alerts(
    connection: Connection, recipients: Sequence[str], *, now: datetime
) -> dict[str, frozenset[InboxStanding]]:
    """Return the open alerts of some inboxes, without those put off or settled."""
    found: dict[str, set[InboxStanding]] = {recipient: set() for recipient in recipients}
    for row in await connection.execute(OPEN, {"recipients": list(recipients), "now": now}):
        found[row.recipient_id].add(InboxStanding(row.alert_id, row.version))
    return {recipient: frozenset(alerts) for recipient, alerts in found.items()}


class Listener:
    """A connection that is notified of every transaction that published something. A context manager."""

    def __init__(self, address: str, heard: Callable[[], None]) -> None:
        self._dsn = make_url(address).set(drivername="postgresql").render_as_string(hide_password=False)
        self._heard = heard
        self._connection: asyncpg.Connection[Any]

    async def __aenter__(self) -> Self:
        """Connect and listen."""
        settings = {"application_name": "leadline-live-pages"}
        self._connection = await asyncpg.connect(self._dsn, server_settings=settings)
        await self._connection.add_listener("outbox", lambda *_: self._heard())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        self._connection.terminate()

    @property
    def is_closed(self) -> bool:
        """Whether the connection has gone away."""
        return self._connection.is_closed()
