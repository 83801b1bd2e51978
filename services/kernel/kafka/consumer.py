"""The batch consumer: takes whole polls, hands them over, and only then commits their offsets."""

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
"""How long an empty poll waits for a first record; a record that is there is handed over at once."""

PROBE_SECONDS = 5.0
"""How often the broker is asked where our partitions end; also the time it has for an answer."""

MAX_PAUSE_SECONDS = 5.0
"""Longest pause between two attempts to reach the broker."""

LARGEST_FETCH_BYTES = 4 * 1024 * 1024
"""Fetched from one partition at a time; a single value of 2 MB passes."""

METADATA_SECONDS = 10.0
"""A topic that was created again, or grew a partition, is noticed after this time."""


class IntakeFailed(PartFailed):
    """A batch could be neither committed nor parked."""


P = TypeVar("P")


class BatchConsumer(Service, Generic[P]):
    """Reads `topics` as a member of the consumer group `group`, inside whatever worker starts it.

    `prepare` gets up to `max_batch` records, those of one partition in order, as soon as there is one, while
    the batch before is still being delivered; it decodes and changes nothing. `deliver` gets what it made,
    one batch after the other, and returns only when all of it is committed or parked; the offsets are
    committed after that, while the next batch is delivered. When either raises, nothing of its batch is
    acknowledged and the worker crashes.

    A record of which something cannot be read is handed over with a value of the type Unreadable.

    Every record is handed over at least once: a crash, a stop or a rebalance in between hands it over again,
    possibly while another worker is still at it, so `deliver` must recognise what it has seen.

    A broker that is away is waited for and reported once. `grace_seconds` bounds how long a stop or a
    rebalance waits for the running batch; after a stop's grace the batch is cancelled. `fetch_wait_ms` is how
    long the broker may hold an empty fetch: the fallback broker answers no sooner. Offsets are committed at
    most every `commit_pause_seconds`: a crash in between delivers more again. `connection` holds
    further arguments for aiokafka, such as TLS and SASL; `consumer` makes its client.
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
        """Whether the broker answered last time; None before the first attempt ended."""
        self.last_progress = time.monotonic()
        """`time.monotonic()` of the last proof of health: a batch delivered, or nothing there to read."""
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
            # The members of a group wait this long for one that is finishing its batch.
            "rebalance_timeout_ms": int((session_timeout_seconds + grace_seconds) * 1000),
            # Joining may take that long; a missing topic or a dead broker is reported after this time.
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
        """Changes whenever our partitions do: what was read before is not delivered after."""
        self._parted = 0
        """Changes when our partitions have moved, or their broker has lost them: the offsets of a batch that
        began before may be another broker's, and are not committed any more."""
        self._begun_at = 0
        """What `_parted` was when the running batch began."""
        self._delivered: dict[TopicPartition, int] = {}
        self._to_commit: dict[TopicPartition, int] = {}
        self._commit_due = asyncio.Event()
        self._commit_lock = asyncio.Lock()
        self._ends: dict[TopicPartition, int] = {}

    @property
    def lag(self) -> Mapping[str, int]:
        """Return, by topic, how many records of our partitions are not yet delivered, as far as is known."""
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
            log.warning("stopping in the middle of a batch; it will be delivered again", group=self._group)

    async def on_shutdown(self) -> None:
        """Leave the group, so that others take over at once."""
        await self._close()

    async def rewind(self) -> None:
        """Read our partitions from their first event again: the broker has lost what it had.

        Positions from before would skip what is published again; the inbox drops what we have seen.
        """
        self._parted += 1
        if self._consumer is not None and (ours := self._consumer.assignment()):
            # What was read before is not handed over any more; what is read from here on is, even when a
            # rebalance ends the seek: nobody would read it again. aiokafka moves before it first waits.
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
            await self._before()  # a batch that failed ends the worker even when nothing more comes
        if polled and not self.should_stop:
            await self._hand_over(polled)

    async def _hand_over(self, polled: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        # No await between the poll and this line: partitions that move from here on are noticed below.
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
        """Wait for the batch before; raise what it has raised."""
        if self._running is not None:
            await self._running
            self._running = None

    async def _end(self) -> None:
        """Cut the running batch short; it has had its grace."""
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
        """Let an exception end the worker, named by its type alone."""
        try:
            yield
        except PartFailed:
            raise  # told in the log where it arose
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the worker
            # What a library says can quote the value it failed on: the log gets the type and the place.
            log.error(
                "batch neither committed nor parked: stopping",
                group=self._group,
                error=type(error).__qualname__,
                at="".join(traceback.format_tb(error.__traceback__)),
            )
            raise IntakeFailed(type(error).__qualname__) from None

    async def _commit(self) -> None:
        """Commit the offsets of everything delivered. A rebalance in between makes them void: harmless."""
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
                log.info("offsets not committed: partitions have moved meanwhile", group=self._group)

    async def _probe(self, consumer: AIOKafkaConsumer) -> None:
        """Ask where our partitions end: tells an empty topic from a broker or a consumer gone silent."""
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
        """Report that the broker is away, once; raise what waiting cannot mend, such as missing rights."""
        if not (isinstance(error, TimeoutError | KafkaTimeoutError) or error.retriable):
            raise error
        if self.broker_reachable is not False:
            log.warning("broker or topic away, waiting", group=self._group, error=type(error).__name__)
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
        """Nothing to prepare: aiokafka goes on at the committed offsets."""


def _record(read: ConsumerRecord) -> Record:
    return Record(read.topic, read.partition, read.offset, read.key, read.value, read.headers)
