"""How a part of a worker may end: when it is told to, or with a visible crash."""

import asyncio
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from mode import Service

log = structlog.get_logger()


class PartFailed(Exception):  # noqa: N818 - a finding, not a fault
    """A part cannot go on and its worker must stop. Names the error's type and quotes no value."""


class CancelledInside(PartFailed):
    """A task was cancelled from inside, not because its part was told to stop."""


@contextmanager
def crash_on_unexpected_end(part: Service) -> Iterator[None]:
    """Guard a part's task: any end before the part is told to stop crashes the worker.

    Such ends are an error, logged by type and place; a cancellation, which mode would treat as an orderly
    end; and the return of the task itself. A part that was told to stop ends quietly.
    """
    try:
        yield
    except asyncio.CancelledError:
        if part.should_stop:
            raise
        log.error("cancelled from inside: stopping", part=type(part).__name__)
        raise CancelledInside from None
    except PartFailed:
        raise  # already logged where it was raised
    except Exception as error:  # noqa: BLE001 - any error ends the worker
        # Its message could quote the value it failed on, and mode would log it and drop some errors.
        log.error("failed: stopping", part=type(part).__name__, error=kind_of(error), at=place_of(error))
        raise PartFailed(kind_of(error)) from None
    if not part.should_stop:
        log.error("ended without being told to: stopping", part=type(part).__name__)
        message = "ended without being told to"
        raise PartFailed(message)


def kind_of(error: BaseException) -> str:
    """Return the type of an error; for a group, that of its first error."""
    return type(_first(error)).__qualname__


def place_of(error: BaseException) -> str:
    """Return the place where an error was raised, without its message."""
    return "".join(traceback.format_tb(_first(error).__traceback__))


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
