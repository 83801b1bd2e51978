"""Whoever publishes knows which broker takes it: another connection may lead to one that was wiped."""

import asyncio
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer

from deploy.embedded.engines import Engines
from schemas.topics import REFERRAL
from services.kernel.base.settings import Settings
from services.kernel.kafka.clients import Broker, ConnectionLost
from services.kernel.kafka.producer import Publisher
from services.kernel.processing.relay import Relay
from services.referral.app import build
from tests.builders import referral_made
from tests.flow.conftest import Bench, MakeBench

pytestmark = pytest.mark.connected


async def drained(bench: Bench) -> None:
    async with asyncio.timeout(30):
        while await bench.rows("SELECT 1 FROM outbox LIMIT 1"):
            await asyncio.sleep(0.02)


def cut(publisher: Publisher) -> None:
    """End the connections as a broker that ends would; whoever answers at its address is not asked."""
    for connection in publisher._producer.client._conns.values():
        connection.close()


async def values_of(key: bytes, kafka: str) -> list[bytes]:
    """Return every value with this key that the broker holds."""
    consumer = AIOKafkaConsumer(REFERRAL.name, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        found = []
        for place, end in (await consumer.end_offsets(consumer.assignment())).items():
            while await consumer.position(place) < end:
                records = (await consumer.getmany(place, timeout_ms=1000)).get(place, [])
                found += [record.value for record in records if record.key == key]
        return found
    finally:
        await consumer.stop()


async def test_nothing_goes_out_over_a_connection_that_was_made_later(topics: Engines) -> None:
    """The same broker would answer at once, but a publisher cannot know that: it says so and stops."""
    settings = Settings(kafka=topics.kafka, kafka_idempotent=topics.kafka_idempotent)
    key = str(uuid4()).encode()
    async with Publisher(settings, REFERRAL.name) as publisher:
        await publisher.publish([(key, b"1", [])])
        cut(publisher)
        with pytest.raises(ConnectionLost):
            await publisher.publish([(key, b"2", [])])
    assert await values_of(key, topics.kafka) == [b"1"]


async def test_a_relay_looks_at_the_broker_before_it_publishes_over_a_new_connection(
    topics: Engines, bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what is on its way goes to a broker that was wiped, before everything that went before it."""
    referral = await bench("referral", build)
    steps: list[str] = []
    publishers: list[Publisher] = []
    holds, publish = Broker.holds, Publisher.publish

    async def holding(self: Broker) -> tuple[str, dict[int, int]]:
        steps.append("looks")
        return await holds(self)

    async def publishing(self: Publisher, messages: object) -> list[object]:
        steps.append("publishes")
        publishers.append(self)
        return await publish(self, messages)  # type: ignore[arg-type,return-value]  # handed through

    monkeypatch.setattr(Broker, "holds", holding)
    monkeypatch.setattr(Publisher, "publish", publishing)
    relay = Relay(referral.settings, service="referral")
    await relay.start()
    try:
        await referral.deliver(referral_made(uuid4()))
        await drained(referral)
        steps.clear()
        cut(publishers[-1])
        await referral.deliver(referral_made(uuid4()))
        await drained(referral)
    finally:
        await relay.stop()
    tried = steps.index("publishes")
    assert steps[tried : tried + 3] == ["publishes", "looks", "publishes"]
