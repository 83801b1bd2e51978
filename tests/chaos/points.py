"""Named points at which a service process dies, put inside it by inside.py: each once per trigger.

A trigger is a file of the run, `<program>.<point>`. The process that comes to the point renames it, which
only one can, to `<program>.<point>.<its pid>`, and kills itself with the signal that nobody can handle. So
whoever armed the point sees from outside that the process ended there, and which one it was.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from weakref import WeakSet

from aiokafka import AIOKafkaConsumer

from services.kernel.kafka.producer import Publisher
from services.kernel.postgres.connection import Connection, Engine
from services.kernel.store import inbox, journal
from services.kernel.store.journal import JournalEntry
from services.kernel.store.relaying import Relaying

VARIABLE = "LEADLINE_CHAOS_POINTS"
"""The directory of the triggers."""

INSIDE = "points:install"
"""What inside.py is to call."""

OF_A_TRANSACTION = ("before_commit", "after_commit")
"""Of one that publishes: a batch's, a person's command, the scanner's."""

OF_A_WORKER = (
    "before_claim",
    "after_claim",
    *OF_A_TRANSACTION,
    "before_offset_commit",
    "between_publish_and_acknowledge",
    "before_removal",
)
"""The last is the relay's: the broker has acknowledged, and the outbox does not know it yet."""

ON_ITS_WAY_SECONDS = 0.003
"""After so long what was handed to the Kafka client is on its way to the broker."""


@dataclass(frozen=True)
class Points:
    """The points of one program, seen from inside and from outside."""

    folder: Path
    program: str

    def arm(self, point: str) -> None:
        """Let the next process of the program that comes to the point die there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._trigger(point).touch()

    def disarm(self, point: str) -> None:
        """Take a trigger back, with all signs of who died there. Harmless when there is none."""
        for file in self.folder.glob(f"{self.program}.{point}*"):
            file.unlink(missing_ok=True)

    def is_armed(self, point: str) -> bool:
        """Return whether the next one to come would die."""
        return self._trigger(point).exists()

    def died(self, point: str) -> int | None:
        """Return the pid of the process that came to the point since it was armed, or None."""
        found = list(self.folder.glob(f"{self.program}.{point}.*"))
        return int(found[0].suffix.removeprefix(".")) if found else None

    def reached(self, point: str) -> None:
        """Die, if this point is armed."""
        trigger = self._trigger(point)
        with suppress(FileNotFoundError):
            trigger.rename(trigger.with_name(f"{trigger.name}.{os.getpid()}"))
            os.kill(os.getpid(), signal.SIGKILL)

    def _trigger(self, point: str) -> Path:
        return self.folder / f"{self.program}.{point}"


def program_of(arguments: Sequence[str]) -> str:
    """Return the program's name as the supervisor knows it, from the arguments of the `leadline` command."""
    return f"worker-{arguments[1]}" if arguments[0] == "worker" else arguments[0]


def install() -> None:
    """Let this process come to the points from now on."""
    points = Points(Path(os.environ[VARIABLE]), program_of(sys.argv[1:]))
    _in_the_inbox(points)
    _in_transactions(points)
    _in_the_intake(points)
    _in_the_relay(points)


def _in_the_inbox(points: Points) -> None:
    claim = inbox.claim

    async def claiming(connection: Connection, ids: Sequence[UUID], *, now: datetime) -> set[UUID]:
        points.reached("before_claim")
        claimed = await claim(connection, ids, now=now)
        points.reached("after_claim")
        return claimed

    inbox.claim = claiming


def _in_transactions(points: Points) -> None:
    publishing: WeakSet[Connection] = WeakSet()
    append, begin = journal.append, Engine.begin

    async def appending(connection: Connection, entries: Sequence[JournalEntry], *, now: datetime) -> None:
        if entries:
            publishing.add(connection)
        await append(connection, entries, now=now)

    @asynccontextmanager
    async def beginning(engine: Engine) -> AsyncIterator[Connection]:
        async with begin(engine) as connection:
            yield connection
            if connection in publishing:
                points.reached("before_commit")
        if connection in publishing:
            points.reached("after_commit")

    journal.append = appending
    Engine.begin = beginning  # type: ignore[method-assign,assignment]  # what is put inside replaces


def _in_the_intake(points: Points) -> None:
    commit = AIOKafkaConsumer.commit

    async def committing(consumer: AIOKafkaConsumer, *offsets: Any) -> None:
        points.reached("before_offset_commit")
        await commit(consumer, *offsets)

    AIOKafkaConsumer.commit = committing


def _in_the_relay(points: Points) -> None:
    send, sent = Publisher._send, Relaying.sent

    async def sending(publisher: Publisher, batch: Any, partition: int) -> "asyncio.Future[Any]":
        acknowledged = await send(publisher, batch, partition)
        if points.is_armed("between_publish_and_acknowledge"):
            await asyncio.sleep(ON_ITS_WAY_SECONDS)
            points.reached("between_publish_and_acknowledge")
        return acknowledged

    async def removing(relaying: Relaying, *arguments: Any, **more: Any) -> None:
        points.reached("before_removal")
        await sent(relaying, *arguments, **more)

    Publisher._send = sending  # type: ignore[method-assign,assignment]  # as above
    Relaying.sent = removing  # type: ignore[method-assign,assignment]  # as above
