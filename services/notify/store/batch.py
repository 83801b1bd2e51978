"""Loads and saves what a batch touches: people, alerts, deliveries. What pages read is in `queries`."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import text

from schemas.events import AlertRaised, Event, LeadProfessionalAssigned
from schemas.events.codes import Channel, Role, Urgency
from services.kernel.postgres.connection import Connection, Row
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

ALERT = """
    alert_id, version, status, recipient_id, role, kind, urgency, says, next_step, about, case_id, child_id,
    due_at, raised_at, acknowledged_at, acknowledged_by, cause_id, stands_in_for, team, template, escalates,
    repeats, repeated_at, escalation_step, next_escalation_at, snoozed_until, settled_at
"""

# Without locks: a batch seldom changes an alert that was there before. Should somebody else do so in
# between, the journal refuses the second event of the same number, and the batch looks again.
LOAD_OPEN = text(f"""
    SELECT {ALERT} FROM alerts
    WHERE status = 'open' AND child_id = ANY(CAST(:children AS uuid[]))
      AND (kind = ANY(CAST(:kinds AS text[])) OR child_id = ANY(CAST(:moving AS uuid[])))
    ORDER BY alert_id
""")  # noqa: S608 - the columns are ours

# An alert before those that it led to, so that two who acknowledge at once do not wait for each other, and
# in statements of their own: what was written while the first one waited is seen by the second.
ROOTS = text("""
    SELECT DISTINCT coalesce(escalates, alert_id) FROM alerts WHERE alert_id = ANY(CAST(:ids AS uuid[]))
""")
LOAD_ALERTS = text(f"""
    SELECT {ALERT} FROM alerts WHERE alert_id = ANY(CAST(:ids AS uuid[])) ORDER BY alert_id FOR UPDATE
""")  # noqa: S608 - the columns are ours
LOAD_FAMILY = text(f"""
    SELECT {ALERT} FROM alerts
    WHERE (alert_id = ANY(CAST(:ids AS uuid[])) OR escalates = ANY(CAST(:ids AS uuid[])))
      AND alert_id <> ALL(CAST(:roots AS uuid[]))
    ORDER BY alert_id FOR UPDATE
""")  # noqa: S608 - the columns are ours

# A delivery that a channel is just sending goes; whoever acknowledges does not wait for it (SKIP LOCKED).
LOAD_DELIVERIES = text("""
    SELECT delivery_id, version, state, alert_id, child_id, case_id, channel, reason, acknowledged_at,
           (message_id <> delivery_id OR (digest AND state = 'queued')) AS gathered
    FROM deliveries WHERE alert_id = ANY(CAST(:ids AS uuid[])) AND claim IS NULL
    ORDER BY delivery_id FOR UPDATE SKIP LOCKED
""")

INSERT_ALERTS = text(f"""
    INSERT INTO alerts ({ALERT})
    SELECT * FROM unnest(
        CAST(:alert_id AS uuid[]), CAST(:version AS integer[]), CAST(:status AS text[]),
        CAST(:recipient_id AS text[]), CAST(:role AS text[]), CAST(:kind AS text[]),
        CAST(:urgency AS text[]), CAST(:says AS text[]), CAST(:next_step AS text[]),
        CAST(:about AS uuid[]), CAST(:case_id AS uuid[]), CAST(:child_id AS uuid[]),
        CAST(:due_at AS timestamptz[]), CAST(:raised_at AS timestamptz[]),
        CAST(:acknowledged_at AS timestamptz[]), CAST(:acknowledged_by AS text[]),
        CAST(:cause_id AS uuid[]), CAST(:stands_in_for AS text[]), CAST(:team AS text[]),
        CAST(:template AS text[]), CAST(:escalates AS uuid[]), CAST(:repeats AS integer[]),
        CAST(:repeated_at AS timestamptz[]), CAST(:step AS integer[]),
        CAST(:next_escalation_at AS timestamptz[]), CAST(:snoozed_until AS timestamptz[]),
        CAST(:settled_at AS timestamptz[])
    )
""")  # noqa: S608 - the columns are ours

UPDATE_ALERTS = text("""
    UPDATE alerts SET
        version = fresh.version, status = fresh.status, recipient_id = fresh.recipient_id, role = fresh.role,
        stands_in_for = fresh.stands_in_for, acknowledged_at = fresh.acknowledged_at,
        acknowledged_by = fresh.acknowledged_by, repeats = fresh.repeats, repeated_at = fresh.repeated_at,
        escalation_step = fresh.step, next_escalation_at = fresh.next_escalation_at,
        snoozed_until = fresh.snoozed_until, settled_at = fresh.settled_at
    FROM unnest(
        CAST(:alert_id AS uuid[]), CAST(:version AS integer[]), CAST(:status AS text[]),
        CAST(:recipient_id AS text[]), CAST(:role AS text[]), CAST(:stands_in_for AS text[]),
        CAST(:acknowledged_at AS timestamptz[]), CAST(:acknowledged_by AS text[]),
        CAST(:repeats AS integer[]), CAST(:repeated_at AS timestamptz[]), CAST(:step AS integer[]),
        CAST(:next_escalation_at AS timestamptz[]), CAST(:snoozed_until AS timestamptz[]),
        CAST(:settled_at AS timestamptz[])
    ) AS fresh (
        alert_id, version, status, recipient_id, role, stands_in_for, acknowledged_at, acknowledged_by,
        repeats, repeated_at, step, next_escalation_at, snoozed_until, settled_at
    )
    WHERE alerts.alert_id = fresh.alert_id
""")

FACTS = ("recipient_id", "kind", "says", "next_step", "about", "case_id", "child_id", "due_at", "raised_at")
MORE_FACTS = ("cause_id", "stands_in_for", "team", "template", "escalates")
STANDING = ("alert_id", "version", "status", "acknowledged_at", "acknowledged_by", "repeats", "repeated_at")
MORE_STANDING = ("step", "next_escalation_at", "snoozed_until", "settled_at")

INSERT_DELIVERIES = text("""
    INSERT INTO deliveries (
        delivery_id, version, alert_id, child_id, case_id, recipient_id, channel, subscription_id, template,
        state, message_id, digest, held_until, queued_at, reason, acknowledged_at
    )
    SELECT delivery_id, version, alert_id, child_id, case_id, recipient_id, channel, subscription_id,
           template, state, delivery_id, digest, held_until, queued_at, reason, acknowledged_at
    FROM unnest(
        CAST(:delivery_id AS uuid[]), CAST(:version AS integer[]), CAST(:alert_id AS uuid[]),
        CAST(:child_id AS uuid[]), CAST(:case_id AS uuid[]), CAST(:recipient_id AS text[]),
        CAST(:channel AS text[]), CAST(:subscription_id AS uuid[]), CAST(:template AS text[]),
        CAST(:state AS text[]), CAST(:digest AS boolean[]), CAST(:held_until AS timestamptz[]),
        CAST(:queued_at AS timestamptz[]), CAST(:reason AS text[]), CAST(:acknowledged_at AS timestamptz[])
    ) WITH ORDINALITY AS fresh (
        delivery_id, version, alert_id, child_id, case_id, recipient_id, channel, subscription_id, template,
        state, digest, held_until, queued_at, reason, acknowledged_at, ordinal
    )
    ORDER BY ordinal
""")

QUEUED = ("delivery_id", "alert_id", "child_id", "case_id", "recipient_id", "subscription_id", "template")
MORE_QUEUED = ("digest", "held_until", "queued_at")

UPDATE_DELIVERIES = text("""
    UPDATE deliveries SET version = fresh.version, state = fresh.state, reason = fresh.reason,
        acknowledged_at = fresh.acknowledged_at,
        next_attempt_at = CASE fresh.state WHEN 'not_needed' THEN NULL ELSE next_attempt_at END
    FROM unnest(
        CAST(:delivery_id AS uuid[]), CAST(:version AS integer[]), CAST(:state AS text[]),
        CAST(:reason AS text[]), CAST(:acknowledged_at AS timestamptz[])
    ) AS fresh (delivery_id, version, state, reason, acknowledged_at)
    WHERE deliveries.delivery_id = fresh.delivery_id
""")


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
        """Let the book know the deliveries of alerts, but for those that are just being sent."""
        rows = await connection.execute(LOAD_DELIVERIES, {"ids": sorted(ids)})
        book.know(deliveries=[delivery_of(row) for row in rows])

    async def save(self, connection: Connection, book: NotifyBook) -> None:
        """Write what has changed."""
        await people_store.save(connection, book)
        await preference_store.save(connection, book.arranged)
        fresh = [book.alerts[each] for each in sorted(book.fresh_alerts)]
        if fresh:
            await connection.execute(INSERT_ALERTS, _columns(fresh))
        changed = [book.alerts[each] for each in sorted(book.changed_alerts)]
        if changed:
            await connection.execute(UPDATE_ALERTS, _columns(changed))
        await _save_deliveries(connection, book)

    async def _load_family(self, connection: Connection, book: NotifyBook, ids: Sequence[UUID]) -> None:
        roots = sorted(row[0] for row in await connection.execute(ROOTS, {"ids": ids}))
        book.know(alerts=[alert_of(row) for row in await connection.execute(LOAD_ALERTS, {"ids": roots})])
        family = await connection.execute(LOAD_FAMILY, {"ids": ids, "roots": roots})
        book.know(alerts=[alert_of(row) for row in family])
        await self.load_deliveries(connection, book, book.alerts)

    async def _load_open(self, connection: Connection, book: NotifyBook, events: Sequence[Event]) -> None:
        """Let the book know the open alerts that may speak for new ones, be settled, or follow a case."""
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
        queued = [each.queued for each in fresh]
        columns = {name: [getattr(each, name) for each in queued] for name in (*QUEUED, *MORE_QUEUED)}
        await connection.execute(INSERT_DELIVERIES, columns | _delivery_columns(fresh))
    changed = [book.deliveries[each] for each in sorted(book.changed_deliveries)]
    if changed:
        await connection.execute(UPDATE_DELIVERIES, _delivery_columns(changed))


def _delivery_columns(deliveries: Sequence[Delivery]) -> dict[str, list[Any]]:
    return {
        "delivery_id": [each.delivery_id for each in deliveries],
        "version": [each.version for each in deliveries],
        "state": [each.state for each in deliveries],
        "channel": [each.channel.value for each in deliveries],
        "reason": [each.reason for each in deliveries],
        "acknowledged_at": [each.acknowledged_at for each in deliveries],
    }


def _columns(alerts: Sequence[Alert]) -> dict[str, list[Any]]:
    facts = [alert.facts for alert in alerts]
    columns = {name: [getattr(alert, name) for alert in alerts] for name in (*STANDING, *MORE_STANDING)}
    columns |= {name: [getattr(each, name) for each in facts] for name in (*FACTS, *MORE_FACTS)}
    columns["role"] = [each.role.value for each in facts]
    columns["urgency"] = [each.urgency.value for each in facts]
    return columns
