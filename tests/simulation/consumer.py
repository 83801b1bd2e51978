"""What the intake uses of `AIOKafkaConsumer`, on a broker in memory."""

import asyncio
from collections.abc import Iterable, KeysView, Mapping, Sequence
from contextlib import suppress

from aiokafka import TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaConnectionError

from services.kernel.messages.record import Record
from tests.simulation.broker import Member, MemoryBroker
from tests.simulation.world import PART, Fault, connected

READ: Sequence[Fault] = ("error", "cancel", "kill")
COMMIT: Sequence[Fault] = ("after", "cancel", "kill")


class MemoryConsumer:
    """A member of a group. A task of its own joins, tells the listener, and keeps the member alive."""

    def __init__(
        self,
        broker: MemoryBroker,
        *,
        group_id: str,
        session_timeout_ms: int,
        heartbeat_interval_ms: int,
        rebalance_timeout_ms: int,
        **_: object,
    ) -> None:
        self._broker = broker
        self._world = broker.world
        self._name = group_id
        self._heartbeat_seconds = heartbeat_interval_ms / 1000
        self._patience = rebalance_timeout_ms / 1000
        self._session_seconds = session_timeout_ms / 1000
        self._member: Member
        self._listener: ConsumerRebalanceListener
        self._positions: dict[TopicPartition, int] = {}
        self._generation = -1
        self._settled = asyncio.Event()
        """Clear while the group is being divided anew: nothing is handed out meanwhile."""
        self._cluster = ""
        self._closing = False
        self._coordinating: asyncio.Task[None] | None = None

    def subscribe(self, topics: Sequence[str], *, listener: ConsumerRebalanceListener) -> None:
        """Choose what to read."""
        self._member = Member(topics, self._session_seconds)
        self._listener = listener

    async def start(self) -> None:
        """Connect and join. Raises KafkaConnectionError when no broker answers."""
        fault = await self._world.step("consumer connect", READ)
        if fault == "error" or self._broker.down:
            raise KafkaConnectionError
        connected(self._world, self)
        joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._coordinating = asyncio.create_task(self._coordinate(joined))
        await joined

    async def stop(self) -> None:
        """Leave the group."""
        self._closing = True
        if self._coordinating is not None:
            self._coordinating.cancel()
            await asyncio.wait([self._coordinating])
        await self._world.step("leave", ("cancel", "kill"))
        if hasattr(self, "_member"):
            self._broker.leave(self._broker.group(self._name), self._member)

    def drop(self) -> None:
        """The process has gone: the group learns it when the session time is over."""

    def assignment(self) -> KeysView[TopicPartition]:
        """Return our partitions, in the same order in every run."""
        return dict(self._positions).keys()

    def highwater(self, place: TopicPartition) -> int | None:
        """Return where a partition ends, as far as is known."""
        return self._broker.end(place) if place in self._positions else None

    async def position(self, place: TopicPartition) -> int:
        """Return the next offset that is handed out. Raises IllegalStateError when it is not ours."""
        if place not in self._positions:
            raise IllegalStateError
        return self._positions[place]

    async def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where partitions end. Raises KafkaConnectionError when the broker does not answer."""
        fault = await self._world.step("end offsets", READ)
        if fault == "error" or self._broker.down:
            raise KafkaConnectionError
        return {place: self._broker.end(place) for place in places}

    async def seek_to_beginning(self, *places: TopicPartition) -> bool:
        """Go on with the first record: from now on, and not when this returns. False: a rebalance ended it.

        Raises IllegalStateError for what is not ours.
        """
        if any(place not in self._positions for place in places):
            raise IllegalStateError
        moved = self._positions
        moved.update(dict.fromkeys(places, 0))
        await self._world.step("seek", ("cancel", "kill"))
        return self._positions is moved

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Record]]:
        """Return records of our partitions as soon as there are some; nothing when the time is over."""
        fault = await self._world.step("poll", READ)
        if fault == "error":
            raise KafkaConnectionError
        give_up = self._world.moment + timeout_ms / 1000
        while True:
            self._member.woken.clear()
            if self._may_read() and (found := self._read(max_records)):
                return found
            left = give_up - self._world.moment
            if left <= 0:
                return {}
            try:
                async with asyncio.timeout(left):
                    await self._member.woken.wait()
            except TimeoutError:
                return {}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Keep how far we are. Waits for a broker that is away; CommitFailedError when others read on."""
        fault = await self._world.step("commit offsets", COMMIT)
        while self._broker.down:
            await asyncio.sleep(0.1)
        if any(place not in self._positions for place in offsets):
            raise IllegalStateError
        group = self._broker.group(self._name)
        kept = self._broker.commit(group, self._member, self._generation, offsets)
        if not kept or fault == "after":
            raise CommitFailedError
        await self._world.step("offsets committed", ("cancel", "kill"))

    def _may_read(self) -> bool:
        return self._settled.is_set() and not self._broker.down and self._cluster == self._broker.cluster_id

    def _read(self, most: int) -> dict[TopicPartition, list[Record]]:
        found: dict[TopicPartition, list[Record]] = {}
        for place, position in list(self._positions.items()):
            log = self._broker.topics[place.topic][place.partition]
            if position > len(log):
                self._positions[place] = 0  # out of range: auto_offset_reset
            batch = log[self._positions[place] :][:most]
            most -= len(batch)
            if batch:
                found[place] = batch
        for place, batch in found.items():
            self._positions[place] = batch[-1].offset + 1
        return found

    async def _coordinate(self, joined: "asyncio.Future[None]") -> None:
        PART.set("group")  # aiokafka's own task: nobody cancels it but its consumer
        group = self._broker.group(self._name)
        while not self._closing:
            self._settled.clear()
            with suppress(Exception):  # aiokafka logs it and goes on
                await self._listener.on_partitions_revoked(set(self._positions))
            generation = -1
            while generation < 0:
                await self._world.step("join", ("kill",))
                while self._broker.down:
                    await asyncio.sleep(0.1)
                generation = await self._broker.join(group, self._member, patience=self._patience)
            self._generation = generation
            self._cluster = self._broker.cluster_id
            share = group.shares.get(self._member, [])
            await self._listener.on_partitions_assigned(set(share))
            self._positions = {place: group.committed.get(place, 0) for place in share}
            self._settled.set()
            self._member.woken.set()
            if not joined.done():
                joined.set_result(None)
            await self._stay()

    async def _stay(self) -> None:
        """Send heartbeats until the group says that it is being divided anew."""
        group = self._broker.group(self._name)
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            await self._world.step("heartbeat", ("kill",))
            if self._broker.down:
                continue
            if not self._broker.heartbeat(group, self._member, self._generation):
                return
