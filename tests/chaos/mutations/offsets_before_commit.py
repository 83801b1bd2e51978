"""Offsets are committed when a batch is taken, not when its transaction is: at most once, as by default."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition

from services.kernel.kafka.consumer import BatchConsumer


def apply() -> None:
    """Acknowledge each batch before it is settled."""
    settle = BatchConsumer._finish

    async def acknowledge_first(
        self: BatchConsumer[Any], ready: Any, polled: Mapping[TopicPartition, Sequence[ConsumerRecord]]
    ) -> None:
        self._to_commit |= {partition: batch[-1].offset + 1 for partition, batch in polled.items()}
        await self._commit()
        await settle(self, ready, polled)

    BatchConsumer._finish = acknowledge_first  # type: ignore[method-assign]
