"""Webhooks and chats against an HTTP server on a socket."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from schemas.events.codes import Channel
from services.kernel.base.clock import SystemClock
from services.kernel.base.settings import Settings
from services.notify.delivery.channels import webhook
from services.notify.delivery.channels.carrier import Later, Outcome, Rejected, Taken
from services.notify.delivery.channels.webhook import ChatCarrier, WebhookCarrier
from services.notify.delivery.store.subscriptions import Endpoint
from tests.counterparts.serving import serving
from tests.counterparts.webhook_receiver import Mode, Receiver, said
from tests.unit.channel_messages import CASE, PART, message

SECRET = "a-signing-key-of-some-length"
SUBSCRIPTION = UUID(int=77)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def address(receiver: Receiver) -> AsyncIterator[str]:
    async with serving(receiver.app()) as url:
        yield url


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "school-1").write_text(SECRET)
    return Settings(
        webhook_secrets=tmp_path,
        webhook_http=True,
        webhook_private_hosts="127.0.0.1",
        site="https://leadline.example",
    )


def endpoint(url: str, *, secret: str | None = "school-1", channel: Channel = Channel.WEBHOOK) -> Endpoint:
    return Endpoint(SUBSCRIPTION, "agency", "school-1", channel, url, secret)


async def post(where: Endpoint, settings: Settings) -> Outcome:
    """Send one message and hang up."""
    carrier: WebhookCarrier | ChatCarrier = (
        ChatCarrier(where, settings)
        if where.channel is Channel.CHAT
        else WebhookCarrier(where, settings, real=SystemClock())
    )
    try:
        return await carrier.send(message(channel=where.channel))
    finally:
        await carrier.rest()


async def test_webhook_arrives_signed_with_codes_a_reference_and_a_link(
    receiver: Receiver, address: str, settings: Settings
) -> None:
    """The receiver can check it, knows a second copy by its id, and learns nothing of the child."""
    receiver.at("/hook").key = SECRET.encode()
    assert await post(endpoint(f"{address}/hook"), settings) == Taken()
    (body,) = said(receiver.at("/hook"))
    assert body == {
        "id": str(UUID(int=100)),
        "type": "leadline.alerts",
        "recipient_id": "W-0601",
        "alerts": [
            {
                "alert_id": str(UUID(int=5100)),
                "kind": "deadline.overdue:assessment",
                "urgency": "urgent",
                "about": str(PART.about),
                "case_id": str(CASE),
                "reference": "case 3f2a1b4c",
                "raised_at": "2026-09-07T09:00:00+00:00",
                "due_at": "2026-09-06T23:00:00+00:00",
                "acknowledged": False,
                "link": f"https://leadline.example/inbox/W-0601/alerts/{UUID(int=5100)}",
            }
        ],
    }
    assert str(PART.child_id) not in json.dumps(body)
    assert receiver.at("/hook").taken == {str(UUID(int=100)): 1}


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        ("error", Later("500")),
        ("busy", Later("429")),
        ("gone", Rejected("410", final=True)),
        ("redirect", Rejected("302")),
    ],
)
async def test_answer_says_whether_to_come_again(
    receiver: Receiver, address: str, settings: Settings, mode: Mode, outcome: Outcome
) -> None:
    """A redirect is not followed: our signed words go to the address that was agreed and no other."""
    receiver.at("/hook").mode = mode
    assert await post(endpoint(f"{address}/hook"), settings) == outcome
    assert receiver.at("/elsewhere").asked == 0


async def test_wrong_key_is_noticed_by_the_receiver(
    receiver: Receiver, address: str, settings: Settings
) -> None:
    """A forged request gets no further than the signature."""
    receiver.at("/hook").key = b"another-key-of-the-same-length"
    assert await post(endpoint(f"{address}/hook"), settings) == Rejected("401")
    assert receiver.at("/hook").forged == 1


@pytest.mark.parametrize("secret", [None, "nobody-wrote-it", "../school-1", ".."])
async def test_without_its_key_nothing_goes_and_nothing_is_lost(
    receiver: Receiver, address: str, settings: Settings, secret: str | None
) -> None:
    """The message waits until somebody has put the key there; names lead out of no directory."""
    assert await post(endpoint(f"{address}/hook", secret=secret), settings) == Later("no_signing_key")
    assert receiver.at("/hook").asked == 0


async def test_hanging_endpoint_is_left_after_its_time(
    receiver: Receiver, address: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome is that it may go later."""
    monkeypatch.setattr(WebhookCarrier, "timeout_seconds", 0.1)
    receiver.at("/hook").mode = "hang"
    assert await post(endpoint(f"{address}/hook"), settings) == Later("ReadTimeout")


async def test_nobody_there_is_no_reason_to_give_up(settings: Settings) -> None:
    """A port on which nobody listens."""
    assert await post(endpoint("http://127.0.0.1:1/hook"), settings) == Later("ConnectError")


@pytest.mark.parametrize(
    "url", ["http://school.example/hook", "ftp://school.example", "hook", "https://[::1"]
)
async def test_unencrypted_or_impossible_address_is_refused_for_good(settings: Settings, url: str) -> None:
    """What we say of a case goes over TLS, unless the network is our own."""
    strict = settings.model_copy(update={"webhook_http": False})
    assert await post(endpoint(url), strict) == Rejected("not_https", final=True, kind="no_address")


async def test_chat_gets_one_line_and_one_link(receiver: Receiver, address: str, settings: Settings) -> None:
    """A card as Teams takes it, with the line that other chats take."""
    assert await post(endpoint(f"{address}/chat", secret=None, channel=Channel.CHAT), settings) == Taken()
    (card,) = said(receiver.at("/chat"))
    link = f"https://leadline.example/inbox/W-0601/alerts/{UUID(int=5100)}"
    said_in = f"Leadline: assessment overdue (case 3f2a1b4c), by end of 6 September 2026. {link}"
    assert card["text"] == said_in
    (attachment,) = card["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["content"]["actions"][0]["url"] == link


def test_slack_gets_its_own_form(settings: Settings) -> None:
    """Slack refuses fields that it does not know."""
    assert list(webhook._slack(message(), settings)) == ["text"]
