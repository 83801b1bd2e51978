"""Differences that may only be in transit: an audit looks again until they have gone or the grace is over.

In a running system something is always between two places. Whatever was there at the first look and still
is after the grace has been there for longer than the grace: no clock of any service is asked.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from services.kernel.postgres.database import STORE_ERRORS

LOOK_SECONDS = 1.0
"""Pause between two looks."""

UNANSWERED = (OSError, *STORE_ERRORS)
"""The errors of a look at a store that does not answer, or not in time."""

K = TypeVar("K")


class Passing(Protocol):
    """Something that should pass by itself."""

    failed: str
    """Why it could not be looked at; empty while it could."""

    @property
    def here(self) -> int:
        """Return the number of things that have not cleared yet."""
        ...

    async def again(self) -> None:
        """Look again and remove what has cleared. Raises UNANSWERED."""
        ...


@dataclass
class Watched(Generic[K]):
    """Things that a store should soon have dealt with. `look` returns those there now, the oldest first."""

    look: Callable[[], Awaitable[Iterable[K]]]
    things: Sequence[K] = ()
    failed: str = ""

    @property
    def here(self) -> int:
        """Return the number of things that have not cleared yet."""
        return len(self.things)

    async def first(self) -> None:
        """Look for the first time. Raises UNANSWERED."""
        self.things = list(await self.look())

    async def again(self) -> None:
        """Look again and remove what has cleared. Raises UNANSWERED."""
        now = set(await self.look())
        self.things = [thing for thing in self.things if thing in now]


async def outlast(passing: Sequence[Passing], *, grace_seconds: float) -> None:
    """Look again at what is on its way until all of it has passed or the grace is over."""
    give_up = time.monotonic() + grace_seconds
    while any(one.here and not one.failed for one in passing):
        left = give_up - time.monotonic()
        if left <= 0:
            return
        await asyncio.sleep(min(LOOK_SECONDS, left))
        for one in passing:
            if one.here and not one.failed:
                try:
                    await one.again()
                except UNANSWERED as error:
                    one.failed = type(error).__name__
