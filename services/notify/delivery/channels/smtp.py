"""Emails over SMTP: the thin adapter over aiosmtplib.

SMTP has no idempotency key. Emails that the server accepted before we crashed go again with the same
Message-ID, so that mailboxes can drop the copy: at most `AT_ONCE` emails per crash, those of one claim.
"""

import re
from email.errors import HeaderDefect, HeaderParseError
from email.headerregistry import Address

import aiosmtplib
from aiosmtplib import SMTPAuthenticationError, SMTPException, SMTPResponseException, SMTPSenderRefused

from services.kernel.base.settings import Settings
from services.notify.delivery.channels.addresses import AddressBook
from services.notify.delivery.channels.carrier import Away, Later, Outcome, Rejected, Taken
from services.notify.delivery.email import compose
from services.notify.delivery.store.queue import Message

AT_ONCE = 10
"""Emails claimed by one transaction and recorded by one: the most that a crash can duplicate. With one each,
the two commits were most of an email's cost; a busy mailer fills the ten, an idle one sends one alone."""

SIDE_BY_SIDE = 4
"""Connections: a mail server takes its time over each email, and waits for the disk each time."""

_ENHANCED = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")
_REFUSALS = range(500, 600)
_CLOSING = 421


class _SenderAway(Exception):  # noqa: N818 - the name says what it is
    """The mail server is not there, or refuses us rather than one message."""


class SmtpCarrier:
    """Sends over a few connections, made when there are messages for them and kept until `rest`."""

    provider = "smtp"
    at_once = AT_ONCE
    side_by_side = SIDE_BY_SIDE
    attempts_allowed: int | None = None

    def __init__(self, settings: Settings, addresses: AddressBook, *, timeout_seconds: float = 20.0) -> None:
        self._settings = settings
        self._addresses = addresses
        self.timeout_seconds = timeout_seconds
        self._idle: list[aiosmtplib.SMTP] = []

    async def send(self, message: Message) -> Outcome:
        """Hand one message to the mail server.

        `Away` when the server cannot be reached, does not let us in, or refuses our sender address.
        `Later` when the connection breaks while a message is on its way: the server may or may not have
        accepted it.
        """
        letter = compose(message, self._settings)
        known = self._addresses.of(message.recipient_id).email
        if known is not None:
            try:
                to = Address(addr_spec=known)
            except (ValueError, HeaderParseError, HeaderDefect, IndexError):
                to = Address()
            if not to.username or not to.domain:
                return Rejected("no_address", final=True, kind="no_address")
            letter.replace_header("To", to)
        try:
            client = await self._connected()
        except _SenderAway as away:
            return Away(str(away))
        can_go_on = True
        try:
            await client.send_message(letter)
        except SMTPSenderRefused as error:
            if error.code in _REFUSALS:
                return Away(f"sender refused: {_reason(error.code, error.message)}")
            return _later(error.code, error.message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            refusal = error.recipients[0]  # every message has one recipient
            return _refused_or_later(refusal.code, refusal.message)
        except SMTPResponseException as error:
            return _refused_or_later(error.code, error.message)
        except (SMTPException, OSError) as error:
            can_go_on = False
            return Later(type(error).__name__)
        except BaseException:
            can_go_on = False  # a dialogue that broke off cannot be resumed
            raise
        finally:
            if can_go_on:
                self._idle.append(client)
            else:
                client.close()
        return Taken()

    async def rest(self) -> None:
        """Hang up."""
        while self._idle:
            self._idle.pop().close()

    async def _connected(self) -> aiosmtplib.SMTP:
        while self._idle:
            client = self._idle.pop()
            if client.is_connected:
                return client
            client.close()
        host, port = _place(self._settings.smtp or "")
        password = self._settings.smtp_password
        client = aiosmtplib.SMTP(
            hostname=host,
            port=port,
            start_tls=self._settings.smtp_starttls,
            username=self._settings.smtp_username,
            password=None if password is None else password.get_secret_value(),
            timeout=self.timeout_seconds,
        )
        try:
            await client.connect()
        except SMTPAuthenticationError as error:
            client.close()
            raise _SenderAway(f"not let in: {_reason(error.code, error.message)}") from error
        except (SMTPException, OSError) as error:
            client.close()
            raise _SenderAway(type(error).__name__) from error
        except BaseException:
            client.close()
            raise
        return client


def _place(address: str) -> tuple[str, int]:
    """Return host and port of `host:port` or `host`; IPv6 addresses are in brackets."""
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        return address.strip("[]"), 25
    return host.strip("[]"), int(port)


def _refused_or_later(code: int, words: str) -> Rejected | Later:
    return Rejected(_reason(code, words)) if code in _REFUSALS else _later(code, words)


def _later(code: int, words: str) -> Later:
    """Return a temporary answer. All but 421 are about one message: a full mailbox, greylisting."""
    return Later(_reason(code, words), answered=code != _CLOSING)


def _reason(code: int, words: str) -> str:
    """Return the reply code and the enhanced one. The server's own text could name somebody."""
    enhanced = _ENHANCED.search(words)
    return f"{code} {enhanced.group()}" if enhanced else str(code)
