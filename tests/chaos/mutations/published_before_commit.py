"""Events go to the bus when they are written, not when their transaction has committed: a dual write.

The outbox stays empty and the relay has nothing to do. As long as nothing fails nobody sees a difference;
where a transaction is rolled back after its events went out, the bus tells of what never happened.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from aiokafka.errors import KafkaError
from sqlalchemy import text

from schemas.topics import published_by
from services.kernel.base.settings import Settings
from services.kernel.kafka.producer import Publisher
from services.kernel.postgres.connection import Connection
from services.kernel.processing.outgoing import Encoder
from services.kernel.store import journal
from services.kernel.store.journal import JournalEntry
from services.kernel.store.relaying import Pending

STORE = text("SELECT current_database()")
QUEUE = "INSERT INTO outbox (position) SELECT position FROM fresh"
PATIENCE_SECONDS = 5.0


class Direct:
    """Publishes one service's events from wherever its process writes them."""

    def __init__(self, service: str) -> None:
        self._topic = published_by(service).name
        self._encoder = Encoder(f"/leadline/{service}")
        self._publisher: Publisher | None = None
        self._lock = asyncio.Lock()

    async def publish(self, entries: Sequence[JournalEntry], *, now: datetime) -> None:
        """Return when the broker has acknowledged. TimeoutError, which is tried again, when it does not."""
        messages = [self._encoder.encode(_pending(entry, now)) for entry in entries]
        async with self._lock:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    publisher = self._publisher or await Publisher(Settings(), self._topic).__aenter__()
                    self._publisher = publisher
                    await publisher.publish(messages)
            except (KafkaError, OSError) as error:
                await self._disconnect()
                raise TimeoutError(type(error).__name__) from None

    async def _disconnect(self) -> None:
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            with suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await publisher.__aexit__(None, None, None)


def _pending(entry: JournalEntry, now: datetime) -> Pending:
    return Pending(
        0,
        str(entry.event_id),
        entry.type,
        str(entry.subject),
        entry.sequence,
        str(entry.key),
        now,
        str(entry.correlation_id),
        str(entry.causation_id),
        entry.data,
    )


def apply() -> None:
    """Publish at once what is appended to the journal, and queue nothing for the relay."""
    append = journal.append
    direct: dict[str, Direct] = {}
    unqueued = journal.APPEND.text.replace(QUEUE, "SELECT position FROM fresh")
    assert unqueued != journal.APPEND.text, "the statement is another one now"
    journal.APPEND = text(unqueued)

    async def publish_and_append(
        connection: Connection, entries: Sequence[JournalEntry], *, now: datetime
    ) -> None:
        if entries:
            store = str((await connection.execute(STORE)).scalar_one())
            service = store.removeprefix("leadline_")
            if service not in direct:
                direct[service] = Direct(service)
            await direct[service].publish(entries, now=now)
        await append(connection, entries, now=now)

    journal.append = publish_and_append
