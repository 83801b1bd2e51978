"""The batch consumer: fetches whole polls, delivers them, and only then commits their offsets."""

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, KafkaTimeoutError
from mode import Service

from services.kernel.base.ending import PartFailed, crash_on_unexpected_end
from services.kernel.kafka.unreadable import read_on
from services.kernel.messages.record import Record

log = structlog.get_logger()

POLL_MS = 500
"""How long an empty poll waits for a first record; available records are delivered at once."""

PROBE_SECONDS = 5.0
"""How often the broker is asked for our end offsets; also its time limit for an answer."""

MAX_PAUSE_SECONDS = 5.0
"""The longest pause between two attempts to reach the broker."""

LARGEST_FETCH_BYTES = 4 * 1024 * 1024
"""The most fetched from one partition at a time; a single value of 2 MB fits."""

METADATA_SECONDS = 10.0
"""A re-created topic or an added partition is noticed after this time."""


class IntakeFailed(PartFailed):
    """A batch could be neither committed nor parked."""


P = TypeVar("P")


class BatchConsumer(Service, Generic[P]):
    """Reads `topics` as a member of the consumer group `group`, inside whatever worker starts it.

    `prepare` gets up to `max_batch` records as soon as one is available, in order within each partition,
    while the previous batch is still being delivered; it decodes them and changes nothing. `deliver` gets its
    results, one batch after the other, and returns only when the whole batch is committed or parked; its
    offsets are committed after that, while the next batch is delivered. When either raises, nothing of its
    batch is acknowledged and the worker crashes.

    An unreadable record is delivered with a value of the type Unreadable.

    Every record is delivered at least once: after a crash, a stop or a rebalance it is delivered again,
    possibly while another worker is still processing it, so `deliver` must recognise duplicates.

    The consumer waits for an unavailable broker and reports it once. `grace_seconds` limits how long a stop
    or a rebalance waits for the running batch; after that, a stop cancels the batch. `fetch_wait_ms` is how
    long the broker may hold an empty fetch: the fallback broker always holds it that long. Offsets are
    committed at most every `commit_pause_seconds`, so a longer pause means more redelivery after a crash.
    `connection` holds further arguments for aiokafka, such as TLS and SASL; `consumer` makes its client.
    """

    def __init__(
        self,
        *,
        topics: Sequence[str],
        group: str,
        bootstrap: str,
        prepare: Callable[[Sequence[Record]], P],
        deliver: Callable[[P], Awaitable[None]],
        max_batch: int = 500,
        session_timeout_seconds: float = 6.0,
        grace_seconds: float = 5.0,
        fetch_wait_ms: int = 500,
        commit_pause_seconds: float = 1.0,
        connection: Mapping[str, object] | None = None,
        consumer: Callable[..., AIOKafkaConsumer] = AIOKafkaConsumer,
    ) -> None:
        super().__init__()
        read_on()
        self.broker_reachable: bool | None = None
        """Whether the broker answered last time; None until the first attempt has ended."""
        self.last_progress = time.monotonic()
        """`time.monotonic()` of the last proof of health: a batch delivered, or nothing to read."""
        self._topics = list(topics)
        self._group = group
        self._prepare = prepare
        self._deliver = deliver
        self._max_batch = max_batch
        self._grace_seconds = grace_seconds
        self._commit_pause_seconds = commit_pause_seconds
        self._arguments: dict[str, object] = {
            "bootstrap_servers": bootstrap,
            **(connection or {}),
            "group_id": group,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "session_timeout_ms": int(session_timeout_seconds * 1000),
            "heartbeat_interval_ms": int(session_timeout_seconds * 1000 / 3),
            # The members of a group wait this long for one of them to finish its batch.
            "rebalance_timeout_ms": int((session_timeout_seconds + grace_seconds) * 1000),
            # Joining may take this long; a missing topic or a dead broker is reported after this time.
            "request_timeout_ms": int((session_timeout_seconds + grace_seconds) * 1000) + 2000,
            "max_partition_fetch_bytes": LARGEST_FETCH_BYTES,
            "fetch_max_wait_ms": fetch_wait_ms,
            "metadata_max_age_ms": int(METADATA_SECONDS * 1000),
        }
        self._make_consumer = consumer
        self._consumer: AIOKafkaConsumer | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._running: asyncio.Task[None] | None = None
        self._round = 0
        """Changes whenever our partitions do: records read before a change are not delivered after it."""
        self._parted = 0
        """Changes when our partitions move or the broker has lost them. The offsets of a batch that began
        earlier may then belong to another broker, and are no longer committed."""
        self._begun_at = 0
        """The value of `_parted` when the running batch began."""
        self._delivered: dict[TopicPartition, int] = {}
        self._to_commit: dict[TopicPartition, int] = {}
        self._commit_due = asyncio.Event()
        self._commit_lock = asyncio.Lock()
        self._ends: dict[TopicPartition, int] = {}

    @property
    def lag(self) -> Mapping[str, int]:
        """Return, by topic, how many records of our partitions are known to be undelivered."""
        lag = dict.fromkeys(self._topics, 0)
        if self._consumer is not None:
            for partition in self._consumer.assignment():
                end = max(self._consumer.highwater(partition) or 0, self._ends.get(partition, 0))
                lag[partition.topic] += max(0, end - self._delivered.get(partition, end))
        return lag

    async def on_stop(self) -> None:
        """Let the running batch finish within the grace, and commit what was delivered."""
        try:
            async with asyncio.timeout(self._grace_seconds):
                await self._idle.wait()
                await self._commit()
        except TimeoutError:
            log.warning("stopping in the middle of a batch; it will be redelivered", group=self._group)

    async def on_shutdown(self) -> None:
        """Leave the group, so that other members take over at once."""
        await self._close()

    async def rewind(self) -> None:
        """Read our partitions again from their first event: the broker has lost its data.

        The old positions would skip republished events; the inbox drops those we have seen.
        """
        self._parted += 1
        if self._consumer is not None and (ours := self._consumer.assignment()):
            # Records read earlier are no longer delivered. Records read from here on are, even if a rebalance
            # ends the seek, because they would not be read again. aiokafka seeks before its first await.
            self._round += 1
            self._to_commit = {}
            self._delivered = {}
            await self._consumer.seek_to_beginning(*ours)

    @Service.task
    async def _take(self) -> None:
        with crash_on_unexpected_end(self):
            await self._connect()
            try:
                while not self.should_stop:
                    await self._take_once()
            finally:
                await self._end()

    @Service.task
    async def _acknowledge(self) -> None:
        with crash_on_unexpected_end(self):
            while not self.should_stop:
                await self._commit_due.wait()
                await self._commit()
                await self.sleep(self._commit_pause_seconds)

    @Service.task
    async def _watch(self) -> None:
        with crash_on_unexpected_end(self):
            while not self.should_stop:
                await self.sleep(PROBE_SECONDS)
                if self._consumer is not None and not self.should_stop:
                    await self._probe(self._consumer)

    async def _connect(self) -> None:
        """Join the group; wait for the broker and for the topics as long as it takes."""
        pause = 0.1
        while not self.should_stop:
            self._consumer = self._make_consumer(**self._arguments)
            self._consumer.subscribe(self._topics, listener=_Listener(self))
            try:
                await self._consumer.start()
            except KafkaError as error:
                await self._close()
                self._missed(error)
            else:
                self._reached()
                return
            await self.sleep(pause)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    async def _take_once(self) -> None:
        assert self._consumer is not None  # noqa: S101 - connected before
        try:
            polled = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=self._max_batch)
        except KafkaError as error:
            self._missed(error)
            await self.sleep(1.0)
            return
        if self._running is not None and self._running.done():
            await self._before()  # a failed batch ends the worker even when no further record comes
        if polled and not self.should_stop:
            await self._hand_over(polled)

    async def _hand_over(self, polled: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        # No await between the poll and this line: moves of partitions from here on are noticed below.
        this_round = self._round
        self._reached()
        self._delivered = {place: batch[0].offset for place, batch in polled.items()} | self._delivered
        with self._named():
            ready = self._prepare([_record(read) for batch in polled.values() for read in batch])
        await self._before()
        if this_round == self._round and not self.should_stop:
            self._idle.clear()
            self._begun_at = self._parted
            self._running = asyncio.create_task(self._finish(ready, polled))

    async def _before(self) -> None:
        """Wait for the previous batch; raise its exception, if any."""
        if self._running is not None:
            await self._running
            self._running = None

    async def _end(self) -> None:
        """Cancel the running batch; its grace is over."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _finish(self, ready: P, polled: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        try:
            with self._named():
                await self._deliver(ready)
            if self._begun_at == self._parted:
                offsets = {partition: batch[-1].offset + 1 for partition, batch in polled.items()}
                self._delivered |= offsets
                self._to_commit |= offsets
                self._commit_due.set()
            self.last_progress = time.monotonic()
        finally:
            self._idle.set()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Let an exception end the worker; log only its type."""
        try:
            yield
        except PartFailed:
            raise  # already logged where it was raised
        except Exception as error:  # noqa: BLE001 - any error ends the worker
            # A library's message can quote the value it failed on, so the log gets only the type and place.
            log.error(
                "batch neither committed nor parked: stopping",
                group=self._group,
                error=type(error).__qualname__,
                at="".join(traceback.format_tb(error.__traceback__)),
            )
            raise IntakeFailed(type(error).__qualname__) from None

    async def _commit(self) -> None:
        """Commit the offsets of everything delivered. A rebalance in between harmlessly voids them."""
        async with self._commit_lock:
            self._commit_due.clear()
            if self._consumer is None or not self._to_commit:
                return
            ours = self._consumer.assignment()
            offsets = {
                partition: offset for partition, offset in self._to_commit.items() if partition in ours
            }
            self._to_commit = {}
            try:
                if offsets:
                    await self._consumer.commit(offsets)
            except (CommitFailedError, IllegalStateError):
                log.info("offsets not committed: partitions have moved", group=self._group)

    async def _probe(self, consumer: AIOKafkaConsumer) -> None:
        """Ask for our end offsets: tells an empty topic from a silent broker or consumer."""
        partitions = consumer.assignment()
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                ends = await consumer.end_offsets(partitions) if partitions else {}
                positions = {partition: await consumer.position(partition) for partition in partitions}
        except IllegalStateError:
            return  # the partitions moved meanwhile
        except (KafkaError, TimeoutError) as error:
            self._missed(error)
            return
        self._reached()
        self._ends = ends
        self._delivered = positions | self._delivered
        if all(self._delivered[partition] >= end for partition, end in ends.items()):
            self.last_progress = time.monotonic()

    def _reached(self) -> None:
        if self.broker_reachable is not True:
            log.info("reading", group=self._group, topics=self._topics)
        self.broker_reachable = True

    def _missed(self, error: KafkaError | TimeoutError) -> None:
        """Report once that the broker is unavailable; raise permanent errors, such as missing rights."""
        if not (isinstance(error, TimeoutError | KafkaTimeoutError) or error.retriable):
            raise error
        if self.broker_reachable is not False:
            log.warning("broker or topic unavailable, waiting", group=self._group, error=type(error).__name__)
        self.broker_reachable = False

    async def hand_back(self, revoked: Iterable[TopicPartition]) -> None:
        """Finish and commit the running batch before others get its partitions, within the grace."""
        self._round += 1
        try:
            async with asyncio.timeout(self._grace_seconds):
                await self._idle.wait()
                await self._commit()
        except TimeoutError:
            log.warning("partitions move in the middle of a batch", group=self._group)
        self._parted += 1
        for partition in revoked:
            for offsets in (self._delivered, self._to_commit, self._ends):
                offsets.pop(partition, None)

    async def _close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(self._grace_seconds):
                    await consumer.stop()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Tells the batch consumer which partitions it is about to lose."""

    def __init__(self, consumer: BatchConsumer[Any]) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._consumer.hand_back(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Nothing to prepare: aiokafka continues from the committed offsets."""


def _record(read: ConsumerRecord) -> Record:
    return Record(read.topic, read.partition, read.offset, read.key, read.value, read.headers)
