"""Emails over a real SMTP server on a socket: sent once, kept while the server is away or refuses."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from prometheus_client import REGISTRY
from sqlalchemy import text

from deploy.embedded.engines import Engines
from services.kernel.base.settings import Settings
from services.kernel.postgres.database import create_engine, migrate
from services.notify.alerts.model import AcknowledgeAlert
from services.notify.app import build, extras
from services.notify.delivery.channels.breaker import FIRST_PAUSE as FIRST_REST
from services.notify.delivery.channels.breaker import LONGEST_PAUSE as LONGEST_REST
from services.notify.delivery.channels.smtp import AT_ONCE
from services.notify.delivery.dispatcher import Dispatcher
from services.notify.delivery.sender import LONGEST_PAUSE, REFUSALS_ALLOWED, pause_after
from tests.builders import MONDAY, a_child, referral_received
from tests.connected.notify_rig import LEASE
from tests.counterparts.post_office import TAKEN, PostOffice, listening
from tests.flow.conftest import TABLES, Bench, MovableClock

pytestmark = pytest.mark.connected

LIMIT_SECONDS = 20.0


@dataclass
class Mail:
    """The notify service with its senders, clocks moved by hand."""

    bench: Bench
    sending: Dispatcher
    real: MovableClock
    office: PostOffice

    async def rows(self) -> Sequence[Any]:
        """The emails in the order of their queue."""
        return await self.bench.rows(
            "SELECT state, attempts, refusals, reason, sent_at, alert_id, delivery_id"
            " FROM deliveries ORDER BY position"
        )

    async def states(self) -> list[str]:
        return [row.state for row in await self.rows()]


MakeMail = Callable[..., Any]


@pytest.fixture
async def make_mail(engines: Engines) -> AsyncIterator[MakeMail]:
    """Make the service for a mail server on a port; its store is migrated and empty."""
    async with AsyncExitStack() as stack:

        async def make(office: PostOffice, port: int, **changes: Any) -> Mail:
            settings = Settings(
                database=engines.database_url,
                kafka=engines.kafka,
                smtp=f"127.0.0.1:{port}",
                mail_domain="workers.council.example",
                mail_from="leadline@council.example",
                site="https://leadline.example",
                send_seconds=0.05,
                **changes,
            )
            engine = create_engine(settings, "notify")
            stack.push_async_callback(engine.dispose)
            await migrate(engine, "notify")
            real = MovableClock(datetime(2026, 1, 1, tzinfo=UTC))
            bench = Bench(build(settings), engine, MovableClock(), settings)
            async with engine.begin() as connection:
                tables = (await connection.execute(text(TABLES))).scalar_one()
                await connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
            return Mail(bench, Dispatcher(settings, engine, bench.clock, real=real), real, office)

        yield make


@pytest.fixture
async def mail(make_mail: MakeMail) -> AsyncIterator[Mail]:
    office = PostOffice()
    async with listening(office) as port:
        yield await make_mail(office, port)


async def test_urgent_alert_arrives_as_one_email_with_reference_and_link_only(mail: Mail) -> None:
    """To the recipient's address, in the pack's words, with nothing of the child; once."""
    await mail.bench.deliver(referral_received())
    assert await mail.sending.send_due() == 1
    assert await mail.sending.send_due() == 0
    (message,) = mail.office.kept
    (row,) = await mail.rows()
    assert mail.office.recipients == ["duty-lt-ely@workers.council.example"]
    assert message["Subject"] == "Leadline: referral received, reference 00000000"
    assert message["Message-ID"] == f"<{row.delivery_id}@council.example>"
    assert message.get_content().splitlines() == [
        "A new referral waits for a decision.",
        "What to do now: Open the referral and decide on it.",
        "",
        f"Open the alert: https://leadline.example/inbox/duty-lt-ely/alerts/{row.alert_id}",
        "",
        "This message holds no details of the child, on purpose: please do not reply with any.",
    ]
    assert (row.state, row.attempts, row.sent_at) == ("sent", 1, MONDAY)


async def test_refusal_for_a_while_delays_an_email_and_loses_none(mail: Mail) -> None:
    """Temporary answers are tried again after a growing pause; other emails go in between."""
    mail.office.answers = ["451 4.7.1 try again later"]
    await mail.bench.deliver(referral_received(a_child(1)))
    await mail.bench.deliver(referral_received(a_child(2)))
    assert await mail.sending.send_due() == 1
    # They go side by side: which of the two the server meets first is open.
    assert {(row.state, row.reason) for row in await mail.rows()} == {("queued", "451 4.7.1"), ("sent", None)}

    assert await mail.sending.send_due() == 0, "not before its pause is over"
    mail.office.answers = ["421 4.3.2 closing"]
    mail.real.move(pause_after(0))
    assert await mail.sending.send_due() == 0
    mail.real.move(pause_after(1) - timedelta(seconds=1))
    assert await mail.sending.send_due() == 0, "the second pause is longer"
    mail.real.move(timedelta(seconds=1))
    assert await mail.sending.send_due() == 1
    assert await mail.states() == ["sent", "sent"]
    assert len({message["Message-ID"] for message in mail.office.kept}) == len(mail.office.kept) == 2


async def test_temporary_refusals_never_end_in_giving_up(mail: Mail) -> None:
    """However long a mailbox is full for now, the email stays queued."""
    await mail.bench.deliver(referral_received())
    for _ in range(REFUSALS_ALLOWED + 3):
        mail.office.answers = ["452 4.2.2 mailbox full"]
        await mail.sending.send_due()
        mail.real.move(LONGEST_PAUSE)
    assert [(row.state, row.refusals) for row in await mail.rows()] == [("queued", 0)]
    assert await mail.sending.send_due() == 1


async def test_refused_for_good_is_given_up_with_the_reply_code_as_reason(mail: Mail) -> None:
    """After some tries nobody insists; the server's own text, which could name somebody, is not kept."""
    counted = {"channel": "email", "outcome": "refused"}
    before = REGISTRY.get_sample_value("leadline_sendings_total", counted) or 0.0
    await mail.bench.deliver(referral_received())
    for attempt in range(REFUSALS_ALLOWED):
        assert await mail.states() == ["queued"], attempt
        mail.office.answers = ["550 5.1.1 no mailbox for Jane Roe here"]
        assert await mail.sending.send_due() == 0
        mail.real.move(LONGEST_PAUSE)
    (row,) = await mail.rows()
    assert (row.state, row.refusals, row.reason) == ("failed", REFUSALS_ALLOWED, "550 5.1.1")
    assert await mail.sending.send_due() == 0
    assert mail.office.kept == []
    after = REGISTRY.get_sample_value("leadline_sendings_total", counted)
    assert after == before + REFUSALS_ALLOWED


async def test_server_that_refuses_our_sender_condemns_no_email(mail: Mail) -> None:
    """A wrong `mail_from` is one mistake of ours, not a refusal of every alert."""
    await mail.bench.deliver(referral_received())
    for _ in range(REFUSALS_ALLOWED + 1):
        mail.office.at_sender = ["553 5.7.1 not yours"]
        assert await mail.sending.send_due() == 0
        assert mail.office.at_sender == [], "somebody has asked"
        mail.real.move(LONGEST_REST)
    assert [(row.state, row.attempts) for row in await mail.rows()] == [("queued", 0)]
    assert await mail.sending.send_due() == 1


async def test_server_that_is_away_is_left_alone_for_a_while(mail: Mail) -> None:
    """Not every message asks again, and the first one that may brings the others along."""
    await mail.bench.deliver(referral_received(a_child(1)), referral_received(a_child(2)))
    mail.office.at_sender = ["553 5.7.1 not yours"] * 2  # two go side by side
    assert await mail.sending.send_due() == 0
    assert await mail.sending.send_due() == 0, "the pause is not over"
    mail.real.move(FIRST_REST)
    assert await mail.sending.send_due() == 2


async def test_crash_between_sent_and_recorded_doubles_one_batch_at_most_with_the_same_ids(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once: the stated bound is what one claim holds, and Message-IDs tell the copies."""
    await mail.bench.deliver(*[referral_received(a_child(number)) for number in range(1, AT_ONCE + 3)])

    async def crash(*_: object, **__: object) -> None:
        raise KeyError

    with monkeypatch.context() as broken:
        broken.setattr("services.notify.delivery.store.queue.sent", crash)
        with pytest.raises(KeyError):
            await mail.sending.send_due()
    assert set(await mail.states()) == {"queued"}
    assert len(mail.office.kept) == AT_ONCE
    assert await mail.sending.send_due() == 2, "the others do not wait for the lease"
    mail.real.move(LEASE)
    assert await mail.sending.send_due() == AT_ONCE
    assert set(await mail.states()) == {"sent"}
    counted = Counter(mail.office.ids())
    assert len(counted) == AT_ONCE + 2
    assert sum(count - 1 for count in counted.values()) == AT_ONCE


async def test_two_senders_share_the_queue_and_send_nothing_twice(mail: Mail) -> None:
    """A row that one of them has claimed is passed over by the other."""
    await mail.bench.deliver(*[referral_received(a_child(number)) for number in range(1, 61)])
    other = Dispatcher(mail.bench.settings, mail.bench.engine, mail.bench.clock, real=mail.real)
    shares = await asyncio.gather(mail.sending.send_due(), other.send_due())
    assert sum(shares) == 60
    assert all(shares)
    assert len(set(mail.office.ids())) == len(mail.office.kept) == 60


async def test_sender_that_was_too_slow_records_nothing_over_its_successor(mail: Mail) -> None:
    """A process that stood still wakes up when its claim is over and another has sent the message."""
    await mail.bench.deliver(referral_received())
    other = Dispatcher(mail.bench.settings, mail.bench.engine, mail.bench.clock, real=mail.real)

    async def meanwhile() -> None:
        mail.office.meanwhile = None
        mail.real.move(LEASE)
        assert await other.send_due() == 1

    mail.office.meanwhile = meanwhile
    assert await mail.sending.send_due() == 1
    (row,) = await mail.rows()
    assert (row.state, row.attempts) == ("sent", 1)
    types = await mail.bench.journal_types()
    assert types.count("notification.sent.v1") == 1


async def test_alert_that_was_seen_in_the_inbox_is_not_mailed_any_more(mail: Mail) -> None:
    """The server was away for hours; an email about what is long done would only be noise."""
    await mail.bench.deliver(referral_received(a_child(1)))
    await mail.bench.deliver(referral_received(a_child(2)))
    seen, unseen = await mail.rows()
    await mail.bench.execute(AcknowledgeAlert(alert_id=seen.alert_id, acknowledged_by="W-0601"))
    assert await mail.states() == ["not_needed", "queued"]
    assert await mail.sending.send_due() == 1
    assert mail.office.kept[0]["Message-ID"] == f"<{unseen.delivery_id}@council.example>"


async def test_acknowledging_does_not_wait_for_an_email_on_its_way(mail: Mail) -> None:
    """The mailer holds the row while it sends; the person at the page is answered at once, and it goes."""
    await mail.bench.deliver(referral_received())
    (row,) = await mail.rows()
    command = AcknowledgeAlert(alert_id=row.alert_id, acknowledged_by="W-0601")
    mail.office.meanwhile = lambda: mail.bench.execute(command)
    assert await mail.sending.send_due() == 1
    (alert,) = await mail.bench.rows("SELECT status FROM alerts JOIN deliveries USING (alert_id)")
    assert (alert.status, await mail.states()) == ("acknowledged", ["sent"])


async def test_running_sender_sends_what_came_while_the_server_was_away(make_mail: MakeMail) -> None:
    """Nobody listens, the sender waits; the server comes, the email goes. The service ends cleanly."""
    office = PostOffice()
    async with listening(office) as port:
        pass  # the port is free again, and ours to use later
    mail: Mail = await make_mail(office, port)
    await mail.bench.deliver(referral_received())
    assert await mail.sending.send_due() == 0
    assert [(row.state, row.attempts) for row in await mail.rows()] == [("queued", 0)]

    parts = extras(mail.bench.settings, mail.bench.engine, mail.bench.clock)
    (sending,) = [part for part in parts if isinstance(part, Dispatcher)]
    async with sending, listening(office, port=port):
        await asyncio.wait_for(office.arrived.wait(), LIMIT_SECONDS)
        async with asyncio.timeout(LIMIT_SECONDS):
            while await mail.states() != ["sent"]:
                await asyncio.sleep(0.01)
    assert len(office.kept) == 1


async def test_sender_that_stops_lets_what_is_on_its_way_arrive_and_records_it(make_mail: MakeMail) -> None:
    """A deploy doubles nothing and leaves no claim behind."""
    office = PostOffice()
    stopping = asyncio.Event()
    async with listening(office) as port:
        mail: Mail = await make_mail(office, port)
        await mail.bench.deliver(referral_received(a_child(1)), referral_received(a_child(2)))
        office.meanwhile = stopping.wait
        sending = Dispatcher(mail.bench.settings, mail.bench.engine, mail.bench.clock)
        await sending.start()
        async with asyncio.timeout(LIMIT_SECONDS):
            while not await mail.bench.rows("SELECT FROM deliveries WHERE claim IS NOT NULL"):
                await asyncio.sleep(0.01)
        ended = asyncio.create_task(sending.stop())
        await asyncio.sleep(0)
        stopping.set()
        await ended
    assert await mail.states() == ["sent", "sent"]
    assert len(office.kept) == 2


async def test_connection_that_breaks_midway_costs_one_attempt_and_the_rest_goes(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may or may not have taken it: it goes again later, and holds nobody up."""
    await mail.bench.deliver(referral_received(a_child(1)))
    await mail.bench.deliver(referral_received(a_child(2)))
    take = PostOffice.handle_DATA
    broken: list[str] = []

    async def hang_up(office: PostOffice, server: SMTP, session: Session, envelope: Envelope) -> str:
        if broken:
            return await take(office, server, session, envelope)
        broken.append(envelope.rcpt_tos[0])
        assert isinstance(server.transport, asyncio.Transport)
        server.transport.abort()
        return TAKEN

    monkeypatch.setattr(PostOffice, "handle_DATA", hang_up)
    assert await mail.sending.send_due() == 1
    states = {(row.state, row.reason, row.refusals) for row in await mail.rows()}
    assert states == {("queued", "SMTPServerDisconnected", 0), ("sent", None, 0)}
    mail.real.move(pause_after(0))
    assert await mail.sending.send_due() == 1


def test_pauses_double_up_to_an_hour() -> None:
    """From half a minute; whatever the number of attempts, never longer."""
    assert [pause_after(attempts).total_seconds() for attempts in (0, 1, 2, 7, 5000)] == [
        30,
        60,
        120,
        3600,
        3600,
    ]
