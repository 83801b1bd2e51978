"""Reads whole topics for a store that rejoins: from their first event to their present end."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError

from services.kernel.base.settings import Settings
from services.kernel.kafka.clients import Clients
from services.kernel.messages.faults import Refused
from services.kernel.messages.record import Record

PATIENCE_SECONDS = 30.0
"""How long a broker with more events may return nothing."""

POLL_MS = 500
CHUNK = 2000


class RecordOfTopic(NamedTuple):
    """One record, and its publisher's time stamp, in milliseconds since 1970."""

    record: Record
    published_at: int


class BusReader(Clients):
    """A connection that reads from the beginning and commits nothing: no group's offsets change."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            settings,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=settings.kafka_fetch_wait_ms,
        )

    async def first_offsets(self, topic: str) -> dict[int, int]:
        """Return, by partition, the offset of the oldest event that the broker still holds."""
        begins = await self._consumer.beginning_offsets(await self._places(topic))
        return {place.partition: begin for place, begin in begins.items()}

    async def read(self, topic: str) -> AsyncIterator[list[RecordOfTopic]]:
        """Yield the records that the topic holds now, in order within each partition.

        Raises KafkaError when the broker stops answering before the end.
        """
        places = await self._places(topic)
        self._consumer.assign(places)
        ends = await self._consumer.end_offsets(places)
        await self._consumer.seek_to_beginning(*places)
        heard_at = time.monotonic()
        while [place for place in places if await self._consumer.position(place) < ends[place]]:
            polled = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=CHUNK)
            chunk = [
                RecordOfTopic(
                    Record(topic, place.partition, one.offset, one.key, one.value, one.headers), one.timestamp
                )
                for place, batch in polled.items()
                for one in batch
                if one.offset < ends[place]
            ]
            if chunk:
                heard_at = time.monotonic()
                yield chunk
            elif time.monotonic() - heard_at > PATIENCE_SECONDS:
                raise KafkaTimeoutError

    async def acknowledged(self, group: str, topics: Sequence[str]) -> Mapping[tuple[str, int], int]:
        """Return a group's committed offsets by topic and partition, without partitions it never
        committed."""
        places = [place for topic in topics for place in await self._places(topic)]
        committed = await self._admin.list_consumer_group_offsets(group, partitions=places)
        return {
            (place.topic, place.partition): mark.offset
            for place, mark in committed.items()
            if mark.offset >= 0
        }

    async def _places(self, topic: str) -> list[TopicPartition]:
        # Once it has read one topic, the client requests metadata for that one alone.
        await self._consumer._client.add_topic(topic)
        numbers = self._consumer.partitions_for_topic(topic)
        if not numbers:
            raise Refused(f"The broker has no topic {topic}: `leadline topics apply` creates it.")
        return [TopicPartition(topic, number) for number in sorted(numbers)]
