"""The intake on a real broker: whole polls, and an offset is committed only for what was committed before."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.embedded.engines import Engines
from deploy.embedded.ports import free_port
from services.kernel.base.ending import PartFailed
from services.kernel.kafka.consumer import BatchConsumer
from services.kernel.messages.record import Record

pytestmark = pytest.mark.connected

PARTITIONS = 4
Deliver = Callable[[Sequence[Record]], Awaitable[None]]
Place = tuple[int, int]
"""Partition and offset."""


@asynccontextmanager
async def admin_of(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect an administration client."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


class Bus:
    """One topic of its own on the real broker, and a consumer group to read it."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.topic = f"test-intake-{uuid4()}"
        self.group = f"{self.topic}-group"

    async def create_topic(self) -> None:
        """Create the topic; values of 4 MB pass."""
        async with admin_of(self.bootstrap) as admin:
            topic = NewTopic(self.topic, PARTITIONS, 1, topic_configs={"max.message.bytes": "4194304"})
            await admin.create_topics([topic])

    async def publish(self, *values: bytes) -> set[Place]:
        """Publish values to the partitions in turn; return where they are."""
        async with AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, max_request_size=4 * 1024 * 1024
        ) as producer:
            sent = [
                await producer.send(self.topic, value, partition=number % PARTITIONS)
                for number, value in enumerate(values)
            ]
            return {(place.partition, place.offset) for place in await asyncio.gather(*sent)}

    async def committed(self) -> dict[int, int]:
        """Return the group's committed offset of each partition that has one."""
        async with admin_of(self.bootstrap) as admin:
            offsets = await admin.list_consumer_group_offsets(
                self.group, partitions=[TopicPartition(self.topic, number) for number in range(PARTITIONS)]
            )
        return {place.partition: found.offset for place, found in offsets.items() if found.offset >= 0}

    def intake(
        self,
        deliver: Deliver,
        *,
        prepare: Callable[[Sequence[Record]], list[Record]] = list,
        max_batch: int = 500,
        grace_seconds: float = 5.0,
        consumer: Callable[..., AIOKafkaConsumer] = AIOKafkaConsumer,
    ) -> BatchConsumer[Any]:
        """Return an intake of this topic that starts when asked to."""
        return BatchConsumer(
            topics=[self.topic],
            group=self.group,
            bootstrap=self.bootstrap,
            prepare=prepare,
            deliver=deliver,
            max_batch=max_batch,
            grace_seconds=grace_seconds,
            consumer=consumer,
        )


@pytest.fixture
async def bus(engines: Engines) -> Bus:
    """An empty topic."""
    bus = Bus(engines.kafka)
    await bus.create_topic()
    return bus


@asynccontextmanager
async def running(intake: BatchConsumer[Any]) -> AsyncIterator[None]:
    """Run an intake without a worker around it."""
    await intake.start()
    try:
        yield
    finally:
        await intake.stop()


async def until(true: Callable[[], bool | Awaitable[bool]], *, within: float = 30) -> None:
    """Poll until `true()`, or fail."""
    deadline = time.monotonic() + within
    while True:
        answer = true()
        if answer if isinstance(answer, bool) else await answer:
            return
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


class Collected:
    """Keeps each batch it is handed."""

    def __init__(self) -> None:
        self.batches: list[list[Record]] = []

    async def __call__(self, records: Sequence[Record]) -> None:
        self.batches.append(list(records))

    @property
    def records(self) -> list[Record]:
        """Return all records, in the order of arrival."""
        return [record for batch in self.batches for record in batch]

    @property
    def places(self) -> list[Place]:
        """Return where they came from."""
        return [(record.partition, record.offset) for record in self.records]


class Held(Collected):
    """Keeps each batch, and returns from none before it may; counts what was prepared meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.may_return = asyncio.Event()
        self.prepared = 0

    def prepare(self, records: Sequence[Record]) -> list[Record]:
        """Count a batch."""
        self.prepared += 1
        return list(records)

    async def __call__(self, records: Sequence[Record]) -> None:
        await super().__call__(records)
        await self.may_return.wait()


async def test_whole_polls_arrive_and_keep_the_order_of_each_partition(bus: Bus) -> None:
    """2,000 waiting records come in batches of up to 500, each once, in order within its partition."""
    sent = await bus.publish(*(b"%d" % number for number in range(2000)))
    collected = Collected()
    async with running(bus.intake(collected)):
        await until(lambda: len(collected.records) >= 2000)
    assert Counter(collected.places) == Counter(sent)
    assert max(map(len, collected.batches)) == 500
    for number in range(PARTITIONS):
        offsets = [offset for partition, offset in collected.places if partition == number]
        assert offsets == sorted(offsets)


async def test_one_record_is_handed_over_without_waiting_for_more(bus: Bus) -> None:
    """A lone record arrives well within a second: no batch is waited for."""
    collected = Collected()
    intake = bus.intake(collected)
    async with running(intake):
        await until(lambda: intake.broker_reachable is True)
        await bus.publish(b"first")
        await until(lambda: len(collected.records) == 1)
        begun = time.monotonic()
        await bus.publish(b"second")
        await until(lambda: len(collected.records) == 2, within=1)
        assert time.monotonic() - begun < 1


async def test_a_record_keeps_its_key_headers_and_a_missing_value(bus: Bus) -> None:
    """Nothing is decoded, repeated headers keep their order, a tombstone is None."""
    async with AIOKafkaProducer(bootstrap_servers=bus.bootstrap) as producer:
        headers = [("ce_type", b"a.b.v1"), ("x", b"\xff"), ("x", b"")]
        await producer.send_and_wait(bus.topic, None, b"\x00key", partition=2, headers=headers)
    collected = Collected()
    async with running(bus.intake(collected)):
        await until(lambda: len(collected.records) == 1)
    assert collected.records == [Record(bus.topic, 2, 0, b"\x00key", None, tuple(headers))]


async def test_offsets_are_committed_only_after_deliver_has_returned(bus: Bus) -> None:
    """While a batch is being delivered the group has committed nothing of it; afterwards everything."""
    await bus.publish(*(b"%d" % number for number in range(40)))
    begun, may_return = asyncio.Event(), asyncio.Event()
    seen = 0

    async def deliver(records: Sequence[Record]) -> None:
        nonlocal seen
        begun.set()
        await may_return.wait()
        seen += len(records)

    async with running(bus.intake(deliver)):
        await begun.wait()
        assert await bus.committed() == {}
        may_return.set()
        await until(lambda: seen == 40)

        async def all_committed() -> bool:
            return await bus.committed() == dict.fromkeys(range(PARTITIONS), 10)

        await until(all_committed)


async def test_a_value_of_two_megabytes_passes(bus: Bus) -> None:
    """A large value arrives whole, and what follows it as well."""
    large = bytes(2 * 1024 * 1024)
    await bus.publish(large, b"small", b"small", b"small", b"after")
    collected = Collected()
    async with running(bus.intake(collected)):
        await until(lambda: len(collected.records) == 5)
    first = [record.value for record in collected.records if record.partition == 0]
    assert first == [large, b"after"]


async def test_lag_counts_what_is_not_yet_delivered(bus: Bus) -> None:
    """100 records wait while a first batch of 40 is held; once all are delivered none does."""
    await bus.publish(*(b"%d" % number for number in range(100)))
    may_return = asyncio.Event()

    async def deliver(records: Sequence[Record]) -> None:
        await may_return.wait()

    intake = bus.intake(deliver, max_batch=40)
    async with running(intake):
        await until(lambda: intake.lag == {bus.topic: 100})
        held_since = intake.last_progress
        may_return.set()
        await until(lambda: intake.lag == {bus.topic: 0})
        assert intake.last_progress > held_since


async def test_a_rewound_intake_reads_from_the_first_event_again(bus: Bus) -> None:
    """After the broker lost what it had, positions from before must not skip what is published again."""
    sent = await bus.publish(*(b"%d" % number for number in range(100)))
    collected = Collected()
    intake = bus.intake(collected)
    async with running(intake):
        await until(lambda: set(collected.places) == sent)
        await intake.rewind()
        await until(lambda: Counter(collected.places) == Counter([*sent, *sent]))


async def test_the_next_batch_is_decoded_while_one_is_delivered_and_waits_its_turn(bus: Bus) -> None:
    """Reading ahead takes one batch, never two, and delivers nothing out of turn."""
    sent = await bus.publish(*(b"%d" % number for number in range(120)))
    held = Held()
    async with running(bus.intake(held, prepare=held.prepare, max_batch=40)):
        await until(lambda: held.prepared == 2)
        assert len(held.batches) == 1
        held.may_return.set()
        await until(lambda: set(held.places) == sent)
    assert len(held.places) == len(sent)


async def test_what_was_read_ahead_is_not_delivered_after_a_rewind(bus: Bus) -> None:
    """Its offsets belong to the bus that was lost: committing them would skip what is published again."""
    sent = await bus.publish(*(b"%d" % number for number in range(80)))
    held = Held()
    intake = bus.intake(held, prepare=held.prepare, max_batch=40)
    async with running(intake):
        await until(lambda: held.prepared == 2)
        rewinding = asyncio.create_task(intake.rewind())
        held.may_return.set()
        await rewinding
        first = len(held.batches[0])
        await until(lambda: set(held.places[first:]) == sent)
        assert len(held.places) == first + len(sent)


class SlowToSeek(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka is untyped
    """Goes where it is sent, and does not say so before it may."""

    def __init__(self, may_return: asyncio.Event, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.may_return = may_return

    async def seek_to_beginning(self, *partitions: TopicPartition) -> bool:
        """Go back to the first event."""
        sought: bool = await super().seek_to_beginning(*partitions)
        await self.may_return.wait()
        return sought


async def test_what_is_read_while_an_intake_still_goes_back_is_delivered(bus: Bus) -> None:
    """Nobody reads it a second time: were it dropped it would be lost, and later events would overtake it."""
    sent = await bus.publish(*(b"%d" % number for number in range(100)))
    collected, may_return = Collected(), asyncio.Event()
    intake = bus.intake(collected, consumer=partial(SlowToSeek, may_return))
    async with running(intake):
        await until(lambda: set(collected.places) == sent)
        rewinding = asyncio.create_task(intake.rewind())
        await until(lambda: Counter(collected.places) == Counter([*sent, *sent]))
        assert not rewinding.done()
        may_return.set()
        await rewinding


async def test_a_quiet_topic_counts_as_progress(bus: Bus) -> None:
    """Liveness must not restart a worker that has nothing to do."""
    intake = bus.intake(Collected())
    async with running(intake):
        await until(lambda: intake.broker_reachable is True)
        before = intake.last_progress
        await until(lambda: intake.last_progress > before)
        assert intake.lag == {bus.topic: 0}


async def test_a_topic_that_does_not_exist_yet_is_waited_for(engines: Engines) -> None:
    """A worker may start before the topics are there; what is published later arrives."""
    bus = Bus(engines.kafka)
    collected = Collected()
    intake = bus.intake(collected)
    async with running(intake):
        await until(lambda: intake.broker_reachable is not None, within=60)
        await bus.create_topic()
        await bus.publish(b"1")
        await until(lambda: len(collected.records) == 1, within=60)


async def test_a_broker_that_is_away_is_waited_for_and_a_stop_is_quick() -> None:
    """Nothing listens there: the intake neither crashes nor holds up the end of its worker."""
    bus = Bus(f"127.0.0.1:{free_port()}")
    intake = bus.intake(Collected())
    async with running(intake):
        await until(lambda: intake.broker_reachable is False)
        assert not intake.crashed
        begun = time.monotonic()
    assert time.monotonic() - begun < 3


async def test_a_batch_that_outlasts_a_rebalance_holds_nobody_up_and_harms_nothing(bus: Bus) -> None:
    """The newcomer gets its share while the first still stands; the late batch ends without a crash."""
    sent = await bus.publish(*(b"%d" % number for number in range(400)))
    begun, may_return = asyncio.Event(), asyncio.Event()
    late = Collected()

    async def stand(records: Sequence[Record]) -> None:
        begun.set()
        await may_return.wait()
        await late(records)

    first = bus.intake(stand, max_batch=50, grace_seconds=1)
    collected = Collected()
    second = bus.intake(collected, max_batch=50, grace_seconds=1)

    async def all_committed() -> bool:
        return await bus.committed() == dict.fromkeys(range(PARTITIONS), 100)

    async with running(first):
        await until(begun.is_set)  # before the second comes, which might else read everything alone
        async with running(second):
            await until(lambda: len(collected.records) == 200)
            assert late.records == []
            may_return.set()
            await until(lambda: set(collected.places) | set(late.places) == sent)
            assert not first.crashed
            await until(all_committed)


async def test_an_intake_cancelled_from_inside_crashes_instead_of_falling_silent(bus: Bus) -> None:
    """A stray cancellation must end the worker: one that reads no more but lives on would go unnoticed."""

    async def deliver(records: Sequence[Record]) -> None:
        raise asyncio.CancelledError

    await bus.publish(b"1")
    intake = bus.intake(deliver)
    async with running(intake):
        await until(lambda: intake.crashed)
    assert await bus.committed() == {}


async def test_a_batch_that_has_said_itself_why_it_fails_ends_the_intake_with_that(bus: Bus) -> None:
    """The limit on parking has its sentence: no second name takes its place."""
    why = PartFailed("so much fails")

    async def deliver(records: Sequence[Record]) -> None:
        raise why

    await bus.publish(b"1")
    intake = bus.intake(deliver)
    async with running(intake):
        await until(lambda: intake.crash_reason is why)
    assert await bus.committed() == {}


class Workers:
    """Real worker processes that commit batches to files."""

    def __init__(self, bus: Bus, directory: Path, stack: ExitStack) -> None:
        self._bus = bus
        self._directory = directory
        self._stack = stack
        self._files: list[Path] = []

    def start(self, *, seconds: float = 0.0, fail_at: int | None = None) -> subprocess.Popen[str]:
        """Start a worker that takes `seconds` for each batch of up to 50."""
        file = self._directory / f"{len(self._files)}.store"
        self._files.append(file)
        command = [sys.executable, "-m", "tests.connected.intake_worker"]
        command += [self._bus.bootstrap, self._bus.topic, self._bus.group, str(file), str(seconds)]
        if fail_at is not None:
            command.append(f"fail-at={fail_at}")
        worker = subprocess.Popen(
            command,
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._stack.callback(_end, worker)
        return worker

    def store(self, number: int) -> list[Place]:
        """Return what a worker has committed to its store."""
        file = self._files[number]
        lines = file.read_text().splitlines() if file.exists() else []
        return [(int(partition), int(offset)) for partition, offset in map(str.split, lines)]

    def stored(self) -> Counter[Place]:
        """Return how often each record was committed by any worker."""
        return Counter(place for number in range(len(self._files)) for place in self.store(number))


def _end(worker: subprocess.Popen[str]) -> None:
    worker.kill()
    worker.communicate()


async def line_of(worker: subprocess.Popen[str], wanted: str) -> None:
    """Read the worker's output up to a line."""
    assert worker.stdout is not None
    async with asyncio.timeout(30):
        while (line := await asyncio.to_thread(worker.stdout.readline)).strip() != wanted:
            assert line, "the worker ended"


@pytest.fixture
def workers(bus: Bus, tmp_path: Path) -> Iterator[Workers]:
    """Worker processes that are gone after the test."""
    with ExitStack() as stack:
        yield Workers(bus, tmp_path, stack)


async def test_a_deliver_that_raises_ends_the_worker_and_leaves_the_offsets(
    bus: Bus, workers: Workers
) -> None:
    """Exit code 1, earlier batches at most acknowledged, the error's words not logged; then all is read."""
    sent = await bus.publish(*[b"Lovelace"] * 400)
    worker = workers.start(fail_at=200)
    output, _ = await asyncio.to_thread(worker.communicate, timeout=30)
    assert worker.returncode == 1
    assert "ConnectionError" in output
    assert "Lovelace" not in output
    stored = workers.store(0)
    assert 0 < len(stored) <= 200
    for partition, offset in (await bus.committed()).items():
        assert offset <= sum(1 for place in stored if place[0] == partition)
    workers.start()
    await until(lambda: set(workers.stored()) == sent)


@pytest.mark.parametrize("seconds", [0.3, 60.0], ids=["batch ends in time", "batch takes too long"])
async def test_sigterm_in_the_middle_of_a_batch_loses_nothing(
    bus: Bus, workers: Workers, seconds: float
) -> None:
    """A stopped worker leaves exactly the offsets of what it committed; a second one does the rest."""
    sent = await bus.publish(*(b"%d" % number for number in range(400)))
    worker = workers.start(seconds=seconds)
    await line_of(worker, "begun")
    worker.terminate()
    await asyncio.to_thread(worker.communicate, timeout=10)
    assert worker.returncode == 0
    stored = Counter(partition for partition, _ in workers.store(0))
    assert bool(stored) is (seconds < 1)
    assert await bus.committed() == stored
    workers.start()
    await until(lambda: set(workers.stored()) == sent)
    assert max(workers.stored().values()) == 1


async def test_sigterm_while_the_broker_is_away_ends_the_worker(tmp_path: Path) -> None:
    """Exit code 0 within seconds, although the intake is still trying to connect."""
    with ExitStack() as stack:
        worker = Workers(Bus(f"127.0.0.1:{free_port()}"), tmp_path, stack).start()
        assert worker.stdout is not None
        first_line = await asyncio.to_thread(worker.stdout.readline)
        assert "waiting" in first_line
        worker.terminate()
        await asyncio.to_thread(worker.communicate, timeout=10)
        assert worker.returncode == 0


async def test_kill_in_the_middle_of_a_batch_loses_nothing(bus: Bus, workers: Workers) -> None:
    """What a killed worker had not acknowledged is delivered to the next one."""
    sent = await bus.publish(*(b"%d" % number for number in range(400)))
    worker = workers.start(seconds=0.2)
    for _ in range(2):
        await line_of(worker, "begun")
    worker.kill()
    workers.start()
    await until(lambda: set(workers.stored()) == sent)


async def test_two_workers_share_the_partitions_and_a_rebalance_loses_nothing(
    bus: Bus, workers: Workers
) -> None:
    """A second worker joins and the first one leaves, both in the middle of batches."""
    sent = await bus.publish(*(b"%d" % number for number in range(3000)))
    first = workers.start(seconds=0.2)
    await line_of(first, "committed")
    second = workers.start(seconds=0.2)
    await line_of(second, "committed")
    before = len(workers.store(0))
    await until(lambda: len(workers.store(0)) > before)
    first.terminate()
    await asyncio.to_thread(first.communicate, timeout=10)
    await until(lambda: set(workers.stored()) == sent, within=60)
    assert first.returncode == 0
    assert max(workers.stored().values()) == 1
