"""Mistakes of a relay: what it reads, when it forgets, and what it takes for published."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from unittest.mock import patch

from aiokafka.errors import KafkaError

from services.kernel.kafka.clients import Broker
from services.kernel.kafka.producer import Publisher, Receipt
from services.kernel.processing import relay
from services.kernel.processing.relay import Relay
from services.kernel.store.relaying import Pending, Relaying

EVERYTHING = 1_000_000


def last_position_remembered() -> AbstractContextManager[object]:
    """Reads on from the last position sent: what became visible late, with a lower one, never goes out."""
    read, remove, requeue = Relaying.pending, Relaying.sent, Relaying.requeue_all
    last: dict[str, int] = {}

    async def pending(self: Relaying, limit: int) -> list[Pending]:
        return [row for row in await read(self, limit) if row.position > last.get(self._topic, 0)]

    async def sent(
        self: Relaying, positions: Sequence[int], marks: Mapping[int, int], *, cluster_id: str
    ) -> None:
        await remove(self, positions, marks, cluster_id=cluster_id)
        last[self._topic] = max(positions)

    async def requeue_all(self: Relaying) -> int:
        last.pop(self._topic, None)
        return await requeue(self)

    return patch.multiple(Relaying, pending=pending, sent=sent, requeue_all=requeue_all)


def all_up_to_the_last_removed() -> AbstractContextManager[object]:
    """Removes every row up to the last position sent: also those that became visible after the read."""
    read, remove = Relaying.pending, Relaying.sent

    async def sent(
        self: Relaying, positions: Sequence[int], marks: Mapping[int, int], *, cluster_id: str
    ) -> None:
        last = max(positions)
        older = [row.position for row in await read(self, EVERYTHING) if row.position <= last]
        await remove(self, older, marks, cluster_id=cluster_id)

    return patch.object(Relaying, "sent", sent)


def wake_up_lost() -> AbstractContextManager[object]:
    """Forgets after its read that it was woken, and looks only when it is woken."""

    async def publish_for_ever(self: Relay, relaying: Relaying, broker: Broker, publisher: Publisher) -> None:
        while not self.should_stop:
            pending = await relaying.pending(relay.BATCH)
            if pending:
                await self._send(relaying, publisher, pending)
            self._woken.clear()
            while len(pending) < relay.BATCH and not self._woken.is_set() and not self.should_stop:
                try:
                    await asyncio.wait_for(self._woken.wait(), relay.CHECK_SECONDS)
                except TimeoutError:
                    await self._check(relaying, broker)

    return patch.object(Relay, "_publish_for_ever", publish_for_ever)


def acknowledgement_not_awaited() -> AbstractContextManager[object]:
    """Sends and forgets: what the broker does not take is gone from the outbox all the same."""
    under_way: set[asyncio.Task[list[Receipt]]] = set()

    def done(sending: asyncio.Task[list[Receipt]]) -> None:
        under_way.discard(sending)
        if not sending.cancelled():
            sending.exception()

    async def send(self: Relay, relaying: Relaying, publisher: Publisher, pending: Sequence[Pending]) -> None:
        sending = asyncio.create_task(publisher.publish([self._encoder.encode(row) for row in pending]))
        under_way.add(sending)
        sending.add_done_callback(done)
        await relaying.sent([row.position for row in pending], {}, cluster_id=self._cluster_id)

    return patch.object(Relay, "_send", send)


def removed_before_published() -> AbstractContextManager[object]:
    """Takes events out of the outbox, then publishes them: a crash in between loses them."""

    async def send(self: Relay, relaying: Relaying, publisher: Publisher, pending: Sequence[Pending]) -> None:
        await relaying.sent([row.position for row in pending], {}, cluster_id=self._cluster_id)
        receipts = await publisher.publish(map(self._encoder.encode, pending))
        await _kept(self, relaying, [], receipts)

    return patch.object(Relay, "_send", send)


def ordered_by_id() -> AbstractContextManager[object]:
    """Reads the outbox in the order of event ids, which is none."""
    read = Relaying.pending

    async def pending(self: Relaying, limit: int) -> list[Pending]:
        return sorted(await read(self, limit), key=lambda row: row.event_id)

    return patch.object(Relaying, "pending", pending)


def only_the_failed_sent_again() -> AbstractContextManager[object]:
    """Goes on after an event that failed and sends that one again later: others of its key overtake it."""

    async def send(self: Relay, relaying: Relaying, publisher: Publisher, pending: Sequence[Pending]) -> None:
        failure: KafkaError | None = None
        for row in pending:
            try:
                receipts = await publisher.publish([self._encoder.encode(row)])
            except KafkaError as error:
                failure = error
            else:
                await _kept(self, relaying, [row], receipts)
        if failure is not None:
            raise failure

    return patch.object(Relay, "_send", send)


@contextmanager
def lost_bus_unnoticed() -> Iterator[None]:
    """Never compares the broker with what it had acknowledged: an emptied one is filled from here on."""

    async def send(self: Relay, relaying: Relaying, publisher: Publisher, pending: Sequence[Pending]) -> None:
        self._ends = {}
        await _kept(self, relaying, pending, await publisher.publish(map(self._encoder.encode, pending)))

    with patch.object(relay, "lost", lambda *_, **__: False), patch.object(Relay, "_send", send):
        yield


def marks_not_kept() -> AbstractContextManager[object]:
    """Does not keep how far the broker had acknowledged: a relay that starts takes any broker for the old."""
    remove = Relaying.sent

    async def sent(
        self: Relaying, positions: Sequence[int], marks: Mapping[int, int], *, cluster_id: str
    ) -> None:
        await remove(self, positions, {}, cluster_id=cluster_id)

    return patch.object(Relaying, "sent", sent)


async def _kept(
    relay_: Relay, relaying: Relaying, rows: Sequence[Pending], receipts: Sequence[Receipt]
) -> None:
    """Do what `Relay._send` does once it has the receipts."""
    if any(receipt.begin < relay_._ends.get(receipt.partition, 0) for receipt in receipts):
        await relay_._republish(relaying)
    ends = {receipt.partition: receipt.end for receipt in receipts}
    await relaying.sent([row.position for row in rows], ends, cluster_id=relay_._cluster_id)
    relay_._ends |= ends
