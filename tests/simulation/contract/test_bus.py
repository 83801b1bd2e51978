"""What the kernel relies on in a broker and its clients: the same on the fake and on Kafka."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.errors import CommitFailedError, IllegalStateError

from tests.simulation.broker import PARTITIONS
from tests.simulation.contract.conftest import Bus


async def read(consumer: Any, count: int, *, most: int = 500) -> list[tuple[int, int, bytes]]:
    """Return partition, offset and value of the next records."""
    found: list[tuple[int, int, bytes]] = []
    async with asyncio.timeout(30):
        while len(found) < count:
            polled = await consumer.getmany(timeout_ms=200, max_records=most)
            assert sum(map(len, polled.values())) <= most
            for records in polled.values():
                found += [(record.partition, record.offset, record.value) for record in records]
    return found


async def until(true: Callable[[], bool], *consumers: Any) -> None:
    """Wait for something while the consumers go on polling, as an intake does."""
    async with asyncio.timeout(30):
        while not true():
            for consumer in consumers:
                await consumer.getmany(timeout_ms=50, max_records=1)
            await asyncio.sleep(0.02)


def partitions_of(consumer: Any) -> set[int]:
    return {place.partition for place in consumer.assignment()}


async def test_a_partition_is_read_in_its_order_with_offsets_from_zero(bus: Bus) -> None:
    """Never more at a time than was asked for."""
    values = [b"%d" % number for number in range(7)]
    await bus.publish(2, *values)
    consumer = await bus.consumer()
    expected = [(2, number, value) for number, value in enumerate(values)]
    assert await read(consumer, 7, most=3) == expected


async def test_a_group_goes_on_where_it_has_committed(bus: Bus) -> None:
    """What was read but not committed is read again."""
    await bus.publish(1, b"a", b"b", b"c")
    first = await bus.consumer()
    await read(first, 3)
    await first.commit({bus.place(1): 1})
    await first.stop()
    second = await bus.consumer()
    assert await read(second, 2) == [(1, 1, b"b"), (1, 2, b"c")]
    other_group = await bus.consumer("two")
    assert await read(other_group, 3) == [(1, 0, b"a"), (1, 1, b"b"), (1, 2, b"c")]


async def test_members_share_the_partitions_and_hear_of_it_before(bus: Bus) -> None:
    """Each partition has one reader; when one leaves the other has them all."""
    first = await bus.consumer()
    assert partitions_of(first) == set(range(PARTITIONS))
    joining = asyncio.create_task(bus.consumer())
    await until(joining.done, first)
    second = await joining
    await until(lambda: len(partitions_of(first)) == PARTITIONS // 2, first, second)
    assert partitions_of(first) | partitions_of(second) == set(range(PARTITIONS))
    assert set(range(PARTITIONS)) in bus.heard[id(first)].revoked
    await second.stop()
    await until(lambda: partitions_of(first) == set(range(PARTITIONS)), first)
    assert bus.heard[id(first)].assigned[-1] == set(range(PARTITIONS))


async def test_what_others_read_now_cannot_be_committed(bus: Bus) -> None:
    """A member whose partition has moved is refused; what it had committed before stays."""
    await bus.publish(0, b"a", b"b")
    await bus.publish(1, b"a", b"b")
    first = await bus.consumer()
    await read(first, 4)
    joining = asyncio.create_task(bus.consumer())
    await until(joining.done, first)
    second = await joining
    await until(lambda: len(partitions_of(first)) == PARTITIONS // 2, first, second)
    moved = min(partitions_of(second))
    with pytest.raises((CommitFailedError, IllegalStateError)):
        await first.commit({bus.place(moved): 2})


async def test_a_consumer_can_go_back_to_the_first_record(bus: Bus) -> None:
    """And reads all of it again."""
    await bus.publish(3, b"a", b"b")
    consumer = await bus.consumer()
    assert len(await read(consumer, 2)) == 2
    assert await consumer.position(bus.place(3)) == 2
    await consumer.seek_to_beginning(*consumer.assignment())
    assert await read(consumer, 2) == [(3, 0, b"a"), (3, 1, b"b")]


async def test_a_consumer_goes_back_at_once_and_not_when_it_says_so(bus: Bus) -> None:
    """Whoever reads in between reads the first record, and nothing that was fetched before."""
    await bus.publish(3, b"a", b"b", b"c")
    consumer = await bus.consumer()
    assert await read(consumer, 1, most=1) == [(3, 0, b"a")]
    seeking = asyncio.create_task(consumer.seek_to_beginning(*consumer.assignment()))
    await asyncio.sleep(0)
    assert await read(consumer, 1, most=1) == [(3, 0, b"a")]
    assert await seeking


async def test_ends_and_positions_are_known(bus: Bus) -> None:
    """One past the last record; what is not ours has no position."""
    await bus.publish(0, b"a", b"b")
    consumer = await bus.consumer()
    await read(consumer, 2)
    ends = await consumer.end_offsets([bus.place(0), bus.place(1)])
    assert ends == {bus.place(0): 2, bus.place(1): 0}
    assert consumer.highwater(bus.place(0)) == 2
    with pytest.raises(IllegalStateError):
        await consumer.position(bus.place(9))


async def test_an_empty_poll_ends_when_its_time_is_over_and_a_record_ends_it_at_once(bus: Bus) -> None:
    """Nobody waits for more than there is."""
    consumer = await bus.consumer()
    assert await consumer.getmany(timeout_ms=50, max_records=9) == {}
    polling = asyncio.create_task(consumer.getmany(timeout_ms=20_000, max_records=9))
    await asyncio.sleep(0.1)
    await bus.publish(0, b"a")
    async with asyncio.timeout(10):
        polled = await polling
    assert [record.value for records in polled.values() for record in records] == [b"a"]


async def test_what_is_published_is_where_the_receipts_say_in_order_per_key(bus: Bus) -> None:
    """The offsets of a partition are one run, and a key's records are in one partition."""
    messages = [(b"key %d" % (number % 5), b"%d" % number, [("h", b"v")]) for number in range(20)]
    receipts = await bus.publisher.publish(messages)
    assert sum(receipt.end - receipt.begin for receipt in receipts) == 20
    consumer = await bus.consumer()
    found: dict[bytes, list[tuple[int, bytes]]] = {}
    async with asyncio.timeout(30):
        while sum(map(len, found.values())) < 20:
            for records in (await consumer.getmany(timeout_ms=200, max_records=500)).values():
                for record in records:
                    found.setdefault(record.key, []).append((record.partition, record.value))
    for number in range(5):
        places = found[b"key %d" % number]
        assert len({partition for partition, _ in places}) == 1
        assert [value for _, value in places] == [b"%d" % value for value in range(number, 20, 5)]
    begins: dict[int, int] = {}
    for receipt in receipts:
        begins.setdefault(receipt.partition, receipt.begin)
    assert set(begins.values()) == {0}


async def test_the_broker_says_which_cluster_it_is_and_what_it_holds(bus: Bus) -> None:
    """The same cluster each time, and the ends as they are now."""
    cluster, before = await bus.broker.holds()
    await bus.publish(2, b"a", b"b")
    again, after = await bus.broker.holds()
    assert cluster == again != ""
    assert before == dict.fromkeys(range(PARTITIONS), 0)
    assert after == before | {2: 2}
