"""How many alerts people get: by worker, week and kind. Read model, and metrics without names or ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from mode import Service as Part
from sqlalchemy import text

from services.kernel.base.clock import Clock
from services.kernel.deadlines.calendar import LONDON
from services.kernel.postgres.connection import Connection, Engine
from services.kernel.processing.loops import Waiting, keep_doing
from services.notify import metrics

WEEK = timedelta(days=7)
EVERY_SECONDS = 60.0

# Weeks begin on Monday, London time. What was collapsed into an open alert reached nobody again.
BY_WORKER = text("""
    SELECT recipient_id, kind, count(*) AS alerts, sum(repeats) AS collapsed,
           CAST(date_trunc('week', raised_at AT TIME ZONE 'Europe/London') AS date) AS week
    FROM alerts
    WHERE raised_at >= :since AND raised_at < :until
      AND (CAST(:workers AS text[]) IS NULL OR recipient_id = ANY(:workers))
    GROUP BY recipient_id, kind, week
    ORDER BY week DESC, recipient_id, kind
""")

BY_KIND = text("""
    SELECT kind, sum(alerts) / count(*) AS average, max(alerts) AS most FROM (
        SELECT kind, recipient_id, count(*) AS alerts FROM alerts
        WHERE raised_at >= :since AND raised_at < :until
        GROUP BY kind, recipient_id
    ) AS counted GROUP BY kind ORDER BY kind
""")


@dataclass(frozen=True, slots=True)
class Rate:
    """One worker's alerts of a kind in one week, and how many repetitions were collapsed."""

    worker_id: str
    kind: str
    week: date
    """Its Monday."""
    alerts: int
    collapsed: int


@dataclass(frozen=True, slots=True)
class KindRate:
    """Alerts of one kind in the last seven days."""

    kind: str
    average: float
    """Of those who got any."""
    most: int


async def by_worker(
    connection: Connection, *, since: datetime, until: datetime, workers: Sequence[str] | None = None
) -> list[Rate]:
    """Return the alerts per worker, week and kind, the latest week first; of some workers, or of all."""
    parameters = {"since": since, "until": until, "workers": None if workers is None else list(workers)}
    rows = await connection.execute(BY_WORKER, parameters)
    return [Rate(row.recipient_id, row.kind, row.week, row.alerts, int(row.collapsed)) for row in rows]


async def by_kind(connection: Connection, *, now: datetime) -> list[KindRate]:
    """Return the alerts per worker of the last seven days by kind."""
    rows = await connection.execute(BY_KIND, {"since": now - WEEK, "until": now + timedelta(microseconds=1)})
    return [KindRate(row.kind, float(row.average), row.most) for row in rows]


def monday_of(moment: datetime) -> date:
    """Return the London Monday of a moment's week."""
    day = moment.astimezone(LONDON).date()
    return day - timedelta(days=day.weekday())


class RatesMeasured(Part):
    """Keeps the metrics of alerts per worker and week."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        super().__init__()
        self._engine = engine
        self._clock = clock

    @Part.task
    async def _measure_for_ever(self) -> None:
        waiting = Waiting("database away, rates wait")
        await keep_doing(self, self.measure, pause_seconds=EVERY_SECONDS, waiting=waiting)

    async def measure(self) -> None:
        """Set the metrics to the last seven days; kinds without alerts disappear."""
        async with self._engine.connect() as connection:
            rates = await by_kind(connection, now=self._clock.now())
        metrics.ALERTS_PER_WORKER.clear()
        metrics.MOST_ALERTS_OF_A_WORKER.clear()
        for rate in rates:
            metrics.ALERTS_PER_WORKER.labels(rate.kind).set(rate.average)
            metrics.MOST_ALERTS_OF_A_WORKER.labels(rate.kind).set(rate.most)
