"""Webhooks to partners, signed, and messages to Teams and Slack: the thin adapter over httpx.

A partner's endpoint recognises a second attempt by `webhook-id`. Teams and Slack have no such key: one
message is in flight at a time, so a crash duplicates one at most.
"""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx

from services.kernel.base.clock import Clock
from services.kernel.base.settings import Settings
from services.notify.delivery.channels.carrier import Later, Outcome, Rejected, Taken
from services.notify.delivery.channels.content import body, sentence, where
from services.notify.delivery.channels.signing import headers, key_of
from services.notify.delivery.channels.targets import TargetRefused, target_of
from services.notify.delivery.store.queue import Message
from services.notify.delivery.store.subscriptions import Endpoint

ATTEMPTS_ALLOWED = 80
"""About three days, with the pauses that `sender` makes."""

_COMES_BACK = frozenset({408, 409, 425, 429})
_SECRET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")
_SLACK = "hooks.slack.com"
_FINAL = 410

MakeClient = Callable[[float], httpx.AsyncClient]


def make_client(timeout_seconds: float) -> httpx.AsyncClient:
    """Return a client that follows no redirects and takes no proxy from the environment."""
    return httpx.AsyncClient(timeout=timeout_seconds, follow_redirects=False, trust_env=False)


class _Posting:
    """Posts JSON to one endpoint, over connections kept until `rest`."""

    attempts_allowed: int | None = ATTEMPTS_ALLOWED
    timeout_seconds = 10.0

    def __init__(self, endpoint: Endpoint, settings: Settings, *, make: MakeClient = make_client) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._make = make
        self._client: httpx.AsyncClient | None = None

    async def rest(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _post(self, content: bytes, more: dict[str, str]) -> Outcome:
        if not self._endpoint.active:
            return Rejected("subscription_ended", final=True, kind="no_address")
        try:
            async with asyncio.timeout(self.timeout_seconds):  # a resolver may take its time as well
                target = await target_of(self._endpoint.url, self._settings)
        except TargetRefused as refused:
            return Rejected(refused.reason, final=True, kind="no_address")
        except OSError as error:
            return Later(type(error).__name__)
        if self._client is None:
            self._client = self._make(self.timeout_seconds)
        given = {"Host": target.host, "Content-Type": "application/json", "User-Agent": "Leadline", **more}
        name = {"sni_hostname": target.name}
        outcome: Outcome = Later("no_address")
        for url in target.urls:
            try:
                # The answer's body is not read: none of it is kept, and it may be endless.
                async with self._client.stream(
                    "POST", url, content=content, headers=given, extensions=name
                ) as got:
                    return _outcome(got.status_code)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                outcome = Later(type(error).__name__)
                if not isinstance(error, httpx.ConnectError):
                    break  # it may have arrived: another address would get it twice
        return outcome


class WebhookCarrier(_Posting):
    """Sends to one partner's endpoint, signed with the key that the subscription names."""

    provider = "webhook"
    at_once = 8
    side_by_side = 4

    def __init__(
        self, endpoint: Endpoint, settings: Settings, *, real: Clock, make: MakeClient = make_client
    ) -> None:
        super().__init__(endpoint, settings, make=make)
        self._real = real

    async def send(self, message: Message) -> Outcome:
        """Post one message; its id is the idempotency key."""
        key = self._key()
        if key is None:
            return Later("no_signing_key")
        content = json.dumps(body(message, self._settings), separators=(",", ":")).encode()
        return await self._post(content, headers(key, str(message.message_id), content, now=self._real.now()))

    def _key(self) -> bytes | None:
        """Return the signing key; read each time, so that a new one applies at once. None: there is none."""
        reference, place = self._endpoint.secret_reference, self._settings.webhook_secrets
        if reference is None or place is None or not _SECRET.match(reference):
            return None
        try:
            return key_of((place / reference).read_text("utf-8"))
        except (OSError, ValueError):
            return None


class ChatCarrier(_Posting):
    """Sends to one channel of Teams or Slack. Its address is the secret."""

    provider = "chat"
    at_once = 1
    side_by_side = 1

    async def send(self, message: Message) -> Outcome:
        """Post one message as the chat's own kind of card or line."""
        chat = _slack if urlsplit(self._endpoint.url).hostname == _SLACK else _card
        return await self._post(json.dumps(chat(message, self._settings)).encode(), {})


def _slack(message: Message, settings: Settings) -> dict[str, Any]:
    return {"text": sentence(message, settings)}


def _card(message: Message, settings: Settings) -> dict[str, Any]:
    """Return an Adaptive Card for Teams' workflows, and with it the plain line for simpler chats."""
    content = {
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{"type": "TextBlock", "wrap": True, "text": sentence(message, settings)}],
        "actions": [{"type": "Action.OpenUrl", "title": "Open", "url": where(message, settings)}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": content}
    return {"type": "message", "text": sentence(message, settings), "attachments": [attachment]}


def _outcome(status: int) -> Outcome:
    if 200 <= status < 300:
        return Taken()
    if status >= 500 or status in _COMES_BACK:
        return Later(str(status))
    return Rejected(str(status), final=status == _FINAL)
