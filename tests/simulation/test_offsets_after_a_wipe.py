"""A batch that outlives the broker it was read from: its offsets mean nothing to the next one."""

import asyncio
from collections.abc import Sequence
from functools import partial
from random import Random

from aiokafka import TopicPartition

from services.kernel.kafka.consumer import BatchConsumer
from services.kernel.messages.record import Record
from tests.simulation.broker import MemoryBroker
from tests.simulation.consumer import MemoryConsumer
from tests.simulation.virtual import VirtualLoop
from tests.simulation.world import Calm, World

TOPIC = "partner-events"
PLACE = TopicPartition(TOPIC, 0)


async def committed_after_a_wipe() -> set[int]:
    """Return every offset that the new broker was told while and after an old batch came to its end."""
    broker = MemoryBroker(World(Calm(), Random(1)))
    broker.create(TOPIC)
    begun, may_return = asyncio.Event(), asyncio.Event()

    async def deliver(records: Sequence[Record]) -> None:
        begun.set()
        await may_return.wait()

    intake = BatchConsumer(
        topics=[TOPIC],
        group="referral",
        bootstrap="memory",
        prepare=list,
        deliver=deliver,
        session_timeout_seconds=2.0,
        grace_seconds=1.0,
        consumer=partial(MemoryConsumer, broker),
    )
    for _ in range(3):
        broker.append(TOPIC, 0, b"key", b"before", ())
    await intake.start()
    await begun.wait()
    broker.wipe()
    broker.append(TOPIC, 0, b"key", b"after", ())
    await asyncio.sleep(5.0)  # virtual: the group is found again, and the grace is over
    may_return.set()
    seen: set[int] = set()
    for _ in range(300):
        await asyncio.sleep(0.01)
        seen |= {broker.group("referral").committed.get(PLACE, 0)}
    await intake.stop()
    return seen


def test_offsets_of_a_broker_that_is_gone_are_not_committed_on_the_next_one() -> None:
    """Whoever went on from there would skip what was published again."""
    loop = VirtualLoop()
    try:
        seen = loop.run_until_complete(committed_after_a_wipe())
    finally:
        loop.bury()
    assert 1 in seen
    assert seen <= {0, 1}
