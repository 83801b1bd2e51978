"""E-mails over a real SMTP server on a socket: sent once, kept while the server is away or refuses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from sqlalchemy import text

from deploy.embedded.engines import Engines
from schemas import events as e
from schemas.events.codes import AgencyKind, Concern
from services.kernel.database import create_engine, migrate
from services.kernel.settings import Settings
from services.notify.app import build, extras
from services.notify.mailer import LONGEST_PAUSE, REFUSALS_ALLOWED, Mailer, pause_after
from services.notify.model import AcknowledgeAlert
from services.notify.postbox import MailServerAway
from tests.flow.conftest import MONDAY, TABLES, Bench, MovableClock

pytestmark = pytest.mark.connected

TAKEN = "250 OK"
LIMIT_SECONDS = 20.0


@dataclass
class PostOffice:
    """A mail server whose answers a test decides: `answers` are used up, then everything is taken."""

    answers: list[str] = field(default_factory=list)
    at_sender: list[str] = field(default_factory=list)
    kept: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    meanwhile: Callable[[], Awaitable[object]] | None = None
    """What happens elsewhere before a message is taken."""

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.at_sender.pop(0) if self.at_sender else TAKEN

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.answers:
            return self.answers.pop(0)
        envelope.rcpt_tos.append(address)
        return TAKEN

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.meanwhile is not None:
            async with asyncio.timeout(LIMIT_SECONDS / 2):
                await self.meanwhile()
        content = envelope.original_content
        assert isinstance(content, bytes)
        message = BytesParser(policy=default).parsebytes(content)
        assert isinstance(message, EmailMessage)
        self.kept.append(message)
        self.recipients += envelope.rcpt_tos
        self.arrived.set()
        return TAKEN


@asynccontextmanager
async def listening(office: PostOffice, *, port: int = 0, **options: Any) -> AsyncIterator[int]:
    """Serve on the loopback address; yield the port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(office, hostname="localhost", **options), "127.0.0.1", port
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@dataclass
class Mail:
    """The notify service with a mailer, its clocks moved by hand."""

    bench: Bench
    mailer: Mailer
    real: MovableClock
    office: PostOffice

    async def rows(self) -> Sequence[Any]:
        """The e-mails in the order of their queue."""
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
                relay_seconds=0.05,
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
            return Mail(bench, Mailer(settings, engine, bench.clock, real=real), real, office)

        yield make


@pytest.fixture
async def mail(make_mail: MakeMail) -> AsyncIterator[Mail]:
    office = PostOffice()
    async with listening(office) as port:
        yield await make_mail(office, port)


def received(number: int = 1) -> e.ReferralReceived:
    """A referral whose alert to the duty inbox goes by e-mail; the referrer's does not."""
    return e.ReferralReceived(
        child_id=UUID(int=number),
        referral_id=UUID(int=1000 + number),
        agency=AgencyKind.SCHOOL,
        agency_id="school-1",
        locality="ely",
        concerns=(Concern.FAMILY_DYSFUNCTION,),
        received_at=MONDAY,
        channel="http",
    )


async def test_urgent_alert_arrives_as_one_email_with_reference_and_link_only(mail: Mail) -> None:
    """To the recipient's address, in the pack's words, with nothing of the child; once."""
    await mail.bench.deliver(received())
    assert await mail.mailer.send_queued() == 1
    assert await mail.mailer.send_queued() == 0
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
    """Temporary answers are tried again after a growing pause; other e-mails go in between."""
    mail.office.answers = ["451 4.7.1 try again later"]
    await mail.bench.deliver(received(1))
    await mail.bench.deliver(received(2))
    assert await mail.mailer.send_queued() == 1
    assert [(row.state, row.reason) for row in await mail.rows()] == [("queued", "451 4.7.1"), ("sent", None)]

    assert await mail.mailer.send_queued() == 0, "not before its pause is over"
    mail.office.answers = ["421 4.3.2 closing"]
    mail.real.move(pause_after(0))
    assert await mail.mailer.send_queued() == 0
    mail.real.move(pause_after(1) - timedelta(seconds=1))
    assert await mail.mailer.send_queued() == 0, "the second pause is longer"
    mail.real.move(timedelta(seconds=1))
    assert await mail.mailer.send_queued() == 1
    assert await mail.states() == ["sent", "sent"]
    assert len({message["Message-ID"] for message in mail.office.kept}) == len(mail.office.kept) == 2


async def test_temporary_refusals_never_end_in_giving_up(mail: Mail) -> None:
    """However long a mailbox is full for now, the e-mail stays queued."""
    await mail.bench.deliver(received())
    for _ in range(REFUSALS_ALLOWED + 3):
        mail.office.answers = ["452 4.2.2 mailbox full"]
        await mail.mailer.send_queued()
        mail.real.move(LONGEST_PAUSE)
    assert [(row.state, row.refusals) for row in await mail.rows()] == [("queued", 0)]
    assert await mail.mailer.send_queued() == 1


async def test_refused_for_good_is_given_up_with_the_reply_code_as_reason(mail: Mail) -> None:
    """After some tries nobody insists; the server's own text, which could name somebody, is not kept."""
    await mail.bench.deliver(received())
    for attempt in range(REFUSALS_ALLOWED):
        assert await mail.states() == ["queued"], attempt
        mail.office.answers = ["550 5.1.1 no mailbox for Jane Roe here"]
        assert await mail.mailer.send_queued() == 0
        mail.real.move(LONGEST_PAUSE)
    (row,) = await mail.rows()
    assert (row.state, row.refusals, row.reason) == ("failed", REFUSALS_ALLOWED, "550 5.1.1")
    assert await mail.mailer.send_queued() == 0
    assert mail.office.kept == []


async def test_server_that_refuses_our_sender_condemns_no_email(mail: Mail) -> None:
    """A wrong `mail_from` is one mistake of ours, not a refusal of every alert."""
    await mail.bench.deliver(received())
    for _ in range(REFUSALS_ALLOWED + 1):
        mail.office.at_sender = ["553 5.7.1 not yours"]
        with pytest.raises(MailServerAway, match=r"sender refused: 553 5\.7\.1"):
            await mail.mailer.send_queued()
    assert [(row.state, row.attempts) for row in await mail.rows()] == [("queued", 0)]
    assert await mail.mailer.send_queued() == 1


async def test_crash_between_sent_and_recorded_doubles_one_email_with_the_same_id(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once: the stated bound is one copy, and its Message-ID tells that it is one."""
    await mail.bench.deliver(received(1), received(2))

    async def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("services.notify.queue.sent", crash)
        with pytest.raises(KeyboardInterrupt):
            await mail.mailer.send_queued()
    assert await mail.states() == ["queued", "queued"]
    assert await mail.mailer.send_queued() == 2
    ids = [message["Message-ID"] for message in mail.office.kept]
    assert len(ids) == 3
    assert len(set(ids)) == 2


async def test_two_mailers_share_the_queue_and_send_nothing_twice(mail: Mail) -> None:
    """A row that one mailer holds is passed over by the other."""
    await mail.bench.deliver(*[received(number) for number in range(1, 31)])
    other = Mailer(mail.bench.settings, mail.bench.engine, mail.bench.clock, real=mail.real)
    shares = await asyncio.gather(mail.mailer.send_queued(), other.send_queued())
    assert sum(shares) == 30
    assert len({message["Message-ID"] for message in mail.office.kept}) == len(mail.office.kept) == 30


async def test_alert_that_was_seen_in_the_inbox_is_not_mailed_any_more(mail: Mail) -> None:
    """The server was away for hours; an e-mail about what is long done would only be noise."""
    await mail.bench.deliver(received(1))
    await mail.bench.deliver(received(2))
    seen, unseen = await mail.rows()
    await mail.bench.execute(AcknowledgeAlert(alert_id=seen.alert_id, acknowledged_by="W-0601"))
    assert await mail.states() == ["not_needed", "queued"]
    assert await mail.mailer.send_queued() == 1
    assert mail.office.kept[0]["Message-ID"] == f"<{unseen.delivery_id}@council.example>"


async def test_acknowledging_does_not_wait_for_an_email_on_its_way(mail: Mail) -> None:
    """The mailer holds the row while it sends; the person at the page is answered at once, and it goes."""
    await mail.bench.deliver(received())
    (row,) = await mail.rows()
    command = AcknowledgeAlert(alert_id=row.alert_id, acknowledged_by="W-0601")
    mail.office.meanwhile = lambda: mail.bench.execute(command)
    assert await mail.mailer.send_queued() == 1
    (alert,) = await mail.bench.rows("SELECT status FROM alerts JOIN deliveries USING (alert_id)")
    assert (alert.status, await mail.states()) == ("acknowledged", ["sent"])


async def test_running_mailer_sends_what_came_while_the_server_was_away(make_mail: MakeMail) -> None:
    """Nobody listens, the mailer waits; the server comes, the e-mail goes. The service ends cleanly."""
    office = PostOffice()
    async with listening(office) as port:
        pass  # the port is free again, and ours to use later
    mail: Mail = await make_mail(office, port)
    await mail.bench.deliver(received())
    with pytest.raises(MailServerAway):
        await mail.mailer.send_queued()
    assert [(row.state, row.attempts) for row in await mail.rows()] == [("queued", 0)]

    parts = extras(mail.bench.settings, mail.bench.engine, mail.bench.clock)
    (mailer,) = [part for part in parts if isinstance(part, Mailer)]
    async with mailer, listening(office, port=port):
        await asyncio.wait_for(office.arrived.wait(), LIMIT_SECONDS)
        async with asyncio.timeout(LIMIT_SECONDS):
            while await mail.states() != ["sent"]:
                await asyncio.sleep(0.01)
    assert len(office.kept) == 1


async def test_connection_that_breaks_midway_costs_one_attempt_and_the_rest_goes(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may or may not have taken it: it goes again later, and holds nobody up."""
    await mail.bench.deliver(received(1))
    await mail.bench.deliver(received(2))
    take = PostOffice.handle_DATA

    async def hang_up(office: PostOffice, server: SMTP, session: Session, envelope: Envelope) -> str:
        monkeypatch.setattr(PostOffice, "handle_DATA", take)
        assert isinstance(server.transport, asyncio.Transport)
        server.transport.abort()
        return TAKEN

    monkeypatch.setattr(PostOffice, "handle_DATA", hang_up)
    assert await mail.mailer.send_queued() == 1
    states = [(row.state, row.reason, row.refusals) for row in await mail.rows()]
    assert states == [("queued", "SMTPServerDisconnected", 0), ("sent", None, 0)]
    mail.real.move(pause_after(0))
    assert await mail.mailer.send_queued() == 1


@pytest.mark.parametrize("password", ["right", "wrong"])
async def test_mailer_signs_in_when_it_has_a_password(make_mail: MakeMail, password: str) -> None:
    """With the right password e-mails go; with a wrong one they wait, and none is condemned."""
    asked: list[LoginPassword] = []

    def check(*arguments: Any) -> AuthResult:
        given = arguments[-1]
        assert isinstance(given, LoginPassword)
        asked.append(given)
        return AuthResult(success=given.password == b"right", handled=False)

    office = PostOffice()
    async with listening(office, authenticator=check, auth_require_tls=False) as port:
        mail: Mail = await make_mail(office, port, smtp_username="leadline", smtp_password=password)
        await mail.bench.deliver(received())
        if password == "right":
            assert await mail.mailer.send_queued() == 1
        else:
            with pytest.raises(MailServerAway, match="not let in: 535"):
                await mail.mailer.send_queued()
            assert await mail.states() == ["queued"]
    assert asked[0] == LoginPassword(b"leadline", password.encode())


async def test_nothing_goes_unencrypted_when_encryption_is_asked_for(make_mail: MakeMail) -> None:
    """A server without STARTTLS gets no e-mail and no password."""
    office = PostOffice()
    async with listening(office) as port:
        mail: Mail = await make_mail(office, port, smtp_starttls=True)
        await mail.bench.deliver(received())
        with pytest.raises(MailServerAway):
            await mail.mailer.send_queued()
    assert office.kept == []
    assert await mail.states() == ["queued"]


def test_pauses_double_up_to_an_hour() -> None:
    """From half a minute; whatever the number of attempts, never longer."""
    assert [pause_after(attempts).total_seconds() for attempts in (0, 1, 2, 7, 5000)] == [
        30,
        60,
        120,
        3600,
        3600,
    ]
