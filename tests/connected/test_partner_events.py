"""What partners may send on `partner-events`, good and bad: parked or skipped as designed, the rest flows."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaProducer
from sqlalchemy import text

from deploy.embedded.engines import Engines
from services.kernel.messages.envelope import Envelope, Headers, encode
from services.referral.app import build
from tests.builders import referral_made
from tests.connected.conftest import worker
from tests.flow.conftest import Bench, MakeBench

pytestmark = pytest.mark.connected

TOPIC = "partner-events"


def message(
    child: UUID, *, wire_type: str = "partner.referral_made.v1"
) -> tuple[bytes | None, bytes, Headers]:
    return encode(
        Envelope(
            id=str(uuid4()),
            source="/partners/housing-1",
            type=wire_type,
            time=datetime(2026, 9, 7, 8, 0, tzinfo=UTC),
            data=referral_made(child, agency_id="housing-1").encode(),
            key=str(child),
        )
    )


async def test_bad_messages_are_parked_or_skipped_with_the_reason_and_the_rest_flows(
    topics: Engines, bench: MakeBench
) -> None:
    """Malformed, unknown type, unknown version, two megabytes, personal data; another's event is skipped."""
    referral: Bench = await bench("referral", build)
    good = [uuid4() for _ in range(20)]
    key, value, headers = message(good[0])
    bad: dict[str, tuple[bytes | None, bytes, Headers]] = {
        "malformed: not json": (key, b"{", headers_with(headers, "not-json")),
        "malformed: personal data": (
            key,
            value[:-1] + b',"child_name":"Marked Name"}',
            headers_with(headers, "named"),
        ),
        "unknown_type": message(good[1], wire_type="partner.moon_landing.v1"),
        "unknown_version": message(good[2], wire_type="partner.referral_made.v9"),
        "too_large": (key, b'"' + b"x" * 2_000_000 + b'"', headers_with(headers, "large")),
    }
    skipped = message(good[3], wire_type="ssda903.child_reported.v1")
    producer = AIOKafkaProducer(bootstrap_servers=topics.kafka, max_request_size=4 * 1024 * 1024)
    await producer.start()
    try:
        for sent_key, sent_value, sent_headers in [
            *map(message, good[:10]),
            *bad.values(),
            skipped,
            *map(message, good[10:]),
        ]:
            await producer.send_and_wait(TOPIC, sent_value, sent_key, headers=sent_headers)
    finally:
        await producer.stop()
    with worker(topics, "referral"):
        async with asyncio.timeout(60):
            while len(await referral.rows("SELECT 1 FROM referrals WHERE agency_id = 'housing-1'")) < 20:
                await asyncio.sleep(0.1)
    rows = await referral.rows("SELECT reason, words, length(value) FROM dead_letters WHERE state = 'parked'")
    assert sorted(row[0] for row in rows) == sorted(reason.partition(":")[0] for reason in bad)
    words = " ".join(row[1] for row in rows)
    assert "child_name: extra_forbidden" in words
    assert "Marked Name" not in words
    assert max(row[2] for row in rows) == 2_000_002, "the whole value is kept"
    alarms = await referral.rows("SELECT 1 FROM journal WHERE type = 'event.parked.v1'")
    assert len(alarms) == len(bad)
    async with referral.engine.connect() as connection:
        received = await connection.execute(text("SELECT count(DISTINCT child_id) FROM referrals"))
        assert received.scalar_one() == 20


def headers_with(headers: Headers, event_id: str) -> Headers:
    """Return the headers with another event id."""
    return [(name, event_id.encode() if name == "ce_id" else value) for name, value in headers]
