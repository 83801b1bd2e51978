"""A notify store that was restored or lost, in the moments that a county seldom meets."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from schemas import events as e
from schemas.events import Event
from schemas.events.codes import Channel, FirstRole, Urgency
from services.kernel.base.settings import Settings
from services.kernel.messages.record import Record
from services.kernel.postgres.connection import Engine
from services.kernel.processing.outgoing import Encoder
from services.kernel.processing.publication import entry
from services.kernel.processing.service import Context
from services.kernel.rejoin import rejoining as rejoin
from services.kernel.rejoin.reading import RecordOfTopic
from services.kernel.rejoin.rejoining import APPLICATION, Rejoin, RejoinReport
from services.kernel.store import journal
from services.kernel.store.relaying import Pending
from services.notify.alerts.model import AcknowledgeAlert
from services.notify.app import build
from services.notify.delivery.store import claims, queue
from services.notify.delivery.store import subscriptions as subscription_store
from services.notify.delivery.store.claims import SenderKey
from services.notify.delivery.store.queue import Message
from services.notify.delivery.store.subscriptions import Endpoint, subscription_id
from services.notify.due_scanner import begin_absence, escalate_once, release_held
from services.notify.preferences.model import DeclareAbsence
from services.notify.recall import LOST_ADDRESS, LOST_WORDS, NotifyRecall
from services.notify.store.batch import NotifyStore
from tests.builders import (
    CASE,
    CHILD,
    LEAD,
    MONDAY,
    OTHER,
    assessment_started,
    deadline_due_soon,
    deadline_overdue,
    lead_professional_assigned,
    referral_received,
)
from tests.flow.conftest import TABLES, Bench, MakeBench
from tests.flow.notify_alerts import alert_of

pytestmark = pytest.mark.connected

REAL = datetime(2026, 1, 1, tzinfo=UTC)
NIGHT, MORNING = timedelta(hours=13), timedelta(hours=25)
OWN = "notify-events"
JOURNAL = """
    SELECT position, event_id::text, type, subject::text, sequence, key::text, time, correlation_id::text,
           causation_id::text, data::text
    FROM journal ORDER BY position
"""
COMPARED = ("alerts", "cases", "heard_events", "key_workers", "referrers")
# Who has refused what was never sent, nothing tells.
DELIVERIES = """
    SELECT delivery_id, version, state, message_id, digest, held_until, attempts, reason, reference,
           queued_at, sent_at, delivered_at, acknowledged_at, claim, ask_at IS NULL, ask_until IS NULL,
           CASE WHEN sent_at IS NOT NULL THEN provider END
    FROM deliveries ORDER BY delivery_id
"""


RAISED_BEFORE = text("""
    INSERT INTO alerts (alert_id, version, status, recipient_id, role, kind, urgency, says, next_step, about,
        case_id, child_id, raised_at, cause_id)
    VALUES (:alert_id, 1, 'open', :recipient_id, :role, :kind, :urgency, :lost, :next_step, :about,
        :case_id, :child_id, :now, :cause_id)
""")
QUEUED_BEFORE = text("""
    INSERT INTO deliveries (delivery_id, version, alert_id, child_id, case_id, recipient_id, channel,
        template, state, message_id, queued_at)
    VALUES (:delivery_id, 0, :alert_id, :child_id, :case_id, :recipient_id, 'email', 'alert',
        'queued', :delivery_id, :now)
""")


@dataclass
class Bus:
    """What a broker holds, without one: read as `BusReader` does, acknowledged to the end."""

    topics: dict[str, list[RecordOfTopic]] = field(default_factory=dict)

    def __call__(self, _settings: Settings) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""

    async def first_offsets(self, topic: str) -> dict[int, int]:
        return {0: next((read.record.offset for read in self.topics.get(topic, ())), 0)}

    async def read(self, topic: str) -> AsyncIterator[Sequence[RecordOfTopic]]:
        yield self.topics.get(topic, [])

    async def acknowledged(self, _group: str, _topics: Sequence[str]) -> Mapping[tuple[str, int], int]:
        return {}

    def put(self, record: Record, at: datetime) -> None:
        self.topics.setdefault(record.topic, []).append(RecordOfTopic(record, int(at.timestamp() * 1000)))

    def forget_before(self, moment: datetime) -> None:
        """Let own events of before a moment leave the bus."""
        since = int(moment.timestamp() * 1000)
        self.topics[OWN] = [read for read in self.topics[OWN] if read.published_at >= since]


@dataclass
class Office:
    """The service and its bus, and a backup of its store."""

    bench: Bench
    bus: Bus

    async def hear(self, *events: Event) -> None:
        """Publish and handle what other services say."""
        for event in events:
            record = self.bench.record(event)
            self.bus.put(record, self.bench.clock.now())
            await self.bench.delivery.deliver([record])

    async def publish(self) -> None:
        """Put the whole journal on the bus, as the relay does."""
        encoder = Encoder("/leadline/notify")
        self.bus.topics[OWN] = []
        for row in await self.bench.rows(JOURNAL):
            pending = Pending(*row)
            key, value, headers = encoder.encode(pending)
            self.bus.put(Record(OWN, 0, pending.position - 1, key, value, tuple(headers)), pending.time)

    async def raised_before_deliveries(self) -> tuple[UUID, UUID]:
        """Leave an alert as the migration does, its email in the queue; return the ids of both."""
        alert_id, delivery_id = uuid4(), uuid4()
        event = e.AlertRaisedV1(
            child_id=CHILD,
            alert_id=alert_id,
            recipient_id=LEAD,
            role=FirstRole.LEAD_PROFESSIONAL,
            kind="plan.reviewed",
            urgency=Urgency.SOON,
            about=CASE,
            case_id=CASE,
            next_step="Look.",
            raised_at=MONDAY,
        )
        context = Context(MONDAY, uuid4(), uuid4(), self.bench.calendar)
        async with self.bench.engine.begin() as connection:
            await journal.append(connection, [entry(event, 1, context)], now=MONDAY)
            parameters = event.model_dump(mode="json") | {
                "cause_id": context.cause,
                "delivery_id": delivery_id,
                "lost": LOST_WORDS,
                "now": MONDAY,
            }
            await connection.execute(RAISED_BEFORE, parameters)
            await connection.execute(QUEUED_BEFORE, parameters)
        return alert_id, delivery_id

    async def hear_own(self) -> None:
        """Handle what the service reads of its own topic."""
        await self.publish()
        await self.bench.delivery.deliver([read.record for read in self.bus.topics[OWN]])

    async def execute(self, *statements: str) -> None:
        async with self.bench.engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))

    @asynccontextmanager
    async def backed_up(self) -> AsyncIterator[None]:
        """Back the store up; at the end it is as it was then, and what happened meanwhile is on the bus."""
        names = [row[0] for row in await self.bench.rows(f"SELECT unnest(string_to_array(({TABLES}), ', '))")]
        await self.execute(
            "DROP SCHEMA IF EXISTS backup CASCADE",
            "CREATE SCHEMA backup",
            *(f"CREATE TABLE backup.{name} AS TABLE {name}" for name in names),
        )
        yield
        await self.publish()
        await self.execute(
            f"TRUNCATE {', '.join(names)} CASCADE",
            "SET LOCAL session_replication_role = replica",  # not in the order of the foreign keys
            *(f"INSERT INTO {name} OVERRIDING SYSTEM VALUE TABLE backup.{name}" for name in names),
            "DROP SCHEMA backup CASCADE",
        )

    async def lose(self) -> None:
        """Leave nothing of the store but empty tables; what happened is on the bus."""
        await self.publish()
        (row,) = await self.bench.rows(TABLES)
        await self.execute(f"TRUNCATE {row[0]} RESTART IDENTITY CASCADE")

    async def rejoin(self) -> RejoinReport:
        """Let the store rejoin as `leadline rejoin` does."""
        await self.bench.engine.dispose()
        engine = Engine(self.bench.engine.address, size=2, application=APPLICATION)
        store = self.bench.service.store
        assert isinstance(store, NotifyStore)
        recall = NotifyRecall(store)
        try:
            return await Rejoin(
                self.bench.service, recall, self.bench.settings, engine, self.bench.clock
            ).run()
        finally:
            await engine.dispose()

    async def state(self) -> dict[str, list[Any]]:
        """Return all that must come back of alerts, deliveries and people."""
        held: dict[str, list[Any]] = {
            name: [tuple(row) for row in await self.bench.rows(f"SELECT * FROM {name} ORDER BY 1, 2")]
            for name in COMPARED
        }
        held["deliveries"] = [tuple(row) for row in await self.bench.rows(DELIVERIES)]
        held["journal"] = [tuple(row)[1:] for row in await self.bench.rows(JOURNAL)]
        return held

    async def claim(self) -> Message:
        """Claim the next email as a sender does."""
        async with self.bench.engine.begin() as connection:
            times = {"now": REAL, "until": REAL + timedelta(minutes=2)}
            (message,) = await claims.claim(
                connection, SenderKey(Channel.EMAIL), limit=1, claim_id=uuid4(), **times
            )
        return message

    async def send(self, *, reference: str | None = None) -> Message:
        """Send the next email, with a receipt to come where there is a reference."""
        message = await self.claim()
        asked = None if reference is None else REAL
        async with self.bench.engine.begin() as connection:
            await queue.sent(
                connection,
                message,
                provider="test",
                reference=reference,
                ask_at=asked,
                ask_until=asked,
                now=self.bench.clock.now(),
            )
        return message

    async def acknowledge(self, recipient: str, kind: str) -> None:
        alert = await alert_of(self.bench, recipient, kind)
        await self.bench.execute(AcknowledgeAlert(alert_id=alert.alert_id, acknowledged_by=recipient))


@pytest.fixture
async def office(bench: MakeBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Office:
    """The service with email and webhooks configured, and a case that W-0601 leads."""
    changes = {"smtp": "127.0.0.1:1", "webhook_secrets": tmp_path}
    made = await bench("notify", lambda settings: build(settings.model_copy(update=changes)))
    bus = Bus()
    monkeypatch.setattr(rejoin, "BusReader", bus)
    made_office = Office(made, bus)
    await made_office.hear(assessment_started(), lead_professional_assigned())
    await made_office.send()
    return made_office


def lost(report: RejoinReport) -> dict[str, tuple[str, ...]]:
    """Return the ids of what did not come back, by what it is."""
    return {loss.what.partition(",")[0].partition(":")[0]: loss.ids for loss in report.losses}


async def test_every_state_of_a_delivery_comes_back(office: Office) -> None:
    """Sent, received, bounced, refused, gathered in a digest, no longer needed, still held, still queued."""
    bench = office.bench
    await office.hear(deadline_overdue(number=1))
    message = await office.send(reference="ref-1")
    async with bench.engine.begin() as connection:
        await queue.arrived(connection, message.message_id, now=MONDAY)
    message = await office.send(reference="ref-2")
    async with bench.engine.begin() as connection:
        await queue.bounced(
            connection, message.message_id, reason="permanent_failure", detail="permanent_failure", now=MONDAY
        )
    await office.hear(deadline_due_soon(number=2, kind="care_plan"))
    message = await office.claim()
    async with bench.engine.begin() as connection:
        await queue.fail(
            connection,
            message,
            reason="refused",
            detail="550 5.1.1",
            provider="test",
            refusals=3,
            now=MONDAY,
        )
    await office.hear_own()
    await office.hear(deadline_due_soon(number=3))
    await office.acknowledge(LEAD, "deadline.due_soon:plan_review")
    bench.clock.move(NIGHT)
    await office.hear(
        deadline_due_soon(number=4, kind="placement_plan"),
        deadline_due_soon(number=5, kind="core_group_first"),
    )
    bench.clock.move(MORNING - NIGHT)
    assert await release_held(bench.engine, bench.clock) == 2
    digest = await office.send()
    assert len(digest.parts) == 2
    await office.hear(deadline_due_soon(number=6, kind="pathway_plan_review"))
    bench.clock.move(NIGHT)
    await office.hear(deadline_due_soon(number=7, kind="early_help_assessment"))
    states = [row.state for row in await bench.rows("SELECT DISTINCT state FROM deliveries ORDER BY 1")]
    assert states == ["delivered", "failed", "held", "not_needed", "queued", "sent"]
    before = await office.state()
    await office.lose()
    report = await office.rejoin()
    after = await office.state()
    assert after == before
    assert set(lost(report)) == {"answers to requests"}


async def test_what_was_being_sent_at_the_backup_and_was_let_go_is_taken_back(office: Office) -> None:
    """The claim in the backup is of a sender that is long gone, and no longer stands in the way."""
    await office.hear(deadline_due_soon(number=1))
    message = await office.claim()
    async with office.backed_up():
        async with office.bench.engine.begin() as connection:
            again = REAL + timedelta(minutes=1)
            await queue.try_later(connection, message, refusals=0, reason="421", next_attempt_at=again)
        await office.acknowledge(LEAD, "deadline.due_soon:plan_review")
        before = await office.state()
    report = await office.rejoin()
    assert set(lost(report)) == {"answers to requests"}
    after = await office.state()
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} <= {"deliveries"}
    (row,) = await office.bench.rows("SELECT * FROM deliveries WHERE state = 'not_needed'")
    assert (row.delivery_id, row.version, row.claim) == (message.message_id, 2, None)


async def test_what_was_being_sent_at_the_backup_and_not_heard_of_again_is_sent_as_doubtful(
    office: Office,
) -> None:
    """Nothing on the bus tells of it: it may have gone."""
    await office.hear(deadline_due_soon(number=1), deadline_due_soon(number=2, kind="care_plan"))
    message = await office.claim()
    async with office.backed_up():
        await office.acknowledge(LEAD, "deadline.due_soon:care_plan")
    await office.rejoin()
    async with office.bench.engine.begin() as connection:
        later = REAL + timedelta(hours=1)
        (again,) = await claims.claim(
            connection, SenderKey(Channel.EMAIL), limit=9, claim_id=uuid4(), now=later, until=later
        )
    assert (again.message_id, again.doubtful) == (message.message_id, True)


async def test_what_escalation_and_absence_have_led_to_is_nobodys_request(office: Office) -> None:
    """Nobody has asked for it, so nobody is told that an answer was lost."""
    bench = office.bench
    await office.hear(deadline_overdue(number=1), deadline_due_soon(number=2))
    bench.clock.move(timedelta(days=1))
    assert await escalate_once(bench.service, bench.engine, bench.clock) == 2
    ends = bench.clock.now() + timedelta(days=2)
    away = DeclareAbsence(
        worker_id=LEAD, to_id=OTHER, starts_at=bench.clock.now(), ends_at=ends, declared_by=LEAD
    )
    await bench.execute(away)
    assert await begin_absence(bench.service, bench.engine, bench.clock)
    types = set(await bench.journal_types())
    assert {"notification.escalated.v1", "alert.reassigned.v1", "notification.withdrawn.v1"} <= types
    before = await office.state()
    await office.lose()
    report = await office.rejoin()
    assert report.losses == []
    assert await office.state() == before


async def test_deliveries_go_with_the_alert_whose_beginning_has_left_the_bus(office: Office) -> None:
    """Left out whole and listed; the rest of what is known of the child comes back."""
    bench = office.bench
    await office.hear(deadline_overdue(number=1))
    bench.clock.move(timedelta(days=1))
    await escalate_once(bench.service, bench.engine, bench.clock)
    await office.hear(deadline_due_soon(number=2))
    begun_later = "SELECT subject FROM journal WHERE sequence = 1 AND time >= :now"
    (reminder,) = await bench.rows(
        f"SELECT delivery_id FROM deliveries WHERE template = 'reminder' AND recipient_id = '{LEAD}'"
        f" AND delivery_id IN ({begun_later})",
        now=bench.clock.now(),
    )
    left = await alert_of(bench, LEAD, "deadline.due_soon:plan_review")
    await office.lose()
    office.bus.forget_before(bench.clock.now())
    report = await office.rejoin()
    assert "children who could not be taken back" not in lost(report)
    assert str(reminder.delivery_id) in lost(report)["aggregates whose beginning has left the bus"]
    assert await alert_of(bench, LEAD, "deadline.due_soon:plan_review") == left
    assert [row.alert_id for row in await bench.rows("SELECT alert_id FROM deliveries")] == [left.alert_id]


@pytest.mark.parametrize("still_to_go", [True, False])
async def test_alert_of_the_first_version_comes_back_as_what_it_has_become(
    office: Office, still_to_go: bool
) -> None:
    """As the migration left it. An email that went before it has no event, and does not go again."""
    bench = office.bench
    alert_id, delivery_id = await office.raised_before_deliveries()
    if still_to_go:
        await office.send()
        await office.acknowledge(LEAD, "plan.reviewed")
    else:
        await office.execute("UPDATE deliveries SET state = 'sent', sent_at = now() WHERE version = 0")
    before = await office.state()
    await office.lose()
    report = await office.rejoin()
    after = await office.state()
    if still_to_go:
        assert after == before
        assert "alerts of the first version" not in lost(report)
        return
    assert lost(report)["alerts of the first version"] == (str(alert_id),)
    before["deliveries"] = [row for row in before["deliveries"] if row[0] != delivery_id]
    assert after == before
    assert await bench.rows("SELECT 1 FROM deliveries WHERE state = 'queued'") == []


async def test_address_that_is_lost_is_subscribed_again_by_the_same_command(office: Office) -> None:
    """Until then nothing goes there: what was queued waits for nobody, and operations are told of it."""
    bench = office.bench
    url = "https://team.example/hook"
    identity = subscription_id("team", "lt-ely", Channel.WEBHOOK, url)
    endpoint = Endpoint(identity, "team", "lt-ely", Channel.WEBHOOK, url, "key")
    async with bench.engine.begin() as connection:
        await subscription_store.add(connection, endpoint, now=MONDAY)
    await office.hear(referral_received())
    await office.lose()
    report = await office.rejoin()
    assert lost(report) == {"subscriptions": (str(identity),)}
    async with bench.engine.connect() as connection:
        known = await subscription_store.get(connection, identity)
    assert known == replace(endpoint, url=LOST_ADDRESS, secret_reference=None, active=False)
    async with bench.engine.begin() as connection:
        await subscription_store.add(connection, endpoint, now=MONDAY)
    async with bench.engine.connect() as connection:
        assert await subscription_store.get(connection, identity) == endpoint
    assert (await office.rejoin()).losses == []
