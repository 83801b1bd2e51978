"""Plain aiokafka and asyncpg, tuned by hand: arrays through `unnest`, and the next batch is read ahead.

Offsets are committed beside the work, after the database. A rebalance is not handled: a partition that
moves in the middle of a batch is delivered again, which the inbox makes harmless.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.events import ReferralAccepted
from services.kernel.base.settings import Settings
from tests.bench.peers.array_store import ArrayStore
from tests.bench.peers.deciding import Incoming
from tests.bench.peers.program import (
    BATCH,
    FETCH_BYTES,
    HANDLED,
    SESSION_SECONDS,
    TOPIC,
    relaying,
    told_to_stop,
)

GROUP = "bench-aiokafka-batch"
POLL_MS = 200


async def main() -> None:
    """Run until told to stop."""
    stop = told_to_stop()
    settings = Settings()
    store = ArrayStore(settings)
    await store.open()
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=settings.kafka,
        group_id=GROUP,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=int(SESSION_SECONDS * 1000),
        heartbeat_interval_ms=int(SESSION_SECONDS / 3 * 1000),
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await consumer.start()
    try:
        async with relaying(settings), Acknowledging(consumer) as handled:
            await _consume(consumer, store, handled, stop)
    finally:
        await consumer.stop()
        await store.close()


class Acknowledging:
    """Commits offsets beside the work, the newest ones whenever the last answer has come, and at the end."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._offsets: dict[TopicPartition, int] = {}
        self._there = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Begin to commit."""
        self._task = asyncio.create_task(self._commit())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Commit what is left."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        if self._offsets:
            await self._consumer.commit(self._offsets)

    def add(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Note what is in the database for good."""
        self._offsets |= offsets
        self._there.set()

    async def _commit(self) -> None:
        while True:
            await self._there.wait()
            self._there.clear()
            await self._consumer.commit(dict(self._offsets))


async def _consume(
    consumer: AIOKafkaConsumer, store: ArrayStore, handled: Acknowledging, stop: asyncio.Event
) -> None:
    """Read and decode one batch while the one before is being committed; the order stays."""
    saving: asyncio.Task[None] | None = None
    while not stop.is_set():
        polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH)
        incoming = _decoded(polled)
        if saving is not None:
            await saving
            saving = None
        if polled:
            saving = asyncio.create_task(_save(store, handled, incoming, polled))
    if saving is not None:
        await saving


async def _save(
    store: ArrayStore,
    handled: Acknowledging,
    incoming: Sequence[Incoming],
    polled: Mapping[TopicPartition, Sequence[ConsumerRecord]],
) -> None:
    await store.handle(incoming)
    handled.add({place: records[-1].offset + 1 for place, records in polled.items()})


def _decoded(polled: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> list[Incoming]:
    incoming = []
    for records in polled.values():
        for record in records:
            headers = {name: value.decode() for name, value in record.headers}
            if headers["ce_type"] == HANDLED:
                incoming.append(Incoming.of(ReferralAccepted.model_validate_json(record.value), headers))
    return incoming


if __name__ == "__main__":
    asyncio.run(main())
