"""Every SQL statement behind the lists and pages: read only."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from services.kernel.postgres.connection import Connection
from services.kernel.postgres.statements import sql
from services.kernel.store.cursors import Key, ListPart
from services.kernel.store.keyset import Column, Listing
from services.notify.alerts.model import Alert
from services.notify.store.batch import ALERT, alert_of

State = Literal["open", "settled", "acknowledged", "all"]
"""Open: somebody has to look. Settled: what it asks for has happened and nobody has marked it as seen."""
Sort = Literal["newest", "due", "urgency"]

FILTER = """
    WHERE (CAST(:recipient AS text) IS NULL OR recipient_id = :recipient)
      AND (CAST(:status AS text) IS NULL OR status = :status)
      AND (CAST(:settled AS boolean) IS NULL OR (settled_at IS NOT NULL) = :settled)
      AND (CAST(:kind AS text) IS NULL OR kind = :kind)
      AND (CAST(:urgency AS text) IS NULL OR urgency = :urgency)
      AND (CAST(:put_off_at AS timestamptz) IS NULL
           OR (snoozed_until IS NOT NULL AND snoozed_until > :put_off_at) = :put_off)
"""
# None of these changes while an alert lives; what has no date comes after all that has one. Indexes of the
# table have these expressions (notify_0006).
URGENCY = Column("array_position(ARRAY['urgent', 'soon', 'routine'], urgency)", "integer")
DUE = Column("coalesce(due_at, TIMESTAMPTZ '9999-12-31 00:00:00+00')", "moment")
NEWEST = (Column("raised_at", "moment", descending=True), Column("alert_id", "uuid", descending=True))
ORDERS: Mapping[Sort, tuple[Column, ...]] = {
    "newest": NEWEST,
    "due": (DUE, *NEWEST),
    "urgency": (URGENCY, DUE, *NEWEST),
}
LIST = {
    sort: Listing(f"alerts by {sort}", ALERT, f"FROM alerts {FILTER}", *order)
    for sort, order in ORDERS.items()
}

FIND = sql("SELECT {alert} FROM alerts WHERE alert_id = :id", alert=ALERT)
FIGURES = text("""
    SELECT kind, urgency, status, count(*) FROM alerts
    GROUP BY kind, urgency, status ORDER BY kind, urgency, status
""")

KINDS = text("SELECT DISTINCT kind FROM alerts WHERE recipient_id = :recipient ORDER BY kind")
AGENCIES = text("SELECT DISTINCT recipient_id FROM alerts WHERE role = 'referrer' ORDER BY 1 LIMIT 200")
IS_AGENCY = text("""
    SELECT EXISTS (SELECT 1 FROM alerts WHERE recipient_id = :agency_id AND role = 'referrer')
""")
COUNT_OPEN = text("""
    SELECT recipient_id, count(*) AS open FROM alerts
    WHERE status = 'open' AND settled_at IS NULL AND recipient_id = ANY(:recipients)
      AND (snoozed_until IS NULL OR snoozed_until <= :now)
    GROUP BY recipient_id
""")


STATUS: Mapping[State, str | None] = {
    "open": "open",
    "settled": "open",
    "acknowledged": "acknowledged",
    "all": None,
}
SETTLED: Mapping[State, bool] = {"open": False, "settled": True}


@dataclass(frozen=True)
class AlertFilter:
    """The alerts that a list shows; a filter that is None matches all."""

    recipient: str | None = None
    state: State = "open"
    kind: str | None = None
    urgency: str | None = None
    put_off_at: datetime | None = None
    """At which moment alerts count as put off or not; None: that does not matter."""
    put_off: bool = False

    def parameters(self) -> dict[str, Any]:
        """Return the statement's parameters."""
        return {
            "recipient": self.recipient,
            "status": STATUS[self.state],
            "settled": SETTLED.get(self.state),
            "kind": self.kind,
            "urgency": self.urgency,
            "put_off_at": self.put_off_at,
            "put_off": self.put_off,
        }


async def find(connection: Connection, alert_id: UUID) -> Alert | None:
    """Return one alert or None."""
    row = (await connection.execute(FIND, {"id": alert_id})).one_or_none()
    return None if row is None else alert_of(row)


async def list_alerts(
    connection: Connection,
    chosen: AlertFilter,
    *,
    sort: Sort,
    limit: int,
    after: Key | None = None,
    before: Key | None = None,
    numbered: bool = False,
) -> ListPart[Alert]:
    """Return one page of alerts; by due date, those without one come last.

    Following the pages shows every alert that is in the list throughout, once.
    """
    part = await LIST[sort].part(
        connection, chosen.parameters(), limit=limit, after=after, before=before, numbered=numbered
    )
    return part.map(alert_of)


async def list_kinds(connection: Connection, recipient: str) -> list[str]:
    """Return the kinds of alert that somebody ever got."""
    return [row.kind for row in await connection.execute(KINDS, {"recipient": recipient})]


async def list_agencies(connection: Connection) -> list[str]:
    """Return the agencies that were ever told something, 200 at the most."""
    return [row.recipient_id for row in await connection.execute(AGENCIES)]


async def is_agency(connection: Connection, agency_id: str) -> bool:
    """Return whether somebody was ever told something as a referrer."""
    return bool((await connection.execute(IS_AGENCY, {"agency_id": agency_id})).scalar_one())


async def count_open(connection: Connection, recipients: Sequence[str], *, now: datetime) -> dict[str, int]:
    """Return the number of alerts to do in each inbox that has any, without those put off or settled."""
    rows = await connection.execute(COUNT_OPEN, {"recipients": list(recipients), "now": now})
    return {row.recipient_id: row.open for row in rows}


async def figures(connection: Connection) -> dict[str, Counter[str]]:
    """Return how many alerts there are by kind, by urgency and by status."""
    counted: dict[str, Counter[str]] = {"by_kind": Counter(), "by_urgency": Counter(), "by_status": Counter()}
    for kind, urgency, status, count in await connection.execute(FIGURES):
        counted["by_kind"][kind] += count
        counted["by_urgency"][urgency] += count
        counted["by_status"][status] += count
    return counted
