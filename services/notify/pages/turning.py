"""Turning the pages of a list: from where on it is shown, or up to where, as links between pages say it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

from services.kernel.store.cursors import LONGEST, Cursors, Key
from services.kernel.web.api import mistake, read_cursor

After = Annotated[str | None, Query(max_length=LONGEST, description="Where the page before ended.")]
Before = Annotated[str | None, Query(max_length=LONGEST, description="Where the page behind begins.")]


@dataclass(frozen=True, slots=True)
class Turned:
    """Which page of a list was asked for: the one after a cursor, the one before one, or the first."""

    after_text: str | None = None
    before_text: str | None = None

    def after(self, cursors: Cursors) -> Key | None:
        """Return the key after which the page begins. Raises RequestValidationError for another's cursor."""
        return None if self.after_text is None else read_cursor("after", self.after_text, cursors)

    def before(self, cursors: Cursors) -> Key | None:
        """Return the key before which the page ends. Raises RequestValidationError for another's cursor."""
        return None if self.before_text is None else read_cursor("before", self.before_text, cursors)


FIRST = Turned()


def _turned(after: After = None, before: Before = None) -> Turned:
    if after is not None and before is not None:
        raise mistake("before", "Send after or before, not both.")
    return Turned(after, before)


Turning = Annotated[Turned, Depends(_turned)]
