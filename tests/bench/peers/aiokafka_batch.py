"""Plain aiokafka and asyncpg, tuned by hand: arrays through `unnest`, and the next batch is read ahead."""

import asyncio
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.events import ReferralAccepted
from services.kernel.settings import Settings
from tests.bench.peers.array_store import ArrayStore
from tests.bench.peers.deciding import Incoming
from tests.bench.peers.program import BATCH, HANDLED, SESSION_SECONDS, TOPIC, relaying, told_to_stop

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
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    await consumer.start()
    try:
        async with relaying(settings):
            await _consume(consumer, store, stop)
    finally:
        await consumer.stop()
        await store.close()


async def _consume(consumer: AIOKafkaConsumer, store: ArrayStore, stop: asyncio.Event) -> None:
    """Read and decode one batch while the one before is being committed; the order stays."""
    saving: asyncio.Task[None] | None = None
    while not stop.is_set():
        polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH)
        incoming = _decoded(polled)
        if saving is not None:
            await saving
            saving = None
        if polled:
            saving = asyncio.create_task(_save(consumer, store, incoming, polled))
    if saving is not None:
        await saving


async def _save(
    consumer: AIOKafkaConsumer,
    store: ArrayStore,
    incoming: Sequence[Incoming],
    polled: Mapping[TopicPartition, Sequence[ConsumerRecord]],
) -> None:
    await store.handle(incoming)
    await consumer.commit({place: records[-1].offset + 1 for place, records in polled.items()})


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
