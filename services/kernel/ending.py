"""How a part of a worker may end: when it is told to, or with a crash that everybody sees."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from mode import Service


class CancelledInside(Exception):  # noqa: N818 - a finding, not a mistake
    """A task was cancelled by something inside it, and not because its part was told to stop."""


@contextmanager
def never_silently(part: Service) -> Iterator[None]:
    """Crash where mode would take a task that was cancelled from inside for one that is done."""
    try:
        yield
    except asyncio.CancelledError:
        if part.should_stop:
            raise
        raise CancelledInside from None
