"""Emails and texts through GOV.UK Notify, with its official client.

A message's id is its `reference`. Notify does not treat two messages with one reference as one. If the
last attempt may have succeeded, the carrier first looks the message up by its reference, and sends it only
if it is not there.
The client is not thread-safe: each worker thread has one of its own.
"""

import asyncio
import logging
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from typing import Any, TypeVar

from notifications_python_client.errors import APIError
from notifications_python_client.notifications import NotificationsAPIClient

from schemas.events.codes import Channel
from services.kernel.base.clock import Clock
from services.kernel.base.settings import Settings
from services.notify.delivery.channels.addresses import AddressBook
from services.notify.delivery.channels.carrier import Away, Later, Outcome, Rejected, Taken
from services.notify.delivery.channels.content import personalisation
from services.notify.delivery.email import address
from services.notify.delivery.store.queue import Message

T = TypeVar("T")

PROVIDER = "govuk_notify"
THREADS = 4

RATE_LIMIT_PAUSE = timedelta(seconds=5)
"""After `RateLimitError`: the limit of messages a minute refills continuously."""
LONGEST_DAY_PAUSE = timedelta(hours=1)
"""After `TooManyRequestsError`, the daily limit: until midnight, but try hourly in case it was raised."""

_NOT_UNDERSTOOD = "not_understood"
_NAME = re.compile(r"[A-Za-z]{1,40}\Z")


class Answers(Exception):  # noqa: N818 - it is one, not a mistake
    """Notify has refused, or has not answered. `status` is HTTP's, `name` Notify's kind of error."""

    def __init__(self, status: int | None, name: str) -> None:
        super().__init__(name)
        self.status = status
        self.name = name


class NotifyApi:
    """The official client, one for each thread of its own; its calls do not block the event loop."""

    def __init__(self, settings: Settings, *, timeout_seconds: float = 15.0) -> None:
        key = settings.govuk_notify_key
        assert key is not None  # noqa: S101 - wired so in configured.py
        self._key = key.get_secret_value()
        self._url = settings.govuk_notify_url
        self._timeout = timeout_seconds
        self._threads: ThreadPoolExecutor | None = None
        self._own = threading.local()
        # It quotes Notify's answers, and these may quote the address.
        logging.getLogger("notifications_python_client").setLevel(logging.CRITICAL)

    async def call(self, ask: Callable[[NotificationsAPIClient], T]) -> T:
        """Call Notify in a thread. Raises Answers when Notify refuses or does not answer."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="govuk-notify")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, ask)

    def close(self) -> None:
        """Let the threads end without waiting for them."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, ask: Callable[[NotificationsAPIClient], T]) -> T:
        client = getattr(self._own, "client", None)
        if client is None:
            client = NotificationsAPIClient(self._key, base_url=self._url, timeout=self._timeout)
            self._own.client = client
        try:
            return ask(client)
        except APIError as error:
            # The cause, not the error, says what went wrong in transport; both may quote the address.
            cause = type(error.__cause__).__name__ if error.__cause__ is not None else type(error).__name__
            if error.response is None:
                raise Answers(None, cause) from None
            raise Answers(error.status_code, _name_of(error)) from None


class NotifyCarrier:
    """Sends one channel's messages: emails or texts."""

    provider = PROVIDER
    at_once = 2 * THREADS
    side_by_side = THREADS
    timeout_seconds = 40.0
    attempts_allowed: int | None = None

    def __init__(
        self, channel: Channel, settings: Settings, api: NotifyApi, addresses: AddressBook, *, real: Clock
    ) -> None:
        self._channel = channel
        self._settings = settings
        self._api = api
        self._addresses = addresses
        self._real = real

    async def send(self, message: Message) -> Outcome:
        """Hand one message to Notify, once by its reference."""
        template = template_of(self._channel, message, self._settings)
        to = self._address(message)
        if template is None or to is None:
            return Rejected("no_address" if to is None else "no_template", final=True, kind="no_address")
        try:
            if message.doubtful:
                known = await self._api.call(lambda client: _find(client, message))
                if known is not None:
                    return Taken(known)
            return Taken(await self._api.call(lambda client: self._post(client, message, to, template)))
        except Answers as no:
            return self._outcome(no)

    async def rest(self) -> None:
        """Nothing to release: the threads are idle, and another channel may use them."""

    def _post(self, client: NotificationsAPIClient, message: Message, to: str, template: str) -> str:
        """Send and return Notify's id of the message."""
        words = personalisation(message, self._settings)
        reference = str(message.message_id)
        if self._channel is Channel.SMS:
            sent = client.send_sms_notification(to, template, personalisation=words, reference=reference)
        else:
            sent = client.send_email_notification(to, template, personalisation=words, reference=reference)
        return text_of(sent, "id")

    def _address(self, message: Message) -> str | None:
        known = self._addresses.of(message.recipient_id)
        if self._channel is Channel.SMS:
            return known.phone
        return known.email or address(message.recipient_id, self._settings).addr_spec

    def _outcome(self, no: Answers) -> Outcome:
        reason = no.name if no.status is None else f"{no.status} {no.name}"
        if no.status is None or no.status < 400 or no.status >= 500:
            return Later(reason, unknown=True)
        if no.status == 429:
            if no.name == "TooManyRequestsError":
                return Away(reason, min(_until_midnight(self._real.now()), LONGEST_DAY_PAUSE))
            return Away(reason, RATE_LIMIT_PAUSE)
        if no.status in {401, 403}:
            return Away(reason)  # our key or our clock
        return Later(reason) if no.status in {408, 425} else Rejected(reason)


def template_of(channel: Channel, message: Message, settings: Settings) -> str | None:
    """Return the template in Notify: a digest's, that of the delivery's own template, or the channel's."""
    name = "digest" if len(message.parts) > 1 else message.parts[0].template
    templates = settings.govuk_notify_templates
    return templates.get(f"{channel.value}/{name}") or templates.get(channel.value)


def _find(client: NotificationsAPIClient, message: Message) -> str | None:
    """Return Notify's id of a message that it already has, by our reference."""
    answer = client.get_all_notifications(reference=str(message.message_id))
    found = answer.get("notifications") if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise Answers(None, _NOT_UNDERSTOOD)
    return text_of(found[0], "id") if found else None


def text_of(answer: Any, name: str) -> str:
    """Return a text of an answer. Raises Answers for an answer that we do not understand."""
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, str):
        raise Answers(None, _NOT_UNDERSTOOD)
    return value


def _name_of(error: APIError) -> str:
    """Return Notify's kind of error, for example `RateLimitError`; its sentence may quote an address."""
    errors = error.message
    first = errors[0] if isinstance(errors, list) and errors else {}
    name = first.get("error", "") if isinstance(first, dict) else ""
    return name if isinstance(name, str) and _NAME.match(name) else "error"


def _until_midnight(now: datetime) -> timedelta:
    midnight = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
    return midnight - now
