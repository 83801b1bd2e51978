"""Reads a topic from its first record to the last one that is there now."""

from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

POLL_MS = 500
FETCH_BYTES = 8 * 1024 * 1024


async def records_on(bootstrap: str, topic: str, partitions: int) -> AsyncIterator[ConsumerRecord]:
    """Yield every record, in order by partition. As no member of a group: nothing is acknowledged."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=FETCH_BYTES
    )
    await consumer.start()
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                for record in records:
                    yield record
    finally:
        await consumer.stop()
