"""Every channel from alert to evidence: over real sockets, on the real store."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from deploy.embedded.engines import Engines
from schemas import events as e
from schemas.events.codes import Channel
from services.kernel.web.api import install_errors
from services.notify.alerts.model import AcknowledgeAlert
from services.notify.delivery.channels.breaker import FAILURES_IN_A_ROW, LONGEST_PAUSE
from services.notify.delivery.channels.webhook import ATTEMPTS_ALLOWED, WebhookCarrier
from services.notify.delivery.receipts import ASK_AGAIN_AFTER
from services.notify.delivery.sender import ASK_FIRST_AFTER, ASK_FOR, REFUSALS_ALLOWED, pause_after
from services.notify.delivery.store import subscriptions as subscription_store
from services.notify.web import router_under
from tests.builders import AGENCY
from tests.connected.notify_rig import (
    BY_NOTIFY,
    LEASE,
    TOKEN,
    Rig,
    case_overdue,
    notify_rig,
    received,
)
from tests.counterparts.webhook_receiver import said

pytestmark = pytest.mark.connected

LONG = timedelta(hours=2)


@pytest.fixture
async def rig(engines: Engines, tmp_path: Path) -> AsyncIterator[Rig]:
    async with notify_rig(engines, tmp_path) as made:
        yield made


async def numbers(rig: Rig, kind: type[e.Event]) -> int:
    """How many events of a kind the service has published."""
    return sum(isinstance(each, kind) for each in await rig.bench.journal())


async def test_urgent_alert_goes_out_on_every_channel_once(rig: Rig) -> None:
    """To the lead and the manager by email and text, with one event each."""
    await rig.bench.deliver(*case_overdue(1))
    sent = await rig.sending.send_due()
    rows = await rig.deliveries()
    assert {row.state for row in rows} == {"sent"}
    assert sent == len(rows) == await numbers(rig, e.NotificationSent)
    assert {each.to for each in rig.stub.kept.values()} == {"07700900100", "07700900101"}
    assert {each.reference for each in rig.stub.kept.values()} == {
        str(row.message_id) for row in await rig.deliveries(Channel.SMS)
    }
    assert sorted(rig.office.ids()) == sorted(
        f"<{row.message_id}@council.example>" for row in await rig.deliveries(Channel.EMAIL)
    )
    assert await rig.sending.send_due() == 0


async def test_subscribed_endpoints_hear_of_what_their_owner_is_told(rig: Rig) -> None:
    """A team's webhook and chat of its duty inbox, an agency's webhook of its own referrals."""
    await rig.subscribe("/team")
    await rig.subscribe("/chat", channel=Channel.CHAT)
    await rig.subscribe("/agency", owner=AGENCY)
    await rig.bench.deliver(received(1), received(2, agency_id="school-2"))
    await rig.sending.send_due()
    assert len(said(rig.receiver.at("/team"))) == len(said(rig.receiver.at("/chat"))) == 2
    (told,) = said(rig.receiver.at("/agency"))
    assert (told["recipient_id"], told["alerts"][0]["about"]) == (AGENCY, str(UUID(int=1001)))
    assert {row.state for row in await rig.deliveries()} == {"sent"}
    assert rig.receiver.at("/team").forged == rig.receiver.at("/agency").forged == 0


async def test_subscription_that_ended_sends_nothing_more(rig: Rig) -> None:
    """What was queued for it fails with its reason; nothing goes to an address that was withdrawn."""
    identity = await rig.subscribe("/team")
    await rig.bench.deliver(received())
    for expected in (True, False):
        async with rig.bench.engine.begin() as connection:
            assert await subscription_store.end(connection, identity) is expected
    await rig.sending.send_due()
    assert rig.receiver.at("/team").asked == 0
    (row,) = await rig.deliveries(Channel.WEBHOOK)
    assert (row.state, row.reason) == ("failed", "subscription_ended")
    await rig.bench.deliver(received(2))
    assert len(await rig.deliveries(Channel.WEBHOOK)) == 1, "and nothing more is queued for it"
    assert await rig.subscribe("/team") == identity
    async with rig.bench.engine.connect() as connection:
        (again,) = await subscription_store.list_all(connection)
    assert (again.active, again.kinds, again.owner_id) == (True, ("*",), "lt-ely")
    await rig.bench.deliver(received(3))
    await rig.sending.send_due()
    assert rig.receiver.at("/team").taken.total() == 1


async def test_hanging_endpoint_delays_no_other_sender_and_nothing_is_lost(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one hangs, the others finish; when it is well again, it gets everything."""
    monkeypatch.setattr(WebhookCarrier, "timeout_seconds", 5.0)
    await rig.subscribe("/hangs")
    await rig.subscribe("/well")
    rig.receiver.at("/hangs").mode = "hang"
    await rig.bench.deliver(*[received(number) for number in range(1, 21)])
    working = asyncio.create_task(rig.sending.send_due())
    async with asyncio.timeout(4):
        while len(rig.receiver.at("/well").taken) < 20 or len(rig.office.kept) < 20:
            await asyncio.sleep(0.02)
    assert not working.done(), "the hanging one still hangs"
    await working
    rig.receiver.at("/hangs").mode = "ok"
    for _ in range(3):
        rig.real.move(LONG)
        await rig.sending.send_due()
    assert set(await rig.states(Channel.WEBHOOK)) == {"sent"}
    assert rig.receiver.at("/hangs").taken.total() == 20
    assert len(rig.receiver.at("/hangs").taken) == 20


async def test_endpoint_that_fails_is_asked_once_in_a_while_by_one_message(rig: Rig) -> None:
    """A hundred waiting messages are no reason to knock a hundred times."""
    await rig.subscribe("/ill")
    rig.receiver.at("/ill").mode = "error"
    await rig.bench.deliver(*[received(number) for number in range(1, 101)])
    await rig.sending.send_due()
    asked = rig.receiver.at("/ill").asked
    assert FAILURES_IN_A_ROW <= asked <= WebhookCarrier.at_once
    assert await rig.sending.send_due() == 0
    assert rig.receiver.at("/ill").asked == asked, "it is left alone"
    rig.real.move(LONGEST_PAUSE)
    await rig.sending.send_due()
    assert rig.receiver.at("/ill").asked == asked + 1, "one asks whether it is well"
    rig.receiver.at("/ill").mode = "ok"
    rig.real.move(LONG)
    await rig.sending.send_due()
    assert rig.receiver.at("/ill").taken.total() == len(rig.receiver.at("/ill").taken) == 100


async def test_endpoint_that_never_gets_well_is_given_up_after_days(rig: Rig) -> None:
    """About three; the alert stays in the inbox, and operations hear of it."""
    await rig.subscribe("/ill")
    rig.receiver.at("/ill").mode = "error"
    await rig.bench.deliver(received())
    begun = rig.real.now()
    for attempt in range(ATTEMPTS_ALLOWED):
        assert await rig.states(Channel.WEBHOOK) == ["queued"], attempt
        await rig.sending.send_due()
        rig.real.move(max(pause_after(attempt), LONGEST_PAUSE))
    (row,) = await rig.deliveries(Channel.WEBHOOK)
    assert (row.state, row.reason, row.attempts) == ("failed", "500", ATTEMPTS_ALLOWED)
    assert timedelta(days=2.5) < rig.real.now() - begun < timedelta(days=4)
    (failed,) = [each for each in await rig.bench.journal() if isinstance(each, e.NotificationFailed)]
    assert failed.reason == "gave_up"


@pytest.mark.parametrize(("mode", "tries"), [("gone", 1), ("redirect", REFUSALS_ALLOWED)])
async def test_endpoint_that_refuses_is_asked_no_more_often_than_it_may(
    rig: Rig, mode: str, tries: int
) -> None:
    """410 is a word; other refusals may be a slip on the other side."""
    await rig.subscribe("/refuses")
    rig.receiver.at("/refuses").mode = mode  # type: ignore[assignment]  # one of its modes
    await rig.bench.deliver(received())
    for _ in range(REFUSALS_ALLOWED + 1):
        await rig.sending.send_due()
        rig.real.move(LONG)
    assert rig.receiver.at("/refuses").asked == tries
    assert await rig.states(Channel.WEBHOOK) == ["failed"]


async def test_webhook_that_was_taken_and_not_recorded_comes_again_with_the_same_id(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The partner has it in effect once."""
    await rig.subscribe("/team")
    await rig.bench.deliver(received())

    async def crash(*_: object, **__: object) -> None:
        raise KeyError

    with monkeypatch.context() as broken:
        broken.setattr("services.notify.delivery.store.queue.sent", crash)
        with pytest.raises(KeyError):
            await rig.sending.send_due()
    rig.real.move(LEASE)
    await rig.sending.send_due()
    (row,) = await rig.deliveries(Channel.WEBHOOK)
    assert rig.receiver.at("/team").taken == {str(row.message_id): 2}
    assert row.state == "sent"


async def test_text_that_was_taken_and_not_recorded_is_found_and_not_sent_twice(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a crash, after an answer that was lost: Notify is asked by our reference first."""
    await rig.bench.deliver(*case_overdue(1))
    rig.stub.swallow = 1

    async def crash(*_: object, **__: object) -> None:
        raise KeyError

    with monkeypatch.context() as broken:
        broken.setattr("services.notify.delivery.store.queue.sent", crash)
        with pytest.raises(KeyError):
            await rig.sending.send_due()
    assert len(rig.stub.kept) == 2
    for _ in range(2):
        rig.real.move(LEASE)
        await rig.sending.send_due()
    assert set(await rig.states(Channel.SMS)) == {"sent"}
    assert len(rig.stub.kept) == 2
    assert rig.stub.doubled() == []
    assert rig.stub.asked["send"] == 2


async def test_both_limits_of_notify_pause_texts_and_condemn_none(rig: Rig) -> None:
    """By the minute for seconds, by the day for up to an hour; emails go on."""
    await rig.bench.deliver(*case_overdue(1))
    rig.stub.errors = [(429, "RateLimitError")] * 4
    await rig.sending.send_due()
    assert await rig.states(Channel.SMS) == ["queued", "queued"]
    assert {row.attempts for row in await rig.deliveries(Channel.SMS)} == {0}
    assert set(await rig.states(Channel.EMAIL)) == {"sent"}
    rig.stub.errors = [(429, "TooManyRequestsError")]
    rig.real.move(timedelta(seconds=5))
    await rig.sending.send_due()
    asked = rig.stub.asked["send"]
    rig.real.move(timedelta(seconds=5))
    await rig.sending.send_due()
    assert rig.stub.asked["send"] == asked, "not before its pause is over"
    rig.real.move(timedelta(hours=1))
    await rig.sending.send_due()
    assert await rig.states(Channel.SMS) == ["sent", "sent"]


async def test_receipts_that_are_called_back_are_evidence_once(rig: Rig) -> None:
    """With the agreed token; twice, and about strangers, changes nothing."""
    await rig.bench.deliver(*case_overdue(1))
    await rig.sending.send_due()
    rig.stub.providers_answer()
    app = FastAPI()
    install_errors(app)
    app.include_router(router_under(rig.bench.settings)(rig.bench.executor))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://leadline"
    ) as client:
        (first, *_) = rig.stub.kept.values()
        receipt = {"reference": first.reference, "status": "delivered", "to": "07700900101"}
        for token in ("", "Bearer wrong", f"Bearer {TOKEN}é"):
            headers = {b"Authorization": token.encode()}
            answer = await client.post("/govuk-notify/receipts", json=receipt, headers=headers)
            assert answer.status_code == 401
        assert await rig.states(Channel.SMS) == ["sent", "sent"]
        headers = {b"Authorization": f"Bearer {TOKEN}".encode()}
        for each in rig.stub.kept.values():
            for _ in range(2):
                body = {"reference": each.reference, "status": each.status, "to": each.to}
                answer = await client.post("/govuk-notify/receipts", json=body, headers=headers)
                assert answer.status_code == 204
        for reference in (str(UUID(int=5)), "", "other-42", None):
            stranger = {"reference": reference, "status": "permanent-failure"}
            answer = await client.post("/govuk-notify/receipts", json=stranger, headers=headers)
            assert answer.status_code == 204
    assert await rig.states(Channel.SMS) == ["delivered", "delivered"]
    assert await numbers(rig, e.NotificationDelivered) == 2


async def test_receipts_that_never_came_are_asked_for(rig: Rig) -> None:
    """Notify gives a callback up after 25 minutes; asking finds what it said, also of simulator numbers."""
    people = rig.bench.settings.directory
    assert people is not None
    people.write_text("recipient_id,email,phone\nW-0600,,07700900002\nW-0601,,07700900101\n")
    await rig.bench.deliver(*case_overdue(1))
    await rig.sending.send_due()
    rig.stub.providers_answer()
    assert await rig.receipts.ask() == 0, "they are given time to come by themselves"
    rig.real.move(ASK_FIRST_AFTER)
    assert await rig.receipts.ask() == 2
    assert await rig.receipts.ask() == 0
    by_recipient = {row.recipient_id: row for row in await rig.deliveries(Channel.SMS)}
    assert (by_recipient["W-0601"].state, by_recipient["W-0600"].state) == ("delivered", "failed")
    assert by_recipient["W-0600"].reason == "permanent_failure"
    (failed,) = [each for each in await rig.bench.journal() if isinstance(each, e.NotificationFailed)]
    assert failed.reason == "permanent_failure"


async def test_text_without_any_receipt_has_failed_in_the_end(rig: Rig) -> None:
    """Providers try for up to 72 hours; then silence is the answer, and somebody is told."""
    people = rig.bench.settings.directory
    assert people is not None
    people.write_text("recipient_id,email,phone\nW-0600,,07700900100\nW-0601,,07700900111\n")
    await rig.bench.deliver(*case_overdue(1))
    await rig.sending.send_due()
    rig.stub.providers_answer()
    end = rig.real.now() + ASK_FOR
    while rig.real.now() < end:
        rig.real.move(ASK_AGAIN_AFTER)
        await rig.receipts.ask()
    by_recipient = {row.recipient_id: row for row in await rig.deliveries(Channel.SMS)}
    assert (by_recipient["W-0600"].state, by_recipient["W-0601"].state) == ("delivered", "failed")
    assert by_recipient["W-0601"].reason == "no_receipt"
    assert rig.stub.asked["by_id"] < 200, "every half hour, not more often"


async def test_emails_go_through_notify_where_the_council_says_so(engines: Engines, tmp_path: Path) -> None:
    """A template for emails is all it takes; the mail server is not asked any more."""
    async with notify_rig(engines, tmp_path, **BY_NOTIFY) as rig:
        await rig.bench.deliver(*case_overdue(1))
        await rig.sending.send_due()
        kinds = {each.type for each in rig.stub.kept.values()}
        assert kinds == {"email", "sms"}
        assert rig.office.kept == []
        assert {row.state for row in await rig.deliveries()} == {"sent"}


async def test_recipient_without_a_number_fails_at_once_and_is_told_of(rig: Rig) -> None:
    """The alert stays in the inbox and goes by email."""
    people = rig.bench.settings.directory
    assert people is not None
    people.write_text("recipient_id,email,phone\nW-0600,,07700900100\n")
    await rig.bench.deliver(*case_overdue(1))
    await rig.sending.send_due()
    by_recipient = {row.recipient_id: row for row in await rig.deliveries(Channel.SMS)}
    assert (by_recipient["W-0600"].state, by_recipient["W-0601"].state) == ("sent", "failed")
    (failed,) = [each for each in await rig.bench.journal() if isinstance(each, e.NotificationFailed)]
    assert (failed.reason, failed.channel) == ("no_address", Channel.SMS)


async def test_message_that_may_have_gone_is_not_taken_back(rig: Rig) -> None:
    """Seen in the inbox while nobody knows whether the text has gone: it is not called needless."""
    await rig.bench.deliver(*case_overdue(1))
    rig.stub.swallow = 2
    await rig.sending.send_due()
    rows = await rig.deliveries(Channel.SMS)
    assert {row.state for row in rows} == {"queued"}
    for row in rows:
        await rig.bench.execute(AcknowledgeAlert(alert_id=row.alert_id, acknowledged_by=row.recipient_id))
    assert set(await rig.states(Channel.SMS)) == {"queued"}
    rig.real.move(LONG)
    await rig.sending.send_due()
    assert set(await rig.states(Channel.SMS)) == {"sent"}
    assert rig.stub.doubled() == []


async def test_callback_reaches_the_route_over_a_socket(rig: Rig) -> None:
    """As Notify posts it, with all its fields, the address included, which is not kept."""
    import uvicorn

    await rig.bench.deliver(*case_overdue(1))
    await rig.sending.send_due()
    rig.stub.providers_answer()
    app = FastAPI()
    app.include_router(router_under(rig.bench.settings)(rig.bench.executor))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    running = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        statuses = await rig.stub.call_back(f"http://127.0.0.1:{port}/govuk-notify/receipts", TOKEN)
    finally:
        server.should_exit = True
        await running
    assert statuses == [204, 204]
    assert await rig.states(Channel.SMS) == ["delivered", "delivered"]
