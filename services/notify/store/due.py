"""SQL of what falls due by time: alerts that escalate, and the causes that recipients already know."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from services.kernel.postgres.connection import Connection
from services.kernel.postgres.statements import sql
from services.notify.alerts.model import Alert
from services.notify.delivery.store import queue
from services.notify.store import preferences
from services.notify.store.batch import ALERT, alert_of

CLAIM = sql(
    """
    SELECT {alert} FROM alerts WHERE next_escalation_at <= :now
    ORDER BY next_escalation_at, alert_id LIMIT :limit FOR UPDATE SKIP LOCKED
    """,
    alert=ALERT,
)

TOLD = sql("SELECT {alert} FROM alerts WHERE alert_id = ANY(:ids)", alert=ALERT)

HAS_OPEN = sql(
    """
    SELECT {alert} FROM alerts WHERE recipient_id = :worker_id AND status = 'open'
    ORDER BY alert_id FOR UPDATE
    """,
    alert=ALERT,
)

HAVE_HEARD = sql(
    "SELECT {alert} FROM alerts WHERE recipient_id = ANY(:recipients) AND cause_id = ANY(:causes)",
    alert=ALERT,
)

COUNT_DUE = sql(
    """
    SELECT (SELECT count(*) FROM alerts WHERE next_escalation_at <= :now) + ({beginning}) + ({held})
    """,
    beginning=preferences.BEGINNING,
    held=queue.HELD_TOO_LONG,
)


async def claim(connection: Connection, *, now: datetime, limit: int) -> list[Alert]:
    """Lock and return alerts whose next step has come; those that another scanner holds are passed over."""
    return list(map(alert_of, await connection.execute(CLAIM, {"now": now, "limit": limit})))


async def find_told(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Alert]:
    """Return those of the alerts that were ever raised, by id."""
    rows = await connection.execute(TOLD, {"ids": sorted(ids)})
    return {row.alert_id: alert_of(row) for row in rows}


async def open_alerts_of(connection: Connection, worker_id: str) -> list[Alert]:
    """Lock and return the alerts that somebody has not acknowledged."""
    return list(map(alert_of, await connection.execute(HAS_OPEN, {"worker_id": worker_id})))


async def alerts_heard(
    connection: Connection, recipients: Iterable[str], causes: Iterable[UUID]
) -> list[Alert]:
    """Return the alerts by which these recipients have heard of these causes."""
    parameters = {"recipients": sorted(recipients), "causes": sorted(causes)}
    return list(map(alert_of, await connection.execute(HAVE_HEARD, parameters)))


async def count(connection: Connection, *, now: datetime) -> int:
    """Return how many alerts escalate, absences begin and held deliveries go out by a moment."""
    return int((await connection.execute(COUNT_DUE, {"now": now})).scalar_one())
