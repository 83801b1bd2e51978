"""Records that nobody can read, on the real broker: each is told of, and whatever follows it is read."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from kafka import KafkaProducer

from deploy.embedded.engines import Engines
from services.kernel.messages.envelope import Headers
from services.kernel.messages.record import Record, Unreadable
from services.referral.app import build
from tests.connected.conftest import ROOT, worker
from tests.connected.test_intake import Bus, Collected, admin_of, running, until
from tests.connected.test_partner_events import TOPIC, message
from tests.flow.conftest import Bench, MakeBench

pytestmark = pytest.mark.connected

EIGHT_MEGABYTES = 8 * 1024 * 1024
BATCH_LENGTH_AT = 8


class LatinOne(str):
    """A header's name in a program that knows nothing of UTF-8: Kafka itself minds no bytes there."""

    def encode(self, *_: object) -> bytes:
        """Return the bytes that such a program sends."""
        return super().encode("latin-1")


ODD = LatinOne("Prüf-Zeichen")

Message = tuple[bytes | None, bytes, Sequence[tuple[str, bytes | None]]]


def send_as_one_batch(bootstrap: str, topic: str, messages: Sequence[Message], **options: Any) -> None:
    """Publish to the first partition with the other client, which lets any name of a header pass."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=500, **options)
    try:
        sent = [
            producer.send(topic, value, key=key, headers=list(headers), partition=0)
            for key, value, headers in messages
        ]
        offsets = [one.get(timeout=30).offset for one in sent]
    finally:
        producer.close()
    assert offsets == list(range(offsets[0], offsets[0] + len(messages)))


@pytest.fixture
async def bus(engines: Engines) -> Bus:
    """An empty topic that takes batches larger than any fetch of ours."""
    bus = Bus(engines.kafka)
    async with admin_of(engines.kafka) as admin:
        config = {"max.message.bytes": str(2 * EIGHT_MEGABYTES)}
        await admin.create_topics([NewTopic(bus.topic, 4, 1, topic_configs=config)])
    return bus


def unreadable(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if isinstance(record.value, Unreadable)]


@pytest.mark.parametrize("compression", [None, "gzip"])
async def test_a_header_whose_name_is_no_text_costs_nothing(bus: Bus, compression: str | None) -> None:
    """Its record and the others of the batch come as they are; all is committed in the end."""
    messages: list[Message] = [(b"k", b"%d" % number, [("ce_type", b"a.b.v1")]) for number in range(20)]
    messages[7] = (b"k", b"7", [("ce_type", b"a.b.v1"), (ODD, b"x")])
    await asyncio.to_thread(
        send_as_one_batch, bus.bootstrap, bus.topic, messages, compression_type=compression
    )
    await bus.publish(*(b"other" for _ in range(4)))
    collected = Collected()
    # Polls end in the middle of the batch, and one of them at the record.
    async with running(bus.intake(collected, max_batch=3)):
        await until(lambda: len(collected.records) >= 24)

        async def all_committed() -> bool:
            return await bus.committed() == {0: 21, 1: 1, 2: 1, 3: 1}

        await until(all_committed)
    first = [record for record in collected.records if record.partition == 0]
    assert [record.offset for record in first] == list(range(21))
    assert [record.value for record in first[:20]] == [b"%d" % number for number in range(20)]
    assert not any(isinstance(record.value, Unreadable) for record in collected.records)
    odd = first[7]
    assert (odd.offset, odd.key) == (7, b"k")
    assert odd.headers == (("ce_type", b"a.b.v1"), ("Pr\\xfcf-Zeichen", b"x"))


async def test_a_batch_that_the_brokers_disk_has_damaged_costs_itself_alone(bus: Bus) -> None:
    """Each of the other batches is read, in this process and the next one."""
    for number in range(3):
        await asyncio.to_thread(
            send_as_one_batch, bus.bootstrap, bus.topic, [(b"k", b"batch %d" % number, [])] * 5
        )
    damage_second_batch(bus.topic)
    for _ in range(2):
        collected = Collected()
        async with running(bus.intake(collected)):
            await until(lambda: len(collected.records) >= 11)  # noqa: B023 - waited for in the same round
        assert [record.offset for record in collected.records] == [0, 1, 2, 3, 4, 9, 10, 11, 12, 13, 14]
        (lost,) = unreadable(collected.records)
        assert isinstance(lost.value, Unreadable)
        assert "from offset 5 on" in lost.value.words
        assert bytes(lost.value).count(b"atch 1") == 5
        bus.group += "-next"


def damage_second_batch(topic: str) -> None:
    """Turn one bit of the second batch of a topic's first partition, where the broker keeps it."""
    segments = list((ROOT / "var" / "test").glob(f"*/kafka/data/{topic}-0/{0:020}.log"))
    if not segments:
        pytest.skip("this broker keeps its data elsewhere")
    (segment,) = segments
    kept = segment.read_bytes()
    second = 12 + int.from_bytes(kept[BATCH_LENGTH_AT : BATCH_LENGTH_AT + 4], "big")
    at = kept.index(b"batch 1", second)
    with Path(segment).open("r+b") as file:
        file.seek(at)
        file.write(b"B")


async def test_a_record_larger_than_a_fetch_passes(bus: Bus) -> None:
    """The broker hands out the first batch whole, and so do we: what to think of its size comes later."""
    large = bytes(EIGHT_MEGABYTES)
    async with AIOKafkaProducer(
        bootstrap_servers=bus.bootstrap, max_request_size=2 * EIGHT_MEGABYTES
    ) as producer:
        for value in (b"before", large, b"behind"):
            await producer.send_and_wait(bus.topic, value, partition=0)
    collected = Collected()
    async with running(bus.intake(collected)):
        await until(lambda: len(collected.records) == 3)
    assert [record.value for record in collected.records] == [b"before", large, b"behind"]


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_producer_may_compress_as_it_likes(bus: Bus, compression: str) -> None:
    """A worker without the library for it would stop at the first such batch, at every start."""
    async with AIOKafkaProducer(bootstrap_servers=bus.bootstrap, compression_type=compression) as producer:
        await producer.send_and_wait(bus.topic, b"x" * 1000, partition=0)
    await bus.publish(b"behind")
    collected = Collected()
    async with running(bus.intake(collected)):
        await until(lambda: len(collected.records) == 2)
    assert [record.value for record in collected.records] == [b"x" * 1000, b"behind"]


async def test_a_workers_partner_may_name_a_header_as_it_likes(topics: Engines, bench: MakeBench) -> None:
    """The header is none of ours: its referral is received like those around it, and nothing is parked."""
    referral: Bench = await bench("referral", build)
    children = [uuid4() for _ in range(3)]
    messages = [message(child) for child in children]
    odd = odd_among(messages[1])
    await asyncio.to_thread(send_as_one_batch, topics.kafka, TOPIC, [messages[0], odd, messages[2]])
    with worker(topics, "referral"):
        async with asyncio.timeout(60):
            while len(await referral.rows("SELECT 1 FROM referrals")) < 3:
                await asyncio.sleep(0.1)
    received = await referral.rows("SELECT child_id FROM referrals")
    assert {UUID(str(row[0])) for row in received} == set(children)
    assert await referral.rows("SELECT reason FROM dead_letters") == []


def odd_among(sent: tuple[bytes | None, bytes, Headers]) -> Message:
    """Return a message with one header more, of a name that is not UTF-8."""
    key, value, headers = sent
    return key, value, [*headers, (ODD, b"x")]


def test_the_odd_name_is_one() -> None:
    """Else these tests would prove nothing."""
    with pytest.raises(UnicodeDecodeError):
        ODD.encode().decode()
