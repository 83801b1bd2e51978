"""The relay: moves events from the outbox to the bus, in order, and notices when the bus has lost them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import structlog
from aiokafka.errors import (
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
)
from mode import Service

from schemas.topics import published_by
from services.kernel.base import metrics
from services.kernel.base.clock import clock_of
from services.kernel.base.settings import Settings
from services.kernel.kafka.clients import Broker, is_away
from services.kernel.kafka.producer import Publisher
from services.kernel.messages.faults import Reason
from services.kernel.postgres.database import is_transient
from services.kernel.processing.loops import Waiting, keep_doing
from services.kernel.processing.outgoing import Encoder, refusal_of
from services.kernel.store.relaying import Mark, Pending, Relaying

log = structlog.get_logger()

BATCH = 1000
CHECK_SECONDS = 5.0
"""How often an idle relay compares the broker's offsets with those it acknowledged."""

RETRY_SECONDS = 1.0


class BusLost(Exception):  # noqa: N818 - a finding, not a fault
    """The broker holds less than it acknowledged."""


class Narrowed(Exception):  # noqa: N818 - an intermediate step, not a fault
    """The broker has refused one of several events: the next attempt sends fewer."""


def lost(marks: Mapping[int, Mark], ends: Mapping[int, int], *, cluster_id: str) -> bool:
    """Return whether the broker came back empty, with fewer events or as another cluster."""
    return any(
        mark.cluster_id != cluster_id or ends.get(partition, 0) < mark.end_offset
        for partition, mark in marks.items()
    )


TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
REFUSED = (*TOO_LARGE, InvalidTimestampError, PolicyViolationError)
"""The broker refuses an event on every attempt: it is set aside, and all others go on."""


def _passes(error: BaseException) -> bool:
    return isinstance(error, BusLost) or is_transient(error) or is_away(error)


class Relay(Service):
    """Publishes one service's outbox. Only one of several processes relays; another takes over when it dies.

    An event leaves the outbox only after the broker has acknowledged it, so a crash in between publishes
    it twice and never loses it. Within a key events go out in the order in which they were written.

    `relaying`, `broker` and `publisher` each open a new connection on every call.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        service: str,
        relaying: Callable[[str, str], Relaying] = Relaying,
        broker: Callable[[Settings, str], Broker] = Broker,
        publisher: Callable[[Settings, str], Publisher] = Publisher,
    ) -> None:
        super().__init__()
        self._relaying = relaying
        self._broker = broker
        self._publisher = publisher
        self._settings = settings
        self._service = service
        self._topic = published_by(service).name
        self._clock = clock_of(settings)
        self._encoder = Encoder(f"/leadline/{service}")
        self._woken = asyncio.Event()
        self._limit = BATCH
        """How many events are sent together: fewer while it looks for one that the broker refuses."""
        self._cluster_id = ""
        self._ends: dict[int, int] = {}
        self._orphans = 0
        self._waiting = Waiting("relay waits", passes=_passes)

    async def on_stop(self) -> None:
        """End the wait for work."""
        self._woken.set()

    @Service.task
    async def _relay(self) -> None:
        await keep_doing(self, self._relay_one, pause_seconds=RETRY_SECONDS, waiting=self._waiting)

    async def _relay_one(self) -> None:
        """Relay over one connection to the store, as long as it lasts."""
        async with self._relaying(self._settings.database_of(self._service), self._topic) as relaying:
            await self._lead(relaying)

    async def _lead(self, relaying: Relaying) -> None:
        while not await relaying.try_lock():
            await self.sleep(self._settings.relay_seconds)
            if self.should_stop:
                return
        await relaying.listen(self._woken.set)
        await relaying.count_held_up()  # events held up earlier are skipped from the first read on
        while not self.should_stop:
            with suppress(Narrowed):
                await self._publish(relaying)

    async def _publish(self, relaying: Relaying) -> None:
        """Publish through one producer: after a refusal an idempotent producer is unusable."""
        async with (
            self._broker(self._settings, self._topic) as broker,
            self._publisher(self._settings, self._topic) as publisher,
        ):
            await self._check(relaying, broker)
            self._waiting.end()
            await self._publish_for_ever(relaying, broker, publisher)

    async def _publish_for_ever(self, relaying: Relaying, broker: Broker, publisher: Publisher) -> None:
        loop = asyncio.get_running_loop()
        checked_at = loop.time()
        while not self.should_stop:
            # Cleared before the read: any later commit wakes us. So a read that was not full has seen
            # everything unless we were woken meanwhile, and no second, empty read is needed.
            self._woken.clear()
            limit = self._limit
            pending = await relaying.pending(limit)
            if pending:
                await self._send(relaying, publisher, pending)
            elif await self._find_held_up(relaying):
                continue
            if len(pending) == limit or self._woken.is_set():
                continue
            metrics.OUTBOX_PENDING.labels(self._service).set(0)
            if loop.time() - checked_at > CHECK_SECONDS:
                await self._check(relaying, broker)
                checked_at = loop.time()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._settings.relay_seconds)

    async def _send(self, relaying: Relaying, publisher: Publisher, pending: Sequence[Pending]) -> None:
        """Publish events. Raises Narrowed when the broker refuses one; the batch then shrinks to that one."""
        try:
            await self._send_whole(relaying, publisher, pending)
        except REFUSED as error:
            if len(pending) == 1:
                await self._set_aside(relaying, pending[0], error)
            self._limit = max(1, len(pending) // 2)
            raise Narrowed from None
        self._limit = min(BATCH, self._limit * 2)

    async def _set_aside(self, relaying: Relaying, event: Pending, error: KafkaError) -> None:
        """Keep an event until an operator has fixed the cause; announce this on the bus, once."""
        now = self._clock.now()
        reason: Reason = "too_large" if isinstance(error, TOO_LARGE) else "rejected"
        announcement = refusal_of(event, reason, service=self._service, topic=self._topic, now=now)
        await relaying.refuse(event, reason, announcement, now=now)
        log.error("the broker refuses an event", position=event.position, reason=reason)

    async def _send_whole(self, relaying: Relaying, publisher: Publisher, pending: Sequence[Pending]) -> None:
        # All or none: no later event of a key may overtake one that failed, so the whole batch stays in the
        # outbox and is sent again, in order; inboxes drop the duplicates.
        receipts = await publisher.publish(map(self._encoder.encode, pending))
        if any(receipt.begin < self._ends.get(receipt.partition, 0) for receipt in receipts):
            await self._republish(relaying)  # these offsets were already used: the broker was emptied
        ends = {receipt.partition: receipt.end for receipt in receipts}  # the last one is the highest
        await relaying.sent([row.position for row in pending], ends, cluster_id=self._cluster_id)
        self._ends |= ends
        metrics.PUBLISHED.labels(self._service).inc(len(pending))

    async def _check(self, relaying: Relaying, broker: Broker) -> None:
        marks = await relaying.marks()
        self._cluster_id, ends = await broker.holds()
        if lost(marks, ends, cluster_id=self._cluster_id):
            await self._republish(relaying)
        self._ends = {partition: mark.end_offset for partition, mark in marks.items()}

    async def _find_held_up(self, relaying: Relaying) -> bool:
        """Count outbox positions missing from the journal; return whether there are more than before.

        Called when a read finds nothing, so that no other read pays for the count. Later reads skip them.
        They are logged once, and stay in the metrics and for `leadline audit`.
        """
        before, (self._orphans, refused) = self._orphans, await relaying.count_held_up()
        metrics.OUTBOX_ORPHANS.labels(self._service).set(self._orphans)
        metrics.OUTBOX_REFUSED.labels(self._service).set(refused)
        if self._orphans > before:
            log.error("the journal lacks events that the outbox holds", orphans=self._orphans)
        return self._orphans > before

    async def _republish(self, relaying: Relaying) -> None:
        count = await relaying.requeue_all()
        metrics.REPUBLISHED.labels(self._service).inc(count)
        log.warning("the broker has lost events, publishing the journal again", events=count)
        message = "the broker holds less than it acknowledged"
        raise BusLost(message)
