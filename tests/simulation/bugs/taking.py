"""Mistakes of an intake: which offsets it commits, and when."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from services.kernel.kafka.consumer import BatchConsumer, IntakeFailed

Polled = Mapping[TopicPartition, Sequence[ConsumerRecord]]


def offsets_committed_before_settled() -> AbstractContextManager[object]:
    """Acknowledges a batch when it takes it: a crash before the transaction's commit loses it."""
    settle = BatchConsumer._finish

    async def finish(self: BatchConsumer[Any], ready: Any, polled: Polled) -> None:
        self._to_commit |= {partition: batch[-1].offset + 1 for partition, batch in polled.items()}
        await self._commit()
        await settle(self, ready, polled)

    return patch.object(BatchConsumer, "_finish", finish)


def positions_committed() -> AbstractContextManager[object]:
    """Commits how far it has read, as clients do by default: the batch that was read ahead counts as done."""

    async def commit(self: BatchConsumer[Any]) -> None:
        async with self._commit_lock:
            self._commit_due.clear()
            if self._consumer is None or not self._to_commit:
                return
            self._to_commit = {}
            try:
                ours = self._consumer.assignment()
                await self._consumer.commit({place: await self._consumer.position(place) for place in ours})
            except (CommitFailedError, IllegalStateError):
                return

    return patch.object(BatchConsumer, "_commit", commit)


def batches_side_by_side() -> AbstractContextManager[object]:
    """Does not wait for the batch before: later events of a case may be first, and a failure is not seen."""

    async def before(self: BatchConsumer[Any]) -> None:
        self._running = None

    return patch.object(BatchConsumer, "_before", before)


def failed_batch_passed() -> AbstractContextManager[object]:
    """Logs that a batch could not be settled and goes on: the next one's offsets cover it."""
    settle = BatchConsumer._finish

    async def finish(self: BatchConsumer[Any], ready: Any, polled: Polled) -> None:
        try:
            await settle(self, ready, polled)
        except IntakeFailed:
            return

    return patch.object(BatchConsumer, "_finish", finish)
