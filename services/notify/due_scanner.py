"""Does what falls due by time alone: alerts escalate, absences begin, held deliveries go out. Each once."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from mode import Service as Part

from schemas.events import AlertRaised, Event, NotificationEscalated
from services.kernel.base.clock import Clock
from services.kernel.postgres.connection import Connection, Engine
from services.kernel.postgres.database import is_conflict, is_transient
from services.kernel.processing.loops import Waiting, keep_doing
from services.kernel.processing.publication import number, write
from services.kernel.processing.service import Context, Produced, Service
from services.notify import metrics
from services.notify.alerts.escalation import (
    alert_ids,
    candidates,
    decide_absence,
    decide_escalation,
    without_copies,
)
from services.notify.alerts.model import Alert
from services.notify.book import NotifyBook
from services.notify.delivery.policy import decide_deliveries
from services.notify.delivery.store import queue
from services.notify.handlers import passed_on
from services.notify.store import due
from services.notify.store import people as people_store
from services.notify.store import preferences as preference_store
from services.notify.store.batch import NotifyStore

LIMIT = 200
"""Alerts per transaction."""


async def escalate_once(
    service: Service[NotifyBook, NotifyStore], engine: Engine, clock: Clock, *, limit: int = LIMIT
) -> int:
    """Take the next step of up to `limit` alerts in one transaction; return how many there were.

    Rows are claimed with SKIP LOCKED, so that two scanners share the work and no step is taken twice.
    """
    now = clock.now()
    async with engine.begin() as connection:
        alerts = await due.claim(connection, now=now, limit=limit)
        if not alerts:
            return 0
        book = await _book(service, connection, alerts)
        told = await _told(connection, book, alerts, now=now)
        produced = []
        for alert in alerts:
            # The cause of a step is the alert itself: a second run makes the same ids.
            context = Context(now, alert.alert_id, alert.alert_id, service.calendar)
            around = book.people_of(alert.facts.child_id)
            steps = decide_escalation(
                alert, around, told=told | book.alerts, council=book.council, context=context
            )
            if not steps:
                book.stop_escalating(alert.alert_id)
            produced += number(book, [*steps, *_deliveries(book, alert, steps, context)], context)
        events = await write(connection, service.store, book, produced, now=now)
    for to, count in Counter(each.to for each in events if isinstance(each, NotificationEscalated)).items():
        metrics.ESCALATED.labels(to).inc(count)
    return len(alerts)


async def begin_absence(service: Service[NotifyBook, NotifyStore], engine: Engine, clock: Clock) -> bool:
    """Begin one absence: its open alerts go to the stand-in. Return whether there was one."""
    now = clock.now()
    async with engine.begin() as connection:
        absence = await preference_store.claim_beginning(connection, now=now)
        if absence is None:
            return False
        if not absence.holds_at(now):
            return True  # it was over before we looked: the worker is back
        alerts = await due.open_alerts_of(connection, absence.worker_id)
        book = await _book(service, connection, alerts)
        context = Context(now, absence.delegation_id, absence.delegation_id, service.calendar)
        moved = decide_absence(
            alerts,
            absence.worker_id,
            book.people,
            for_good=absence.ends_at is None,
            council=book.council,
            now=now,
        )
        told = await due.alerts_heard(
            connection, {each.to_id for each in moved}, {alert.facts.cause_id for alert in alerts}
        )
        moved = without_copies(moved, [*alerts, *told])
        produced = number(book, passed_on(book, moved, context), context)
        await write(connection, service.store, book, produced, now=now)
    return True


async def release_held(engine: Engine, clock: Clock) -> int:
    """Release what quiet hours and digests have held until now; return how many deliveries."""
    async with engine.begin() as connection:
        return await queue.release(connection, now=clock.now())


async def count_due(connection: Connection, now: datetime) -> int:
    """Return how much of this is due and not yet done."""
    return await due.count(connection, now=now)


def _passes(error: BaseException) -> bool:
    # A conflict: another transaction wrote in between; the next look sees its result.
    return is_transient(error) or is_conflict(error)


class DueScanner(Part):
    """Looks every `interval` seconds of real time, without a pause while there is a backlog."""

    def __init__(
        self, service: Service[NotifyBook, NotifyStore], engine: Engine, clock: Clock, *, interval: float
    ) -> None:
        super().__init__()
        self._service = service
        self._engine = engine
        self._clock = clock
        self._interval = interval

    @Part.task
    async def _look_for_ever(self) -> None:
        waiting = Waiting("what is due waits", passes=_passes)
        await keep_doing(self, self.look, pause_seconds=self._interval, waiting=waiting, clock=self._clock)

    async def look(self) -> None:
        """Do all that is due now."""
        while not self.should_stop and await begin_absence(self._service, self._engine, self._clock):
            pass
        while not self.should_stop and await escalate_once(self._service, self._engine, self._clock):
            pass
        await release_held(self._engine, self._clock)


async def _book(
    service: Service[NotifyBook, NotifyStore], connection: Connection, alerts: Sequence[Alert]
) -> NotifyBook:
    store = service.store
    book = NotifyBook(await store.council(connection))
    book.know(alerts=alerts)
    children = sorted({alert.facts.child_id for alert in alerts})
    book.people = await people_store.load(connection, children)
    if book.council.channels:
        await store.load_deliveries(connection, book, [alert.alert_id for alert in alerts])
    return book


async def _told(
    connection: Connection, book: NotifyBook, alerts: Sequence[Alert], *, now: datetime
) -> dict[UUID, Alert]:
    """Return the alerts of the same causes to those whom the remaining steps would alert."""
    ids: set[UUID] = set()
    for alert in alerts:
        around = book.people_of(alert.facts.child_id)
        for address in candidates(alert, around, council=book.council, now=now):
            ids.update(alert_ids(alert.facts, address.recipient_id).values())
    return await due.find_told(connection, ids)


def _deliveries(book: NotifyBook, alert: Alert, steps: Sequence[Event], context: Context) -> list[Produced]:
    """Return the message of a step: the alert again as a reminder, or a new one to the next recipient."""
    produced: list[Produced] = []
    raised = {each.alert_id: each for each in steps if isinstance(each, AlertRaised)}
    for step in (each for each in steps if isinstance(each, NotificationEscalated)):
        fresh = raised.get(step.told_by)
        produced += decide_deliveries(
            alert.facts if fresh is None else fresh,
            council=book.council,
            context=context,
            turn=alert.version if fresh is None else 0,
            template="reminder" if fresh is None else None,
        )
    return produced
