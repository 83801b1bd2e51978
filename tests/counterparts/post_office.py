"""A mail server (aiosmtpd on a socket) whose answers a test decides."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from time import monotonic
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

TAKEN = "250 OK"
LIMIT_SECONDS = 20.0


@dataclass
class PostOffice:
    """A mail server: `answers` are used up, then everything is taken."""

    answers: list[str] = field(default_factory=list)
    at_sender: list[str] = field(default_factory=list)
    refusing: str | None = None
    """What every sender is answered while it is set."""
    kept: list[EmailMessage] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    """When each was taken, by the monotonic clock."""
    recipients: list[str] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    meanwhile: Callable[[], Awaitable[object]] | None = None
    """What happens elsewhere before a message is taken."""

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refusing is not None:
            return self.refusing
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
        self.moments.append(monotonic())
        self.recipients += envelope.rcpt_tos
        self.arrived.set()
        return TAKEN

    def ids(self) -> list[str]:
        """Return the Message-IDs of what was taken, in order."""
        return [str(message["Message-ID"]) for message in self.kept]


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
