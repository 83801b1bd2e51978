"""The thin adapter over aiosmtplib: one message in, one of three outcomes out."""

import re
from dataclasses import dataclass
from email.message import EmailMessage
from types import TracebackType

import aiosmtplib
from aiosmtplib import SMTPAuthenticationError, SMTPException, SMTPResponseException, SMTPSenderRefused

from services.kernel.settings import Settings

_ENHANCED = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")
_REFUSALS = range(500, 600)


@dataclass(frozen=True, slots=True)
class Taken:
    """The mail server has taken the message over."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The mail server will not take this message. `reason` is its reply code, for example `550 5.1.1`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """The message may go at another time. `reason` is a reply code or a kind of error."""

    reason: str


Outcome = Taken | Refused | Later


class MailServerAway(Exception):  # noqa: N818 - the name says what it is
    """The mail server takes nothing from us now: it is not there, or it refuses us and not a message."""


class Postbox:
    """A connection to the mail server, made when the first message goes. Use it in `async with`."""

    def __init__(self, settings: Settings, *, timeout_seconds: float = 20.0) -> None:
        self._settings = settings
        self._timeout = timeout_seconds
        self._client: aiosmtplib.SMTP | None = None

    async def __aenter__(self) -> "Postbox":
        """Return the postbox; nothing is connected yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        if self._client is not None:
            self._client.close()

    async def send(self, message: EmailMessage) -> Outcome:
        """Hand one message to the mail server.

        Raises MailServerAway when the server cannot be reached, does not let us in, or refuses our sender
        address: no message would fare better. A connection that breaks while a message is on its way
        makes it `Later`, for the server may or may not have taken it.
        """
        client = await self._connected()
        try:
            await client.send_message(message)
        except SMTPSenderRefused as error:
            if error.code in _REFUSALS:
                raise MailServerAway(f"sender refused: {_reason(error.code, error.message)}") from error
            return Later(_reason(error.code, error.message))
        except aiosmtplib.SMTPRecipientsRefused as error:
            refusal = error.recipients[0]  # every message has one recipient
            return _refused_or_later(refusal.code, refusal.message)
        except SMTPResponseException as error:
            return _refused_or_later(error.code, error.message)
        except (SMTPException, OSError) as error:
            self._client = None
            client.close()
            return Later(type(error).__name__)
        return Taken()

    async def _connected(self) -> aiosmtplib.SMTP:
        if self._client is not None and self._client.is_connected:
            return self._client
        host, port = _place(self._settings.smtp or "")
        password = self._settings.smtp_password
        client = aiosmtplib.SMTP(
            hostname=host,
            port=port,
            start_tls=self._settings.smtp_starttls,
            username=self._settings.smtp_username,
            password=None if password is None else password.get_secret_value(),
            timeout=self._timeout,
        )
        try:
            await client.connect()
        except SMTPAuthenticationError as error:
            client.close()
            raise MailServerAway(f"not let in: {_reason(error.code, error.message)}") from error
        except (SMTPException, OSError) as error:
            client.close()
            raise MailServerAway(type(error).__name__) from error
        self._client = client
        return client


def _place(address: str) -> tuple[str, int]:
    """Return host and port of `host:port` or `host`; IPv6 addresses stand in brackets."""
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        return address.strip("[]"), 25
    return host.strip("[]"), int(port)


def _refused_or_later(code: int, words: str) -> Refused | Later:
    reason = _reason(code, words)
    return Refused(reason) if code in _REFUSALS else Later(reason)


def _reason(code: int, words: str) -> str:
    """Return the reply code and the enhanced one. The server's own text could name somebody."""
    enhanced = _ENHANCED.search(words)
    return f"{code} {enhanced.group()}" if enhanced else str(code)
