"""Virtual time and mortal processes: an event loop that never sleeps and can let a process vanish."""

import asyncio
import gc
import warnings
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from itertools import chain
from typing import Any, Protocol, cast

NOT_FOR_THE_DEAD = 100
"""How often a coroutine of a dead process may catch what ends it, before it is left alone."""


class Mortal(Protocol):
    """Something that tasks belong to."""

    alive: bool


OWNER: ContextVar[Any] = ContextVar("OWNER", default=None)
"""The process that a task or a callback belongs to; inherited by all it creates. None: the world itself."""


class Stuck(Exception):  # noqa: N818 - a finding, not a mistake
    """Nothing is scheduled any more, and yet the main task waits."""


class Buried(BaseException):
    """Ends the coroutines of processes that were killed, after the run: nothing they do then counts."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks in the order of their moments; time jumps to the next one instead of passing.

    What belongs to a dead process (`OWNER`) never runs again, not even its `finally`: as after SIGKILL.
    """

    def __init__(self) -> None:
        super().__init__()
        self._selector = self  # asked for events by the base class: it has none, and moves time
        self._clock_resolution = 1e-7
        self._moment = 0.0
        self._created: list[asyncio.Task[Any]] = []
        self.set_task_factory(cast("Any", self._create))
        self.set_exception_handler(lambda _loop, _context: None)

    def time(self) -> float:
        """Return the virtual moment in seconds."""
        return self._moment

    def select(self, timeout: float | None) -> list[Any]:
        """Move time to the next moment. Raises Stuck when there is none."""
        if timeout is None:
            raise Stuck
        self._moment += max(0.0, timeout)
        return []

    def call_soon(  # type: ignore[override]  # the types of a callback's arguments are not followed here
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Schedule a callback, unless it is a dead process's."""
        return _unless_dead(super().call_soon(callback, *args, context=context))

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Schedule a callback for a moment, unless it is a dead process's."""
        handle = super().call_at(when, callback, *args, context=context)
        _unless_dead(handle)
        return handle

    def forget(self, owner: Mortal) -> None:
        """Let nothing of a dead process run again."""
        for handle in chain(self._ready, self._scheduled):  # type: ignore[attr-defined]  # the base class's
            if handle._context.get(OWNER) is owner:
                handle.cancel()

    def bury(self) -> None:
        """End whatever still waits, after the run. Without it the garbage collector would complain."""
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", RuntimeWarning
            )  # coroutines that their process did not live to see
            for task in self._created:
                if not task.done():
                    task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own switch
                    _end(task.get_coro())
            self._created.clear()
            self.close()
            gc.collect()

    def _create(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], context: Any = None
    ) -> "asyncio.Task[Any]":
        task = asyncio.Task(coroutine, loop=loop, context=context)
        self._created.append(task)
        return task

    def _process_events(self, events: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody else is there who could wake us."""


def _unless_dead(handle: asyncio.Handle) -> asyncio.Handle:
    owner = handle._context.get(OWNER)  # type: ignore[attr-defined]  # asyncio's own
    if owner is not None and not owner.alive:
        handle.cancel()
    return handle


def _end(coroutine: Any) -> None:
    for _ in range(NOT_FOR_THE_DEAD):
        try:
            coroutine.throw(Buried())
        except BaseException:  # noqa: BLE001 - it has ended, however it did
            return
