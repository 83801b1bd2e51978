"""The loop in which a worker's parts repeat their work."""

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
"""How often a loop reads a held clock; each read costs eight bytes."""


def _type(error: BaseException) -> str:
    return type(error).__name__


class Waiting:
    """The state of a loop that waits for an unavailable store, broker or other system; logged once.

    `words` say who waits. `passes` tells which errors are temporary; any other error is raised. `named` gives
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
        """Wait because of a temporary error, reporting it the first time; raise any other error."""
        if not self._passes(error):
            raise error
        if not self._waits:
            log.warning(self._words, error=self._named(error))
        self._waits = True

    def end(self) -> None:
        """Record that the work succeeded: the next error is reported again."""
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
    """Repeat a part's work, with a pause in between, until the part is told to stop.

    Temporary errors are waited out. Any other error crashes the worker, and so does a cancellation before the
    part is told to stop. Long-running work calls `waiting.end` once it runs without errors. `waiting` is None
    where the work needs nothing outside this process. Work that depends on time passes its `clock`: it runs
    at once when a held clock is moved.
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
    """Return when the clock has changed, the time is up or the part is told to stop."""
    give_up = time.monotonic() + within_seconds
    while time.monotonic() < give_up and not part.should_stop and clock.now() == since:  # noqa: ASYNC110
        await asyncio.sleep(min(LOOK_SECONDS, within_seconds))  # a file sends no notice of its changes


def worst(errors: Iterable[BaseException | None]) -> BaseException | None:
    """Return the most serious error of several concurrent tasks: a lasting one, if any."""
    found = [error for error in errors if error is not None]
    return next((error for error in found if not is_transient(error)), found[0] if found else None)
