"""Lists page by page: from where on one is shown, as links say it, and where its neighbours are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Query

from services.kernel.store.cursors import LONGEST, Cursors, Key, ListPart
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


@dataclass(frozen=True, slots=True)
class Pages:
    """Which rows of how many a page shows, with the addresses of its neighbours."""

    total: int
    first: int = 0
    last: int = 0
    """The numbers of the first row and the last one; 0 where there is none."""
    beginning: str | None = None
    previous: str | None = None
    following: str | None = None

    @property
    def span(self) -> str | None:
        """Return which rows are shown, in words; None where it is all of them, or none."""
        if not self.last or not (self.previous or self.following):
            return None
        rows = f"{self.first} to {self.last}" if self.last > self.first else str(self.last)
        return f"{rows} of {self.total}"


def pages_of(
    address: str, part: ListPart[Any], cursors: Cursors, query: Mapping[str, Any], *, fragment: str = ""
) -> Pages:
    """Return where in a list a page is; what the visitor has chosen stays in the addresses.

    `fragment` is where the list begins, with its `#`, on a page that holds more than it.
    """

    def link(**turned: str) -> str:
        return f"{address_with(address, {**query, **turned})}{fragment}"

    shown = len(part.items)
    return Pages(
        # Counted one after the other: what is on the page is there, whatever a count says.
        total=max(part.total, part.passed + shown),
        first=part.passed + 1 if shown else 0,
        last=part.passed + shown if shown else 0,
        beginning=None if part.begins else link(),
        previous=None if part.preceding is None else link(before=cursors.write(part.preceding)),
        following=None if part.following is None else link(after=cursors.write(part.following)),
    )


def address_with(address: str, query: Mapping[str, Any]) -> str:
    """Return an address with a query, without what was not chosen."""
    chosen = {name: value for name, value in query.items() if value is not None}
    return f"{address}?{urlencode(chosen, doseq=True)}" if chosen else address
