"""Administration of the bus: creating topics, reading offsets and lag."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from schemas.topics import TOPICS, Topic
from services.kernel.base.settings import Settings
from services.kernel.kafka.clients import Clients


@dataclass(frozen=True, slots=True)
class TopicState:
    """A declared topic as the broker has it; `partitions` is 0 when the topic does not exist."""

    topic: Topic
    partitions: int
    events: int
    """Events that the broker currently holds."""


class Bus(Clients):
    """A connection for queries. Reads offsets; consumes nothing and joins no group."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, metadata_max_age_ms=5000)

    async def cluster_id(self) -> str:
        """Return the cluster's id."""
        return str((await self._admin.describe_cluster())["cluster_id"] or "")

    async def apply(self, topics: Sequence[Topic] = TOPICS) -> list[str]:
        """Create missing topics; return their names. Existing topics are not changed."""
        there = set(await self._admin.list_topics())
        missing = [topic for topic in topics if topic.name not in there]
        if missing:
            new = [
                NewTopic(
                    name=topic.name,
                    num_partitions=topic.partitions,
                    replication_factor=self._settings.kafka_replication,
                    topic_configs=topic.config,
                )
                for topic in missing
            ]
            answer = await self._admin.create_topics(new)
            for _, code, *_ in answer.topic_errors:
                if code and for_code(code) is not TopicAlreadyExistsError:
                    raise for_code(code)
        return [topic.name for topic in missing]

    async def states(self, topics: Sequence[Topic] = TOPICS) -> list[TopicState]:
        """Return the declared topics as the broker has them."""
        there = set(await self._admin.list_topics())
        states = []
        for topic in topics:
            partitions = await self._partitions(topic.name) if topic.name in there else []
            ends = await self._consumer.end_offsets(partitions) if partitions else {}
            begins = await self._consumer.beginning_offsets(partitions) if partitions else {}
            states.append(TopicState(topic, len(partitions), sum(ends.values()) - sum(begins.values())))
        return states

    async def lag(self, group: str, topics: Sequence[Topic]) -> dict[str, int]:
        """Return, by topic, how many events a group has not yet committed.

        Partitions without a committed offset count from the earliest event.
        """
        partitions = [place for topic in topics for place in await self._partitions(topic.name)]
        if not partitions:
            return {topic.name: 0 for topic in topics}
        # Named partitions: the fallback broker garbles its answer when asked about all of them.
        committed = await self._admin.list_consumer_group_offsets(group, partitions=partitions)
        ends = await self._consumer.end_offsets(partitions)
        # An empty partition has no lag, wherever it begins. Most are empty in a small system.
        fresh = [
            place
            for place in partitions
            if ends[place] and (place not in committed or committed[place].offset < 0)
        ]
        begins = await self._consumer.beginning_offsets(fresh) if fresh else {}
        lag = dict.fromkeys((topic.name for topic in topics), 0)
        for place, end in ends.items():
            if end:
                start = begins[place] if place in begins else committed[place].offset
                lag[place.topic] += max(0, end - start)
        return lag

    async def _partitions(self, topic: str) -> list[TopicPartition]:
        numbers = self._consumer.partitions_for_topic(topic)
        if not numbers:
            await self._consumer._client.force_metadata_update()  # the topic may be new
            numbers = self._consumer.partitions_for_topic(topic) or set()
        return [TopicPartition(topic, number) for number in sorted(numbers)]
