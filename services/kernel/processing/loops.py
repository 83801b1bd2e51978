"""The one way in which a worker's parts do something again and again."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

import structlog
from mode import Service

from services.kernel.base.clock import Clock, HeldClock
from services.kernel.base.ending import crash_on_unexpected_end
from services.kernel.postgres.database import is_transient

log = structlog.get_logger()

LOOK_SECONDS = 0.02
"""How often a loop looks at a held clock: it costs the reading of eight bytes."""


def _type(error: BaseException) -> str:
    return type(error).__name__


class Waiting:
    """What a loop waits for when a store, the broker or somebody else is away, told in the log once.

    `words` say who waits. `passes` knows which errors pass by themselves; any other is raised. `named` gives
    the code under which an error is logged.
    """

    def __init__(
        self,
        words: str,
        *,
        passes: Callable[[BaseException], bool] = is_transient,
        named: Callable[[BaseException], str] = _type,
    ) -> None:
        self._words = words
        self._passes = passes
        self._named = named
        self._waits = False

    def begin(self, error: BaseException) -> None:
        """Take an error for a reason to wait, or raise it; reported unless that is known already."""
        if not self._passes(error):
            raise error
        if not self._waits:
            log.warning(self._words, error=self._named(error))
        self._waits = True

    def end(self) -> None:
        """Note that all is well: the next trouble is reported again."""
        if self._waits:
            log.info("goes on", after=self._words)
        self._waits = False


async def keep_doing(
    part: Service,
    work: Callable[[], Awaitable[object]],
    *,
    pause_seconds: float,
    waiting: Waiting | None,
    clock: Clock | None = None,
) -> None:
    """Do a part's work again and again, with a pause in between, until the part is told to stop.

    What passes by itself is waited for. Any other error crashes the worker, and so does a cancellation that
    is not the end of the part. Work that goes on for long calls `waiting.end` once it is well. `waiting` is
    None where nothing outside this process is needed. Work that time brings names its `clock`: it is done at
    once when somebody moves a held clock.
    """
    held = clock if isinstance(clock, HeldClock) else None
    with crash_on_unexpected_end(part):
        while not part.should_stop:
            before = None if held is None else held.now()
            try:
                await work()
            except Exception as error:
                if waiting is None:
                    raise
                waiting.begin(error)
            else:
                if waiting is not None:
                    waiting.end()
            if held is None:
                await part.sleep(pause_seconds)
            else:
                await _until_moved(part, held, since=before, within_seconds=pause_seconds)


async def _until_moved(
    part: Service, clock: HeldClock, *, since: datetime | None, within_seconds: float
) -> None:
    """Return when the clock shows another moment, when the time is up or when the part is to stop."""
    give_up = time.monotonic() + within_seconds
    while time.monotonic() < give_up and not part.should_stop and clock.now() == since:  # noqa: ASYNC110
        await asyncio.sleep(min(LOOK_SECONDS, within_seconds))  # a file tells nobody that it has changed


def worst(errors: Iterable[BaseException | None]) -> BaseException | None:
    """Return what matters most of the errors that tasks side by side have ended with: what does not pass."""
    found = [error for error in errors if error is not None]
    return next((error for error in found if not is_transient(error)), found[0] if found else None)
