"""The notify service with every channel led to a counterpart on a socket, its clocks moved by hand."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import text

from deploy.embedded.engines import Engines
from schemas import events as e
from schemas.events.codes import Channel
from services.kernel.base.clock import SystemClock
from services.kernel.base.settings import Settings
from services.kernel.postgres.database import create_engine, migrate
from services.notify.app import build
from services.notify.delivery.channels.configured import Carriers
from services.notify.delivery.dispatcher import Dispatcher
from services.notify.delivery.receipts import ReceiptsAsked
from services.notify.delivery.store import subscriptions as subscription_store
from services.notify.delivery.store.subscriptions import Endpoint, OwnerKind, subscription_id
from tests.builders import (
    AGENCY,
    MONDAY,
    TEAM,
    a_child,
    assessment_started,
    deadline_overdue,
    lead_professional_assigned,
    referral_received,
)
from tests.counterparts.govuk_notify import API_KEY, EMAIL_TEMPLATE, SMS_TEMPLATE, NotifyStub
from tests.counterparts.post_office import PostOffice, listening
from tests.counterparts.serving import serving
from tests.counterparts.webhook_receiver import Receiver
from tests.flow.conftest import TABLES, Bench, MovableClock

LEASE = timedelta(seconds=Settings().claim_seconds)
REAL = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "a-signing-key-of-some-length"
TOKEN = "a-token-that-notify-was-given"
DIRECTORY = (
    "recipient_id,email,phone\n"
    "W-0600,manager@council.example,07700900100\n"
    "W-0601,lead@council.example,07700900101\n"
)


@dataclass
class Rig:
    """The service, its senders, and who is on the other side."""

    bench: Bench
    sending: Dispatcher
    receipts: ReceiptsAsked
    real: MovableClock
    office: PostOffice
    stub: NotifyStub
    receiver: Receiver
    url: str
    """Where the receiver listens."""

    async def subscribe(
        self, path: str, *, owner: str = TEAM, channel: Channel = Channel.WEBHOOK, signed: bool = True
    ) -> UUID:
        """Subscribe a path of the receiver to what a team's duty inbox or an agency is told."""
        kind: OwnerKind = "team" if owner == TEAM else "agency"
        url, key = f"{self.url}{path}", "key" if channel is Channel.WEBHOOK else None
        identity = subscription_id(kind, owner, channel, url)
        async with self.bench.engine.begin() as connection:
            await subscription_store.add(
                connection, Endpoint(identity, kind, owner, channel, url, key), now=MONDAY
            )
        if signed and channel is Channel.WEBHOOK:
            self.receiver.at(path).key = KEY.encode()
        return identity

    async def deliveries(self, channel: Channel | None = None) -> Sequence[Any]:
        """Return the deliveries, of one channel or of all, in the order of their queue."""
        return await self.bench.rows(
            "SELECT * FROM deliveries WHERE channel = coalesce(CAST(:channel AS text), channel)"
            " ORDER BY position",
            channel=None if channel is None else channel.value,
        )

    async def states(self, channel: Channel) -> list[str]:
        """Return the states of a channel's deliveries."""
        return [row.state for row in await self.deliveries(channel)]


def settings_for(
    engines: Engines, directory: Path, *, smtp_port: int, notify_url: str, **changes: Any
) -> Settings:
    """Return settings under which emails go over SMTP, texts through the stub, webhooks anywhere."""
    people, secrets = directory / "people.csv", directory / "secrets"
    people.write_text(DIRECTORY)
    secrets.mkdir(exist_ok=True)
    (secrets / "key").write_text(KEY)
    values: dict[str, Any] = {
        "database": engines.database_url,
        "kafka": engines.kafka,
        "kafka_idempotent": engines.kafka_idempotent,
        "smtp": f"127.0.0.1:{smtp_port}",
        "mail_domain": "workers.council.example",
        "mail_from": "leadline@council.example",
        "site": "https://leadline.example",
        "directory": people,
        "send_seconds": 0.05,
        "scan_seconds": 0.05,
        "govuk_notify_key": SecretStr(API_KEY),
        "govuk_notify_url": notify_url,
        "govuk_notify_templates": {"sms": SMS_TEMPLATE},
        "govuk_notify_callback_token": SecretStr(TOKEN),
        "webhook_secrets": secrets,
        "webhook_http": True,
        "webhook_private_hosts": "127.0.0.1",
    }
    return Settings(**values | changes)


BY_NOTIFY = {"govuk_notify_templates": {"email": EMAIL_TEMPLATE, "sms": SMS_TEMPLATE}}
"""Emails through GOV.UK Notify, too."""


@asynccontextmanager
async def notify_rig(engines: Engines, directory: Path, **changes: Any) -> AsyncIterator[Rig]:
    """Give the service on an empty store, and its counterparts, until the context ends."""
    office, stub, receiver = PostOffice(), NotifyStub(), Receiver()
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(listening(office))
        notify_url = await stack.enter_async_context(serving(stub.app()))
        url = await stack.enter_async_context(serving(receiver.app()))
        settings = settings_for(engines, directory, smtp_port=port, notify_url=notify_url, **changes)
        engine = create_engine(settings, "notify")
        stack.push_async_callback(engine.dispose)
        await migrate(engine, "notify")
        async with engine.begin() as connection:
            tables = (await connection.execute(text(TABLES))).scalar_one()
            await connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
        bench, real = Bench(build(settings), engine, MovableClock(), settings), MovableClock(REAL)
        # Signatures and tokens are of the counterparts' time, and that is the machine's.
        carriers = Carriers(settings, real=SystemClock())
        stack.callback(carriers.close)
        sending = Dispatcher(settings, engine, bench.clock, real=real, carriers=carriers)
        assert carriers.api is not None
        receipts = ReceiptsAsked(settings, engine, bench.clock, carriers.api, real=real)
        yield Rig(bench, sending, receipts, real, office, stub, receiver, url)


def received(number: int = 1, *, agency_id: str = AGENCY) -> e.ReferralReceived:
    """Return a referral: the duty inbox is told by email, webhook and chat, the agency by webhook."""
    return referral_received(a_child(number), agency_id=agency_id)


def case_overdue(number: int) -> tuple[e.Event, ...]:
    """Return a case of its own whose assessment is overdue: lead and manager get an email and a text."""
    child, case = UUID(int=10_000 + number), UUID(int=20_000 + number)
    late = deadline_overdue(number=30_000 + number, child_id=child, about=case, case_id=case)
    return (
        assessment_started(child, case_id=case),
        lead_professional_assigned(child_id=child, case_id=case),
        late,
    )
