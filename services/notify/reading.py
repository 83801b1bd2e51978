"""Every SQL statement behind the lists and pages: read only."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from services.kernel.connection import Connection
from services.notify.model import Alert
from services.notify.store import ALERT, alert_of

State = Literal["open", "acknowledged", "all"]
Sort = Literal["newest", "due"]

FILTER = """
    WHERE (CAST(:recipient AS text) IS NULL OR recipient_id = :recipient)
      AND (:state = 'all' OR status = :state)
      AND (CAST(:kind AS text) IS NULL OR kind = :kind)
      AND (CAST(:urgency AS text) IS NULL OR urgency = :urgency)
"""
LIST = {
    "newest": text(
        f"SELECT {ALERT} FROM alerts {FILTER}"  # noqa: S608 - ours
        " ORDER BY raised_at DESC, alert_id LIMIT :limit OFFSET :offset"
    ),
    "due": text(
        f"SELECT {ALERT} FROM alerts {FILTER}"  # noqa: S608 - ours
        " ORDER BY due_at NULLS LAST, raised_at DESC, alert_id LIMIT :limit OFFSET :offset"
    ),
}
COUNT = text(f"SELECT count(*) FROM alerts {FILTER}")  # noqa: S608 - ours

FIND = text(f"SELECT {ALERT} FROM alerts WHERE alert_id = :id")  # noqa: S608 - ours
FIGURES = text("""
    SELECT kind, urgency, status, count(*) FROM alerts
    GROUP BY kind, urgency, status ORDER BY kind, urgency, status
""")

RECIPIENTS = text("""
    SELECT recipient_id, count(*) FILTER (WHERE status = 'open') AS open,
           count(*) FILTER (WHERE status = 'open' AND urgency = 'urgent') AS urgent
    FROM alerts GROUP BY recipient_id
    ORDER BY urgent DESC, open DESC, recipient_id LIMIT :limit OFFSET :offset
""")
COUNT_RECIPIENTS = text("SELECT count(DISTINCT recipient_id) FROM alerts")


@dataclass(frozen=True)
class AlertFilter:
    """Which alerts a list shows; None does not matter."""

    recipient: str | None = None
    state: State = "open"
    kind: str | None = None
    urgency: str | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the statement's parameters."""
        return {
            "recipient": self.recipient,
            "state": self.state,
            "kind": self.kind,
            "urgency": self.urgency,
        }


@dataclass(frozen=True, slots=True)
class Inbox:
    """One recipient and how much waits there."""

    recipient_id: str
    open: int
    urgent: int


async def find(connection: Connection, alert_id: UUID) -> Alert | None:
    """Return one alert or None."""
    row = (await connection.execute(FIND, {"id": alert_id})).one_or_none()
    return None if row is None else alert_of(row)


async def list_alerts(
    connection: Connection, chosen: AlertFilter, *, sort: Sort, limit: int, offset: int
) -> tuple[list[Alert], int]:
    """Return one page of alerts and how many there are in all; by due date, those without one come last."""
    parameters = chosen.parameters()
    rows = await connection.execute(LIST[sort], {**parameters, "limit": limit, "offset": offset})
    total = (await connection.execute(COUNT, parameters)).scalar_one()
    return [alert_of(row) for row in rows], int(total)


async def list_inboxes(connection: Connection, *, limit: int, offset: int) -> tuple[list[Inbox], int]:
    """Return one page of recipients, those with most to do first, and how many there are in all."""
    rows = await connection.execute(RECIPIENTS, {"limit": limit, "offset": offset})
    total = (await connection.execute(COUNT_RECIPIENTS)).scalar_one()
    return [Inbox(row.recipient_id, row.open, row.urgent) for row in rows], int(total)


async def figures(connection: Connection) -> dict[str, Counter[str]]:
    """Return how many alerts there are by kind, by urgency and by status."""
    counted: dict[str, Counter[str]] = {"by_kind": Counter(), "by_urgency": Counter(), "by_status": Counter()}
    for kind, urgency, status, count in await connection.execute(FIGURES):
        counted["by_kind"][kind] += count
        counted["by_urgency"][urgency] += count
        counted["by_status"][status] += count
    return counted
