"""The checks between stores: what one service has published and another handles has arrived there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from services.kernel.audit import queries as audit_queries
from services.kernel.audit.findings import ARRIVED, ReportLine
from services.kernel.audit.passing import UNANSWERED
from services.kernel.audit.queries import Extent, SentEvent, looking
from services.kernel.audit.within import Audited
from services.kernel.messages.envelope import message_id
from services.kernel.processing.service import Service


def handled(producer: Service[Any], consumer: Service[Any]) -> frozenset[str]:
    """Return the wire types of a producer's topic that a consumer has a handler for.

    A service leaves out of its handlers what it skips by its header, such as what alerts nobody under the
    council's policy: nothing of that can be missed.
    """
    if consumer.name not in producer.publishes.readers:
        return frozenset()
    return producer.publishes.types & {event.wire_type for event in consumer.handlers}


@dataclass
class Crossing:
    """The events of one service on their way to another. `missing` holds those that have not arrived."""

    producer: Audited
    consumer: Audited
    extent: Extent
    types: frozenset[str]
    missing: Mapping[UUID, SentEvent] = field(default_factory=dict)
    failed: str = ""
    _reached: int = 0

    def __post_init__(self) -> None:
        """Stand at the beginning of the part that is looked at."""
        self._reached = self.extent.after

    @property
    def here(self) -> int:
        """Return how many events have not arrived yet."""
        return len(self.missing)

    @property
    def more(self) -> bool:
        """Return whether there is reason to look on: all has arrived so far, and this was not the end."""
        return self._reached < self.extent.until and not self.missing and not self.failed

    async def look(self) -> None:
        """Go on through the journal to its end, or until so many are missing that it is better to wait."""
        self.failed = self.failed or self.producer.away or self.consumer.away
        for after, until in self.extent._replace(after=self._reached).chunks():
            if self.failed or len(self.missing) >= audit_queries.MOST:
                return
            asked = self.producer
            try:
                async with looking(asked.engine) as connection:
                    events = await audit_queries.sent(connection, self.types, after, until)
                asked = self.consumer
                self.missing = {**self.missing, **await self._absent(self._messages(events))}
            except UNANSWERED as error:
                self.failed = f"{asked.name}: {asked.gave_up(error)}"
            else:
                self._reached = until

    async def again(self) -> None:
        """Forget the events that have arrived meanwhile. Raises UNANSWERED."""
        self.missing = await self._absent(self.missing)

    def line(self, *, grace_seconds: float) -> ReportLine:
        """Return the answer, in the consumer's name."""
        if self.failed:
            return ARRIVED.unseen(self.consumer.name, self.failed, producer=self.producer.name)
        return ARRIVED.line(
            self.consumer.name,
            (event.position for event in self.missing.values()),
            producer=self.producer.name,
            grace=grace_seconds,
        )

    def _messages(self, events: list[SentEvent]) -> dict[UUID, SentEvent]:
        source = f"/leadline/{self.producer.name}"
        return {message_id(source, str(event.event_id)): event for event in events}

    async def _absent(self, messages: Mapping[UUID, SentEvent]) -> dict[UUID, SentEvent]:
        """Return those of the messages that the consumer has neither had in effect nor set aside."""
        if not messages:
            return {}
        async with looking(self.consumer.engine) as connection:
            absent = await audit_queries.absent(connection, messages)
        return {message: event for message, event in messages.items() if message in absent}
