"""What `Publisher`, `Broker` and `Bus` give to the relay and the bus watch, on a broker in memory."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from types import TracebackType
from typing import Self

from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError

from services.kernel.kafka.admin import Bus
from services.kernel.kafka.clients import Broker, ConnectionLost
from services.kernel.kafka.producer import Publisher, Receipt, partition_of
from services.kernel.messages.envelope import Message
from tests.simulation.broker import PARTITIONS, MemoryBroker
from tests.simulation.world import Fault

READ: Sequence[Fault] = ("error", "cancel", "kill")
PUBLISH: Sequence[Fault] = ("error", "after", "late", "cancel", "kill")
LARGEST_BATCH = 6
"""Records that one request carries at the most."""
LATE_SECONDS = 1.0


class MemoryPublisher(Publisher):
    """Publishes record batches: a partition's next one goes out when its last one was acknowledged.

    Over the connection that it opened at first, and over no other.
    """

    def __init__(self, broker: MemoryBroker, topic: str) -> None:
        self._broker = broker
        self._topic = topic
        self._since = broker.ends

    async def __aenter__(self) -> Self:
        """Connect."""
        await _ask(self._broker, "publisher connect")
        self._since = self._broker.ends
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""

    async def publish(self, messages: Iterable[Message]) -> list[Receipt]:
        """Return what was acknowledged when all is; KafkaError when it is not known of some."""
        batches: dict[int, list[list[Message]]] = {}
        largest = self._broker.world.random.randint(1, LARGEST_BATCH)
        for message in messages:
            queue = batches.setdefault(partition_of(message[0], PARTITIONS), [[]])
            if len(queue[-1]) == largest:
                queue.append([])
            queue[-1].append(message)
        receipts = []
        for turn in zip_longest(*batches.values()):
            for partition, batch in zip(batches, turn, strict=True):
                if batch is not None:
                    receipts.append(await self._request(partition, batch))
        return receipts

    async def _request(self, partition: int, batch: Sequence[Message]) -> Receipt:
        broker, world = self._broker, self._broker.world
        fault = await world.step("publish", PUBLISH)
        if broker.ends != self._since:
            raise ConnectionLost
        if fault == "error":
            raise KafkaConnectionError
        if fault == "late":
            cluster = broker.cluster_id
            world.later(world.random.uniform(0.0, LATE_SECONDS), self._arrive, cluster, partition, batch)
            raise KafkaTimeoutError
        begin = self._write(partition, batch)
        if fault == "after":
            raise KafkaTimeoutError
        await world.step("acknowledged", ("cancel", "kill"))
        return Receipt(partition, begin, begin + len(batch))

    def _arrive(self, cluster: str, partition: int, batch: Sequence[Message]) -> None:
        """A request that nobody waits for any more reaches the broker, if it is still the same."""
        if self._broker.cluster_id == cluster and not self._broker.down:
            self._write(partition, batch)

    def _write(self, partition: int, batch: Sequence[Message]) -> int:
        offsets = [
            self._broker.append(self._topic, partition, key, value, headers) for key, value, headers in batch
        ]
        return offsets[0]


class MemoryHoldings(Broker):
    """Says what the broker holds of one topic."""

    def __init__(self, broker: MemoryBroker, topic: str) -> None:
        self._broker = broker
        self._topic = topic

    async def __aenter__(self) -> Self:
        """Connect."""
        await _ask(self._broker, "broker connect")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""

    async def holds(self) -> tuple[str, dict[int, int]]:
        """Return the cluster's id and where each partition ends."""
        await _ask(self._broker, "holds")
        return self._broker.cluster_id, {
            number: len(log) for number, log in enumerate(self._broker.topics[self._topic])
        }


class MemoryBus(Bus):
    """Says which cluster answers."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def __aenter__(self) -> Self:
        """Connect."""
        await _ask(self._broker, "bus connect")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""

    async def cluster_id(self) -> str:
        """Return which cluster this is."""
        await _ask(self._broker, "cluster id")
        return self._broker.cluster_id


async def _ask(broker: MemoryBroker, point: str) -> None:
    fault = await broker.world.step(point, READ)
    if fault == "error" or broker.down:
        raise KafkaConnectionError
