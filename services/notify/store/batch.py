"""Loads and saves the people, alerts and deliveries that a batch touches. Pages read through `queries`."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import text

from schemas.events import AlertRaised, Event, LeadProfessionalAssigned
from schemas.events.codes import Channel, Role, Urgency
from services.kernel.postgres.bulk import Arrays, Columns
from services.kernel.postgres.connection import Connection, Row
from services.kernel.postgres.statements import sql
from services.kernel.processing.service import Message
from services.notify.alerts.council import Council
from services.notify.alerts.model import AcknowledgeAlert, Alert, AssignKeyWorker, SnoozeAlert
from services.notify.alerts.policy import kind_of, settled_kinds
from services.notify.book import NotifyBook
from services.notify.delivery.model import Delivery
from services.notify.pack.model import RECIPIENT_MISSING, NotifyPack
from services.notify.preferences.model import Arrangements
from services.notify.referrers.policy import OF_CASES
from services.notify.referrers.store import updates as agency_updates
from services.notify.store import people as people_store
from services.notify.store import preferences as preference_store

STANDING = Columns(
    alert_id="uuid",
    version="integer",
    status="text",
    acknowledged_at="timestamptz",
    acknowledged_by="text",
    repeats="integer",
    repeated_at="timestamptz",
    escalation_step="integer",
    next_escalation_at="timestamptz",
    snoozed_until="timestamptz",
    settled_at="timestamptz",
)
RECIPIENT = Columns(recipient_id="text", role="text", stands_in_for="text")
FACTS = Columns(
    kind="text",
    urgency="text",
    says="text",
    next_step="text",
    about="uuid",
    case_id="uuid",
    child_id="uuid",
    due_at="timestamptz",
    raised_at="timestamptz",
    cause_id="uuid",
    team="text",
    template="text",
    escalates="uuid",
)
ALERT = STANDING | RECIPIENT | FACTS
INSERT_ALERTS = text(ALERT.insert("alerts"))
UPDATE_ALERTS = text((STANDING | RECIPIENT).update("alerts"))

# Without locks: a batch seldom changes an alert that was there before. Should somebody else do so in
# between, the journal refuses the second event of the same number, and the batch looks again.
LOAD_OPEN = sql(
    """
    SELECT {alert} FROM alerts
    WHERE status = 'open' AND child_id = ANY(:children)
      AND (kind = ANY(:kinds) OR child_id = ANY(:moving))
    ORDER BY alert_id
    """,
    alert=ALERT,
)

# An alert before those that it led to, so that two who acknowledge at once do not wait for each other, and
# in statements of their own: what was written while the first one waited is seen by the second.
ROOTS = text("SELECT DISTINCT coalesce(escalates, alert_id) FROM alerts WHERE alert_id = ANY(:ids)")
LOAD_ALERTS = sql(
    "SELECT {alert} FROM alerts WHERE alert_id = ANY(:ids) ORDER BY alert_id FOR UPDATE", alert=ALERT
)
LOAD_FAMILY = sql(
    """
    SELECT {alert} FROM alerts
    WHERE (alert_id = ANY(:ids) OR escalates = ANY(:ids)) AND alert_id <> ALL(:roots)
    ORDER BY alert_id FOR UPDATE
    """,
    alert=ALERT,
)

# A delivery that a channel is sending goes out; the person who acknowledges does not wait (SKIP LOCKED).
LOAD_DELIVERIES = text("""
    SELECT delivery_id, version, state, alert_id, child_id, case_id, channel, reason, acknowledged_at,
           (message_id <> delivery_id OR (digest AND state = 'queued')) AS gathered
    FROM deliveries WHERE alert_id = ANY(:ids) AND claim IS NULL
    ORDER BY delivery_id FOR UPDATE SKIP LOCKED
""")

STATE = Columns(
    delivery_id="uuid", version="integer", state="text", reason="text", acknowledged_at="timestamptz"
)
QUEUED = Columns(
    alert_id="uuid",
    child_id="uuid",
    case_id="uuid",
    recipient_id="text",
    channel="text",
    subscription_id="uuid",
    template="text",
    digest="boolean",
    held_until="timestamptz",
    queued_at="timestamptz",
)
INSERT_DELIVERIES = text(
    (STATE | QUEUED).insert("deliveries", ordered=True, values={"message_id": "delivery_id"})
)
UPDATE_DELIVERIES = text(
    STATE.update(
        "deliveries",
        values={"next_attempt_at": "CASE fresh.state WHEN 'not_needed' THEN NULL ELSE next_attempt_at END"},
    )
)


class NotifyStore:
    """Loads and saves what a batch touches. `channels`: those that this installation can send on."""

    def __init__(self, pack: NotifyPack, *, channels: frozenset[Channel]) -> None:
        self.pack = pack
        self.channels = channels
        self._arrangements: Arrangements | None = None

    async def council(self, connection: Connection) -> Council:
        """Return what decisions stand on. The arrangements are read again only when they have changed."""
        self._arrangements = await preference_store.load(connection, self._arrangements)
        return Council(self.pack, self._arrangements, self.channels)

    async def load(self, connection: Connection, messages: Sequence[Message]) -> NotifyBook:
        """Return the book for a batch: the people around its events' children, its commands' alerts."""
        book = NotifyBook(await self.council(connection))
        ids = {each.alert_id for each in messages if isinstance(each, AcknowledgeAlert | SnoozeAlert)}
        if ids:
            await self._load_family(connection, book, sorted(ids))
        events = [message for message in messages if isinstance(message, Event)]
        children = {event.child_id for event in events}
        children |= {message.child_id for message in messages if isinstance(message, AssignKeyWorker)}
        if children:
            book.people = await people_store.load(connection, sorted(children))
        of_cases = {event.child_id for event in events if isinstance(event, OF_CASES)}
        if of_cases:
            for child_id, story in (await agency_updates.heard_of(connection, sorted(of_cases))).items():
                book.people[child_id] = replace(book.people_of(child_id), story=story)
        if events:
            await self._load_open(connection, book, events)
        return book

    async def load_deliveries(self, connection: Connection, book: NotifyBook, ids: Iterable[UUID]) -> None:
        """Load the deliveries of alerts into the book, except those that are being sent."""
        rows = await connection.execute(LOAD_DELIVERIES, {"ids": sorted(ids)})
        book.know(deliveries=[delivery_of(row) for row in rows])

    async def save(self, connection: Connection, book: NotifyBook) -> None:
        """Write what has changed."""
        await people_store.save(connection, book)
        await preference_store.save(connection, book.arranged)
        fresh = [book.alerts[each] for each in sorted(book.fresh_alerts)]
        if fresh:
            facts = [alert.facts for alert in fresh]
            arrays = _standing(fresh) | RECIPIENT.of(facts) | FACTS.of(facts)
            await connection.execute(INSERT_ALERTS, arrays)
        changed = [book.alerts[each] for each in sorted(book.changed_alerts)]
        if changed:
            arrays = _standing(changed) | RECIPIENT.of([alert.facts for alert in changed])
            await connection.execute(UPDATE_ALERTS, arrays)
        await _save_deliveries(connection, book)

    async def _load_family(self, connection: Connection, book: NotifyBook, ids: Sequence[UUID]) -> None:
        roots = sorted(row[0] for row in await connection.execute(ROOTS, {"ids": ids}))
        book.know(alerts=[alert_of(row) for row in await connection.execute(LOAD_ALERTS, {"ids": roots})])
        family = await connection.execute(LOAD_FAMILY, {"ids": ids, "roots": roots})
        book.know(alerts=[alert_of(row) for row in family])
        await self.load_deliveries(connection, book, book.alerts)

    async def _load_open(self, connection: Connection, book: NotifyBook, events: Sequence[Event]) -> None:
        """Load the open alerts that may stand for new ones, be settled, or follow a case."""
        settled = {kind for event in events for kind in settled_kinds(event, self.pack)}
        moving = sorted({event.child_id for event in events if isinstance(event, LeadProfessionalAssigned)})
        rows = await connection.execute(
            LOAD_OPEN,
            {
                "children": sorted({event.child_id for event in events}),
                "kinds": sorted({RECIPIENT_MISSING, *settled, *map(kind_of, events)}),
                "moving": moving,
            },
        )
        alerts = [alert_of(row) for row in rows]
        book.know(alerts=alerts)
        touched = {
            alert.alert_id
            for alert in alerts
            if alert.facts.child_id in moving or alert.facts.kind in settled
        }
        if touched and self.channels:
            await self.load_deliveries(connection, book, touched)


def alert_of(row: Row) -> Alert:
    """Return the alert that a row holds."""
    raised = AlertRaised(
        child_id=row.child_id,
        alert_id=row.alert_id,
        cause_id=row.cause_id,
        recipient_id=row.recipient_id,
        role=Role(row.role),
        stands_in_for=row.stands_in_for,
        kind=row.kind,
        urgency=Urgency(row.urgency),
        about=row.about,
        case_id=row.case_id,
        team=row.team,
        due_at=row.due_at,
        escalates=row.escalates,
        template=row.template,
        says=row.says,
        next_step=row.next_step,
        raised_at=row.raised_at,
    )
    return Alert(
        row.alert_id,
        row.version,
        row.status,
        raised,
        row.acknowledged_at,
        row.acknowledged_by,
        row.repeats,
        row.repeated_at,
        row.escalation_step,
        row.next_escalation_at,
        row.snoozed_until,
        row.settled_at,
    )


def delivery_of(row: Row) -> Delivery:
    """Return the delivery that a row of `LOAD_DELIVERIES` holds."""
    return Delivery(
        row.delivery_id,
        row.version,
        row.state,
        None,
        row.alert_id,
        row.child_id,
        row.case_id,
        Channel(row.channel),
        row.gathered,
        row.reason,
        row.acknowledged_at,
    )


async def _save_deliveries(connection: Connection, book: NotifyBook) -> None:
    """Write deliveries. New ones go out in the order in which they were decided."""
    fresh = [each for identity, each in book.deliveries.items() if identity in book.fresh_deliveries]
    if fresh:
        arrays = STATE.of(fresh) | QUEUED.of([each.queued for each in fresh])
        await connection.execute(INSERT_DELIVERIES, arrays)
    changed = [book.deliveries[each] for each in sorted(book.changed_deliveries)]
    if changed:
        await connection.execute(UPDATE_DELIVERIES, STATE.of(changed))


def _standing(alerts: Sequence[Alert]) -> Arrays:
    return STANDING.of(alerts, escalation_step=lambda alert: alert.step)
