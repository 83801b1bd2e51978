"""Publishes batches of events: whole record batches per partition, not one client call per event."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from struct import unpack_from
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.structs import RecordMetadata

from services.kernel.base.settings import Settings
from services.kernel.kafka.clients import ConnectionLost
from services.kernel.messages.envelope import Message

BATCH_BYTES = 512 * 1024
"""The largest record batch: half of what the broker accepts, and a quarter of a read of a backlog."""

KEYS_REMEMBERED = 4096
"""Events of one child come in a row; their partition is computed once."""

MASK = 0xFFFFFFFF
MULTIPLIER = 0x5BD1E995
SEED = 0x9747B28C


@lru_cache(KEYS_REMEMBERED)
def murmur2(key: bytes) -> int:
    """Return the hash by which Kafka's own clients, in any language, choose a partition."""
    words = len(key) // 4
    found = SEED ^ len(key)
    for word in unpack_from(f"<{words}I", key):
        mixed = word * MULTIPLIER & MASK
        found = (found * MULTIPLIER ^ (mixed ^ mixed >> 24) * MULTIPLIER) & MASK
    if words * 4 < len(key):
        found = (found ^ int.from_bytes(key[words * 4 :], "little")) * MULTIPLIER & MASK
    found = (found ^ found >> 13) * MULTIPLIER & MASK
    return found ^ found >> 15


def partition_of(key: bytes, count: int) -> int:
    """Return a key's partition out of `count`, as any Kafka client's default partitioner does."""
    return (murmur2(key) & 0x7FFFFFFF) % count


@dataclass(frozen=True, slots=True)
class Receipt:
    """An acknowledgement by the broker: a run of offsets of one partition."""

    partition: int
    begin: int
    end: int
    """One past the last offset."""


class Publisher:
    """Publishes to one topic, in order per key. One caller at a time.

    It publishes only over the connections that it opened first. A broker loses its data only by ending, and
    then its connections end too. So the caller's findings about the broker since then hold for the broker
    that takes the events.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self._topic = topic
        self._producer = AIOKafkaProducer(
            **settings.kafka_client(),
            acks="all",
            enable_idempotence=settings.kafka_idempotent,
            linger_ms=0,
            max_batch_size=BATCH_BYTES,
        )

    async def __aenter__(self) -> Self:
        """Connect. Raises KafkaError when no broker answers."""
        try:
            await self._producer.start()
            await self._stay_connected()
        except BaseException:
            await self._producer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send what is in flight and disconnect."""
        await self._producer.stop()

    async def publish(self, messages: Iterable[Message]) -> list[Receipt]:
        """Return the receipts once the broker has acknowledged everything.

        Raises ConnectionLost when a connection has ended, another KafkaError when the broker refuses. Any
        part may then be on the bus, but for each key only the first events, because a partition's next record
        batch is sent after the last one was acknowledged. Publishing all events again keeps the order.
        """
        receipts: list[Receipt] = []
        queues = await self._queues(messages)
        for turn in zip_longest(*queues.values()):
            sent = [
                (partition, batch.record_count(), await self._send(batch, partition))
                for partition, batch in zip(queues, turn, strict=True)
                if batch is not None
            ]
            found = await asyncio.gather(*(acknowledged for _, _, acknowledged in sent))
            receipts += [
                Receipt(partition, metadata.offset, metadata.offset + count)
                for (partition, count, _), metadata in zip(sent, found, strict=True)
            ]
        return receipts

    async def _stay_connected(self) -> None:
        """Connect to every broker of the cluster; forbid publishing over any later connection."""
        client = self._producer.client
        nodes = [broker.nodeId for broker in client.cluster.brokers()]
        if not any([await client.ready(node) for node in nodes]):
            raise KafkaConnectionError
        first = dict(client._conns)
        send = client.send

        async def sending(node: Any, request: Any, **group: Any) -> Any:
            if not isinstance(request, ProduceRequest):
                return await send(node, request, **group)
            place = (node, ConnectionGroup.DEFAULT)
            connection = client._conns.get(place)
            # If it is connected, `send` writes to it before anything else can happen.
            if place not in first or connection is not first[place] or not connection.connected():
                raise ConnectionLost
            try:
                return await send(node, request, **group)
            except KafkaError as error:
                raise ConnectionLost from error

        client.send = sending

    async def _queues(self, messages: Iterable[Message]) -> dict[int, list[BatchBuilder]]:
        """Return the record batches of each partition, in the order of the messages."""
        count = len(await self._producer.partitions_for(self._topic))
        queues: dict[int, list[BatchBuilder]] = {}
        filling: dict[int, BatchBuilder] = {}
        for key, value, headers in messages:
            partition = partition_of(key, count)
            batch = filling.get(partition)
            if batch is not None and batch.append(timestamp=None, key=key, value=value, headers=headers):
                continue
            batch = filling[partition] = self._producer.create_batch()
            queues.setdefault(partition, []).append(batch)
            if not batch.append(timestamp=None, key=key, value=value, headers=headers):
                raise MessageSizeTooLargeError
        return queues

    async def _send(self, batch: BatchBuilder, partition: int) -> "asyncio.Future[RecordMetadata]":
        batch.close()
        sending: asyncio.Future[RecordMetadata] = await self._producer.send_batch(
            batch, self._topic, partition=partition
        )
        return sending
