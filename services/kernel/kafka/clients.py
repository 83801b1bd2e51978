"""What the broker holds of one topic, queried repeatedly over connections that stay open."""

from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    BrokerNotAvailableError,
    DuplicateSequenceNumber,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    KafkaTimeoutError,
    KafkaUnavailableError,
    OffsetOutOfRangeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    ReplicaNotAvailableError,
    UnknownError,
    UnknownProducerId,
    UnrecognizedBrokerVersion,
)

from services.kernel.base.settings import Settings


class ConnectionLost(KafkaError):  # type: ignore[misc]  # noqa: N818 - aiokafka is untyped; a finding
    """The connection to the broker is lost: the broker behind the next one may have lost the data.

    The client itself never retries after it, because it would retry on whatever connection it gets.
    """

    retriable = False


MENDED_BY_A_NEW_CLIENT = (
    ConnectionLost,
    BrokerNotAvailableError,
    DuplicateSequenceNumber,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaTimeoutError,
    KafkaUnavailableError,
    OffsetOutOfRangeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    ReplicaNotAvailableError,
    UnknownError,
    UnknownProducerId,
    UnrecognizedBrokerVersion,
)
"""Errors that this client must not retry but a new one may: the broker came back without its disk, or its
connection ended before it had identified itself."""


def is_away(error: BaseException) -> bool:
    """Return whether reconnecting may succeed without help: the broker is unavailable or was emptied.

    Missing rights, a version that is too old or a message that is too large are permanent.
    """
    if isinstance(error, KafkaError):
        return bool(error.retriable) or isinstance(error, MENDED_BY_A_NEW_CLIENT)
    return isinstance(error, OSError)


class Clients:
    """An admin client and a consumer in no group, connected for as long as the context lasts."""

    def __init__(self, settings: Settings, **reading: object) -> None:
        self._settings = settings
        self._reading = reading
        self._admin: AIOKafkaAdminClient
        self._consumer: AIOKafkaConsumer

    async def __aenter__(self) -> Self:
        """Connect. Raises KafkaError when no broker answers."""
        self._admin = AIOKafkaAdminClient(**self._settings.kafka_client())
        self._consumer = AIOKafkaConsumer(**self._settings.kafka_client(), **self._reading)
        try:
            await self._admin.start()
            await self._consumer.start()
        except BaseException:
            await self._disconnect()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        await self._disconnect()

    async def _disconnect(self) -> None:
        await self._consumer.stop()
        await self._admin.close()


class Broker(Clients):
    """Connections for one repeated query. A new connection per query took 30 to 60 ms on a busy machine."""

    def __init__(self, settings: Settings, topic: str) -> None:
        super().__init__(settings)
        self._topic = topic

    async def holds(self) -> tuple[str, dict[int, int]]:
        """Return the cluster's id and the end offset of each partition of the topic, at present.

        Raises KafkaError when the broker does not answer.
        """
        cluster = await self._admin.describe_cluster()
        await self._consumer._client.force_metadata_update()  # or it would report deleted partitions
        partitions = self._consumer.partitions_for_topic(self._topic) or set()
        places = [TopicPartition(self._topic, number) for number in partitions]
        ends = await self._consumer.end_offsets(places)
        return cluster["cluster_id"] or "", {place.partition: end for place, end in ends.items()}
