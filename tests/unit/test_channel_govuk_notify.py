"""GOV.UK Notify's official client against a stub of its documented API on a socket: emails and texts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr

from schemas.events.codes import Channel
from services.kernel.base.settings import Settings
from services.notify.delivery.channels.addresses import AddressBook
from services.notify.delivery.channels.carrier import Away, Later, Outcome, Rejected, Taken
from services.notify.delivery.channels.govuk_notify import (
    LONGEST_DAY_PAUSE,
    RATE_LIMIT_PAUSE,
    NotifyApi,
    NotifyCarrier,
)
from services.notify.delivery.store.queue import Message
from tests.counterparts.govuk_notify import API_KEY, EMAIL_TEMPLATE, SMS_TEMPLATE, NotifyStub
from tests.counterparts.serving import serving
from tests.flow.conftest import MovableClock
from tests.unit.channel_messages import message

EVENING = datetime(2026, 9, 7, 23, 50, tzinfo=UTC)


@pytest.fixture
def stub() -> NotifyStub:
    return NotifyStub()


@pytest.fixture
async def settings(stub: NotifyStub, tmp_path: Path) -> AsyncIterator[Settings]:
    directory = tmp_path / "people.csv"
    directory.write_text("recipient_id,email,phone\nW-0601,w.one@council.example,07700900999\nW-2,,12\n")
    async with serving(stub.app()) as url:
        yield Settings(
            govuk_notify_key=SecretStr(API_KEY),
            govuk_notify_url=url,
            govuk_notify_templates={"email": EMAIL_TEMPLATE, "sms": SMS_TEMPLATE},
            directory=directory,
            site="https://leadline.example",
        )


async def send(sent: Message, settings: Settings, *, now: datetime = EVENING) -> Outcome:
    """Send one message as a sender does."""
    api = NotifyApi(settings, timeout_seconds=0.5)
    try:
        addresses = AddressBook(settings.directory)
        carrier = NotifyCarrier(sent.channel, settings, api, addresses, real=MovableClock(now))
        return await carrier.send(sent)
    finally:
        api.close()


@pytest.mark.parametrize(
    ("channel", "to"), [(Channel.EMAIL, "w.one@council.example"), (Channel.SMS, "07700900999")]
)
async def test_message_goes_with_its_id_as_reference_and_nothing_of_the_child(
    stub: NotifyStub, settings: Settings, channel: Channel, to: str
) -> None:
    """What, which case, by when and where: the fields that the council's template may use."""
    outcome = await send(message(channel=channel), settings)
    (kept,) = stub.kept.values()
    assert outcome == Taken(kept.id)
    assert (kept.reference, kept.type, kept.to) == (str(UUID(int=100)), channel.value, to)
    assert kept.personalisation == {
        "what": "assessment overdue",
        "reference": "case 3f2a1b4c",
        "due": "end of 6 September 2026",
        "link": f"https://leadline.example/inbox/W-0601/alerts/{UUID(int=5100)}",
    }


async def test_digest_is_one_message_that_leads_to_the_inbox(stub: NotifyStub, settings: Settings) -> None:
    """However many alerts it tells of; with its own template where the council has one."""
    await send(message(parts=3), settings)
    (kept,) = stub.kept.values()
    assert kept.personalisation["what"] == "3 alerts"
    assert kept.personalisation["link"] == "https://leadline.example/inbox/W-0601"
    own = settings.model_copy(
        update={"govuk_notify_templates": {"email": "no-such-template", "email/digest": EMAIL_TEMPLATE}}
    )
    assert isinstance(await send(message(2, parts=2), own), Taken)
    assert await send(message(3), own) == Rejected("400 BadRequestError")


async def test_message_whose_answer_was_lost_is_found_by_its_reference_and_not_sent_twice(
    stub: NotifyStub, settings: Settings
) -> None:
    """Notify takes one reference any number of times: it is we who ask first."""
    stub.swallow = 1
    lost = await send(message(), settings)
    assert lost == Later("ConnectionError", unknown=True)
    (kept,) = stub.kept.values()
    assert await send(message(doubtful=True), settings) == Taken(kept.id)
    assert len(stub.kept) == 1
    assert stub.asked == {"send": 1, "by_reference": 1}


async def test_doubtful_message_that_never_arrived_is_sent(stub: NotifyStub, settings: Settings) -> None:
    """Asking is no sending."""
    assert isinstance(await send(message(doubtful=True), settings), Taken)
    assert stub.asked == {"by_reference": 1, "send": 1}


async def test_no_answer_in_time_leaves_the_outcome_unknown(stub: NotifyStub, settings: Settings) -> None:
    """The connection stands and nobody says anything."""
    stub.hang = 1
    assert await send(message(), settings) == Later("ReadTimeout", unknown=True)


async def test_error_of_theirs_leaves_the_outcome_unknown(stub: NotifyStub, settings: Settings) -> None:
    """A 500 may come after the message was kept."""
    stub.errors = [(500, "Exception")]
    assert await send(message(), settings) == Later("500 Exception", unknown=True)


async def test_answer_that_nobody_understands_leaves_the_outcome_unknown(
    stub: NotifyStub, settings: Settings
) -> None:
    """Something between us and Notify has answered in its place; the message is found later."""
    stub.garbled = 1
    assert await send(message(), settings) == Later("201 error", unknown=True)
    (kept,) = stub.kept.values()
    assert await send(message(doubtful=True), settings) == Taken(kept.id)


async def test_limit_by_the_minute_is_a_short_pause(stub: NotifyStub, settings: Settings) -> None:
    """It refills all the time; no message has failed."""
    stub.errors = [(429, "RateLimitError")]
    assert await send(message(), settings) == Away("429 RateLimitError", RATE_LIMIT_PAUSE)


@pytest.mark.parametrize(
    ("now", "pause"),
    [(EVENING, timedelta(minutes=10)), (EVENING - timedelta(hours=12), LONGEST_DAY_PAUSE)],
)
async def test_limit_by_the_day_is_a_pause_until_midnight(
    stub: NotifyStub, settings: Settings, now: datetime, pause: timedelta
) -> None:
    """Asking once an hour whether somebody has had it raised."""
    stub.errors = [(429, "TooManyRequestsError")]
    assert await send(message(), settings, now=now) == Away("429 TooManyRequestsError", pause)


async def test_wrong_key_or_clock_condemns_no_message(stub: NotifyStub, settings: Settings) -> None:
    """It is one mistake of ours, not a refusal of every alert."""
    wrong = SecretStr(API_KEY[:-1] + "0")
    assert await send(message(), settings.model_copy(update={"govuk_notify_key": wrong})) == Away(
        "403 AuthError"
    )
    assert not stub.kept


async def test_refusal_tells_the_kind_of_error_and_never_their_words(
    stub: NotifyStub, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Their sentence quotes the number; neither the outcome nor a log does."""
    outcome = await send(message(channel=Channel.SMS, recipient="W-2"), settings)
    assert outcome == Rejected("400 ValidationError")
    stub.errors = [(400, "an error with Jane Roe in it")]
    assert await send(message(), settings) == Rejected("400 error")
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (message(channel=Channel.SMS, recipient="W-3"), "no_address"),
        (message(channel=Channel.CHAT), "no_template"),
    ],
)
async def test_whoever_has_no_number_is_not_asked_about_again(
    stub: NotifyStub, settings: Settings, sent: Message, reason: str
) -> None:
    """The alert stays in the inbox, and operations are told once."""
    assert await send(sent, settings) == Rejected(reason, final=True, kind="no_address")
    assert stub.asked.total() == 0


async def test_calls_run_side_by_side_each_thread_with_a_client_of_its_own(settings: Settings) -> None:
    """The client is not thread-safe."""
    import asyncio
    import threading

    api = NotifyApi(settings)
    together = threading.Barrier(3)

    def identity(client: object) -> int:
        together.wait(10)
        return id(client)

    try:
        first = await asyncio.gather(*(api.call(identity) for _ in range(3)))
        again = await asyncio.gather(*(api.call(identity) for _ in range(3)))
    finally:
        api.close()
    assert len(set(first)) == 3
    assert len(set(first) | set(again)) <= 4
