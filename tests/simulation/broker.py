"""A broker in memory, as far as the kernel relies on one: partitions, offsets, groups that fence.

`tests/simulation/contract/` runs the same tests on it and on Kafka. What it leaves out: a client that was
connected when the broker was emptied first finds its group again, and only then fetches.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from services.kernel.kafka.producer import partition_of
from services.kernel.messages.record import Record
from tests.simulation.world import World

PARTITIONS = 4

Headers = Iterable[tuple[str, bytes | None]]


class Member:
    """What a group knows of one consumer."""

    def __init__(self, topics: Sequence[str], session_seconds: float) -> None:
        self.topics = topics
        self.session_seconds = session_seconds
        self.seen = 0.0
        """When it was last heard of."""
        self.woken = asyncio.Event()
        """Set when there may be something new to read."""


@dataclass(eq=False)
class Group:
    """One consumer group: who is in it, who reads what, how far they are."""

    generation: int = 0
    members: list[Member] = field(default_factory=list)
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    shares: dict[Member, list[TopicPartition]] = field(default_factory=dict)
    joining: dict[Member, "asyncio.Future[int]"] = field(default_factory=dict)
    """Those that wait for the next generation."""
    gathering_since: float | None = None


@dataclass(eq=False)
class MemoryBroker:
    """Topics and groups of one cluster."""

    world: World
    cluster: int = 1
    down: bool = False
    ends: int = 0
    """How often it has ended: every connection ended with it."""
    topics: dict[str, list[list[Record]]] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)

    @property
    def cluster_id(self) -> str:
        """Return which cluster this is."""
        return f"cluster-{self.cluster}"

    def create(self, *topics: str) -> None:
        """Create topics that are missing."""
        for topic in topics:
            self.topics.setdefault(topic, [[] for _ in range(PARTITIONS)])

    def group(self, name: str) -> Group:
        """Return a group, made where missing."""
        return self.groups.setdefault(name, Group())

    def append(self, topic: str, partition: int, key: bytes, value: bytes | None, headers: Headers) -> int:
        """Write a record; return its offset."""
        log = self.topics[topic][partition]
        log.append(Record(topic, partition, len(log), key, value, tuple(headers)))
        self._wake(topic)
        return len(log) - 1

    def publish(self, topic: str, key: bytes, value: bytes | None, headers: Headers) -> int:
        """Write a record where Kafka's clients would; return its offset."""
        return self.append(topic, partition_of(key, PARTITIONS), key, value, headers)

    def end(self, place: TopicPartition) -> int:
        """Return one past the last offset."""
        return len(self.topics[place.topic][place.partition])

    def stop(self) -> None:
        """End; nobody is answered, and every connection breaks."""
        self.down = True
        self.ends += 1

    def wipe(self) -> None:
        """Lose everything and come back as another cluster, with the topics created again."""
        self.ends += 1
        self.cluster += 1
        self.topics = {topic: [[] for _ in range(PARTITIONS)] for topic in self.topics}
        for group in self.groups.values():
            group.members.clear()
            group.committed.clear()
            group.shares.clear()
            self._fail(group)

    def heartbeat(self, group: Group, member: Member, generation: int) -> bool:
        """Note that a member lives; return whether it may go on as it is."""
        self._expire(group)
        member.seen = self._now
        return member in group.members and generation == group.generation and group.gathering_since is None

    async def join(self, group: Group, member: Member, *, patience: float) -> int:
        """Wait until every member has joined, or the patience with the others is over; return the generation.

        What the member may read is then in `group.shares`.
        """
        member.seen = self._now
        if member not in group.members:
            group.members.append(member)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        group.joining[member] = future
        if group.gathering_since is None:
            group.gathering_since = self._now
            self.world.later(patience, self._complete, group, group.generation)
        for other in group.members:
            self.world.later(other.session_seconds + 0.01, self._look, group)
        self._look(group)
        return await future

    def leave(self, group: Group, member: Member) -> None:
        """Let the others have what a member had."""
        if member in group.members:
            group.members.remove(member)
            self._gather(group)

    def commit(
        self, group: Group, member: Member, generation: int, offsets: Mapping[TopicPartition, int]
    ) -> bool:
        """Keep how far a member is; False when the partitions have moved meanwhile."""
        if member not in group.members or generation != group.generation:
            return False
        group.committed.update(offsets)
        return True

    def expel(self, group: Group, member: Member) -> None:
        """Take a member for dead. It hears of it at its next heartbeat."""
        self.leave(group, member)

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _wake(self, topic: str) -> None:
        for group in self.groups.values():
            for member in group.members:
                if topic in member.topics:
                    member.woken.set()

    def _gather(self, group: Group) -> None:
        """Begin a new round: everyone must join again."""
        if group.gathering_since is None and group.members:
            group.gathering_since = self._now
            longest = max(member.session_seconds for member in group.members)
            self.world.later(longest + 5.0, self._complete, group, group.generation)
        self._look(group)

    def _look(self, group: Group) -> None:
        """Complete the round when everyone has joined."""
        self._expire(group)
        if group.gathering_since is not None and all(member in group.joining for member in group.members):
            self._complete(group, group.generation)

    def _expire(self, group: Group) -> None:
        for member in list(group.members):
            silent = self._now - member.seen > member.session_seconds
            if silent and member not in group.joining and member in group.members:
                group.members.remove(member)
                self._gather(group)

    def _complete(self, group: Group, generation: int) -> None:
        if group.generation != generation or group.gathering_since is None:
            return
        group.members = [member for member in group.members if member in group.joining]
        group.generation += 1
        group.gathering_since = None
        group.shares = {member: [] for member in group.members}
        if group.members:
            topics = sorted({topic for member in group.members for topic in member.topics})
            places = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
            for number, place in enumerate(places):
                group.shares[group.members[number % len(group.members)]].append(place)
        for member, future in group.joining.items():
            member.seen = self._now
            if not future.done():
                future.set_result(group.generation)
        group.joining.clear()

    def _fail(self, group: Group) -> None:
        """Send those who wait to join away: they must try again."""
        group.generation += 1
        group.gathering_since = None
        for future in group.joining.values():
            if not future.done():
                future.set_result(-1)
        group.joining.clear()
