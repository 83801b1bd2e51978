"""Whether a worker is at work: put inside its process (inside.py), read from outside.

Each process counts its batches' transactions in a file named by its pid, through memory that it shares with
the file: the counts of a process that stands still, or has been killed, are those of its last moment.
"""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any, Final

from services.kernel.messages.arrivals import Arrival
from services.kernel.postgres.connection import Connection, Engine
from services.kernel.processing.batches import BatchProcessor, Tally

VARIABLE = "LEADLINE_CHAOS_WORK"
"""The directory of the files."""

INSIDE = "at_work:install"
"""What inside.py is to call."""

BEGUN, ENDED = 0, 1
COUNTERS = 2
FORMAT: Final = "I"
BYTES = 4 * COUNTERS

delivering: ContextVar[bool] = ContextVar("delivering", default=False)


@dataclass(frozen=True, slots=True)
class Work:
    """What a process has done since it began."""

    begun: int
    """Batches whose transaction the database has begun."""
    ended: int
    """Those whose transaction has ended, committed or not."""

    @property
    def in_a_transaction(self) -> bool:
        """Return whether a batch's transaction was open at that moment."""
        return self.begun > self.ended


def work_of(folder: Path, pid: int) -> Work:
    """Return what a process has counted; nothing before it has begun to count."""
    try:
        counts = memoryview((folder / str(pid)).read_bytes()).cast(FORMAT)
    except (FileNotFoundError, TypeError):  # no file yet, or a part of one
        return Work(0, 0)
    return Work(counts[BEGUN], counts[ENDED]) if len(counts) == COUNTERS else Work(0, 0)


def install() -> None:
    """Count from now on, in this process."""
    folder = Path(os.environ[VARIABLE])
    folder.mkdir(parents=True, exist_ok=True)
    _count(folder / str(os.getpid()))


def _count(file: Path) -> None:
    file.write_bytes(bytes(BYTES))
    with file.open("r+b") as opened:
        counts = memoryview(mmap(opened.fileno(), BYTES)).cast(FORMAT)
    begin, retrying = Engine.begin, BatchProcessor._retrying

    @asynccontextmanager
    async def counted(engine: Engine) -> AsyncIterator[Connection]:
        begun = False
        try:
            async with begin(engine) as connection:
                if delivering.get():
                    counts[BEGUN] += 1
                    begun = True
                yield connection
        finally:
            counts[ENDED] += begun

    async def marked(delivery: BatchProcessor[Any], arrivals: Sequence[Arrival]) -> Tally:
        token = delivering.set(True)
        try:
            return await retrying(delivery, arrivals)
        finally:
            delivering.reset(token)

    # The scanner and the mailer have transactions too, on the same engine; a deploy must not lose batches.
    Engine.begin = counted  # type: ignore[method-assign,assignment]  # what is put inside replaces
    BatchProcessor._retrying = marked  # type: ignore[method-assign,assignment]  # as above
