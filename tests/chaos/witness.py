"""An independent reader of every topic while the broker is being broken: what one poll has seen stays true.

In the terms of Jepsen's Kafka checker it notices skipped and non-monotonic polls; that no offset holds
another value later on is for the recount to see.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.topics import TOPICS
from tests.chaos.evidence import digest

POLL_MS = 500
RETRY_SECONDS = 0.5
ANSWER_SECONDS = 10.0
LARGEST_FETCH_BYTES = 8 * 1024 * 1024

Place = tuple[str, int]
"""Topic and partition."""

AWAY = (KafkaError, OSError, TimeoutError)


@dataclass
class Witness:
    """What was seen. A broker that was wiped is another one: its offsets begin again."""

    seen: dict[str, dict[Place, list[bytes]]] = field(default_factory=dict)
    """By cluster id and place, the digest of each value in the order of the offsets, from the first."""
    wrong: list[str] = field(default_factory=list)
    """Sentences for polls that skipped offsets or went back."""

    def saw(self, cluster_id: str, place: Place, offset: int, value: bytes) -> None:
        """Note one record of a poll."""
        digests = self.seen.setdefault(cluster_id, {}).setdefault(place, [])
        expected = len(digests)
        if offset == expected:
            digests.append(digest(value))
        elif offset > expected:
            self.wrong.append(f"{place}: a poll went from {expected - 1} to {offset}: skipped")
            digests += [b""] * (offset - expected) + [digest(value)]
        else:
            self.wrong.append(f"{place}: a poll went back from {expected - 1} to {offset}")

    def positions(self, cluster_id: str) -> Mapping[Place, int]:
        """Return where to read on in a cluster."""
        return {place: len(digests) for place, digests in self.seen.get(cluster_id, {}).items()}


@asynccontextmanager
async def witnessing(kafka: str, *, at_work: bool = True) -> AsyncIterator[Witness]:
    """Read while the context lasts, as far as there is a broker; with `at_work` false nobody reads."""
    witness = Witness()
    reading = asyncio.create_task(_read_for_ever(witness, kafka)) if at_work else None
    try:
        yield witness
    finally:
        if reading is not None:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading


async def _read_for_ever(witness: Witness, kafka: str) -> None:
    task = asyncio.current_task()
    assert task is not None
    while True:
        try:
            with suppress(*AWAY):  # that the broker goes away is the point
                await _read_one_cluster(witness, kafka)
        except asyncio.CancelledError:
            if task.cancelling():
                raise
            # Nobody has told us to end: a consumer that is stopped while it waits to ask again raises this.
        await asyncio.sleep(RETRY_SECONDS)


async def _read_one_cluster(witness: Witness, kafka: str) -> None:
    """Read until the broker goes away or is another one.

    What a poll returns belongs to the cluster only if the broker is still that one after the poll: the
    consumer would read on at its offsets in a log that has nothing to do with the one before.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        max_partition_fetch_bytes=LARGEST_FETCH_BYTES,
        auto_offset_reset="none",  # what is gone shall not be passed over in silence
    )
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await admin.start()
            cluster_id = await _cluster_id(admin)
            await consumer.start()
        consumer.assign(places := _places())
        known = witness.positions(cluster_id)
        for place in places:
            consumer.seek(place, known.get((place.topic, place.partition), 0))
        while True:
            polled = await consumer.getmany(timeout_ms=POLL_MS)
            async with asyncio.timeout(ANSWER_SECONDS):
                if await _cluster_id(admin) != cluster_id:
                    return
            _note(witness, cluster_id, polled)
    finally:
        with suppress(*AWAY):
            async with asyncio.timeout(ANSWER_SECONDS):
                await consumer.stop()
        with suppress(*AWAY):
            await admin.close()


def _note(
    witness: Witness, cluster_id: str, polled: Mapping[TopicPartition, Sequence[ConsumerRecord]]
) -> None:
    for place, records in polled.items():
        for record in records:
            witness.saw(cluster_id, (place.topic, place.partition), record.offset, record.value or b"")


def _places() -> list[TopicPartition]:
    return [TopicPartition(topic.name, number) for topic in TOPICS for number in range(topic.partitions)]


async def _cluster_id(admin: AIOKafkaAdminClient) -> str:
    return str((await admin.describe_cluster())["cluster_id"])
