"""SQL of a team's board: unacknowledged and overdue alerts, and the workload of each person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import text

from services.kernel.postgres.connection import Connection
from services.kernel.store.cursors import Key, ListPart
from services.kernel.store.keyset import Column, Listing
from services.notify.alerts.model import Alert
from services.notify.queries.lists import DUE, URGENCY
from services.notify.store.batch import ALERT, alert_of

Which = Literal["all", "overdue", "escalated"]

WORKLOAD = text("""
    SELECT recipient_id, count(*) AS open, count(*) FILTER (WHERE urgency = 'urgent') AS urgent,
           count(*) FILTER (WHERE due_at <= :now) AS overdue,
           count(*) FILTER (WHERE escalation_step > 0 OR escalates IS NOT NULL) AS escalated,
           count(*) FILTER (WHERE snoozed_until > :now) AS put_off,
           count(DISTINCT child_id) AS children, min(raised_at) AS oldest
    FROM alerts
    WHERE status = 'open' AND settled_at IS NULL AND recipient_id = ANY(:members)
    GROUP BY recipient_id
""")

OPEN = """
    FROM alerts
    WHERE status = 'open' AND settled_at IS NULL AND recipient_id = ANY(:members)
      AND (:which <> 'overdue' OR due_at <= :now)
      AND (:which <> 'escalated' OR escalation_step > 0 OR escalates IS NOT NULL)
"""
LIST = Listing("board", ALERT, OPEN, URGENCY, DUE, Column("raised_at", "moment"), Column("alert_id", "uuid"))


@dataclass(frozen=True, slots=True)
class Workload:
    """Alerts that one person has not acknowledged, without settled ones. It counts, and judges nobody."""

    worker_id: str
    open: int = 0
    urgent: int = 0
    overdue: int = 0
    """Past the date of what they ask for, which has not happened."""
    escalated: int = 0
    put_off: int = 0
    children: int = 0
    oldest: datetime | None = None


async def workloads(connection: Connection, members: Sequence[str], *, now: datetime) -> list[Workload]:
    """Return the open alerts of each member in the order of `members`, also of members without any."""
    rows = await connection.execute(WORKLOAD, {"members": list(members), "now": now})
    known = {row.recipient_id: Workload(*row) for row in rows}
    return [known.get(member) or Workload(member) for member in members]


async def list_open(
    connection: Connection,
    members: Sequence[str],
    which: Which,
    *,
    now: datetime,
    limit: int,
    after: Key | None = None,
    before: Key | None = None,
) -> ListPart[Alert]:
    """Return one page of a team's open alerts, the most urgent and earliest due first, numbered.

    Following the pages shows every alert that is on the board throughout, once.
    """
    parameters = {"members": list(members), "which": which, "now": now}
    part = await LIST.part(connection, parameters, limit=limit, after=after, before=before, numbered=True)
    return part.map(alert_of)
