"""The two stages on which every contract is played: in memory, and on real PostgreSQL and Kafka."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from sqlalchemy import text

from schemas.topics import REFERRAL
from services.kernel.base.settings import Settings
from services.kernel.kafka.clients import Broker
from services.kernel.kafka.producer import Publisher
from services.kernel.postgres.connection import Engine
from services.kernel.postgres.database import create_engine, migrate
from services.kernel.store.relaying import Relaying
from tests.flow.conftest import TABLES
from tests.simulation.broker import PARTITIONS, MemoryBroker
from tests.simulation.consumer import MemoryConsumer
from tests.simulation.database import Database
from tests.simulation.driver import MemoryEngine, MemoryRelaying
from tests.simulation.publishing import MemoryHoldings, MemoryPublisher
from tests.simulation.world import Calm, World

SESSION_MS = 6000


@dataclass(frozen=True)
class Store:
    """An empty store, and ways to connect to it."""

    engine: Engine
    relaying: Callable[[], Relaying]


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.connected)])
def kind(request: pytest.FixtureRequest) -> str:
    """Which stage it is."""
    return str(request.param)


@pytest.fixture
def settings(kind: str, request: pytest.FixtureRequest) -> Settings:
    """Where the real engines are; they are started only where they are needed."""
    if kind == "memory":
        return Settings()
    engines = request.getfixturevalue("engines")
    return Settings(
        database=engines.database_url, kafka=engines.kafka, kafka_idempotent=engines.kafka_idempotent
    )


@pytest.fixture
async def store(kind: str, settings: Settings) -> AsyncIterator[Store]:
    """An empty store."""
    if kind == "memory":
        database = Database(World(Calm(), Random(1)))
        yield Store(MemoryEngine(database), partial(MemoryRelaying, database, REFERRAL.name))
        return
    engine = create_engine(settings, "referral")
    await migrate(engine, "referral")
    async with engine.begin() as connection:
        tables = (await connection.execute(text(TABLES))).scalar_one()
        await connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
    yield Store(engine, partial(Relaying, settings.database_of("referral"), REFERRAL.name))
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()  # what a failed test has left open would be waited for without end
    await engine.dispose()


class Heard(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Keeps what a consumer is told about its partitions."""

    def __init__(self) -> None:
        self.revoked: list[set[int]] = []
        self.assigned: list[set[int]] = []

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Keep it."""
        self.revoked.append({place.partition for place in revoked})

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Keep it."""
        self.assigned.append({place.partition for place in assigned})


@dataclass
class Bus:
    """One topic of its own, and clients of it."""

    topic: str
    stack: AsyncExitStack
    make_consumer: Callable[..., Any]
    append: Callable[[int, bytes], Any]
    publisher: Publisher
    broker: Broker
    heard: dict[int, Heard] = field(default_factory=dict)
    """By the consumer's id, what it was told."""

    async def publish(self, partition: int, *values: bytes) -> None:
        """Write values to one partition, in order."""
        for value in values:
            await self.append(partition, value)

    async def consumer(self, group: str = "one") -> Any:
        """Return a consumer that has joined a group."""
        consumer = self.make_consumer(
            group_id=f"{self.topic}-{group}",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=300,
            rebalance_timeout_ms=SESSION_MS,
        )
        heard = self.heard[id(consumer)] = Heard()
        consumer.subscribe([self.topic], listener=heard)
        await consumer.start()
        self.stack.push_async_callback(consumer.stop)
        return consumer

    def place(self, partition: int) -> TopicPartition:
        """Return a partition of the topic."""
        return TopicPartition(self.topic, partition)


@pytest.fixture
async def bus(kind: str, settings: Settings) -> AsyncIterator[Bus]:
    """An empty topic."""
    topic = f"contract-{uuid4()}"
    async with AsyncExitStack() as stack:
        yield await (_in_memory(topic, stack) if kind == "memory" else _on_kafka(topic, stack, settings))


async def _in_memory(topic: str, stack: AsyncExitStack) -> Bus:
    broker = MemoryBroker(World(Calm(), Random(1)))
    broker.create(topic)

    async def append(partition: int, value: bytes) -> None:
        broker.append(topic, partition, b"key", value, ())

    return Bus(
        topic,
        stack,
        partial(MemoryConsumer, broker),
        append,
        await stack.enter_async_context(MemoryPublisher(broker, topic)),
        await stack.enter_async_context(MemoryHoldings(broker, topic)),
    )


async def _on_kafka(topic: str, stack: AsyncExitStack, settings: Settings) -> Bus:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    finally:
        await admin.close()
    producer = await stack.enter_async_context(AIOKafkaProducer(bootstrap_servers=settings.kafka))

    async def append(partition: int, value: bytes) -> None:
        await producer.send_and_wait(topic, value, key=b"key", partition=partition)

    return Bus(
        topic,
        stack,
        partial(
            AIOKafkaConsumer,
            bootstrap_servers=settings.kafka,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        ),
        append,
        await stack.enter_async_context(Publisher(settings, topic)),
        await stack.enter_async_context(Broker(settings, topic)),
    )
