"""Lists page by page: the position of a page, as links give it, and the links to its neighbours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Query

from services.kernel.store.cursors import LONGEST, Cursors, Key, ListPart
from services.kernel.web.api import mistake, read_cursor

After = Annotated[str | None, Query(max_length=LONGEST, description="Where the previous page ended.")]
Before = Annotated[str | None, Query(max_length=LONGEST, description="Where the next page begins.")]


@dataclass(frozen=True, slots=True)
class Turned:
    """The requested page of a list: the one after a cursor, the one before a cursor, or the first."""

    after_text: str | None = None
    before_text: str | None = None

    def after(self, cursors: Cursors) -> Key | None:
        """Return the key after which the page begins. Raises RequestValidationError for a wrong cursor."""
        return None if self.after_text is None else read_cursor("after", self.after_text, cursors)

    def before(self, cursors: Cursors) -> Key | None:
        """Return the key before which the page ends. Raises RequestValidationError for a wrong cursor."""
        return None if self.before_text is None else read_cursor("before", self.before_text, cursors)


FIRST = Turned()


def _turned(after: After = None, before: Before = None) -> Turned:
    if after is not None and before is not None:
        raise mistake("before", "Send after or before, not both.")
    return Turned(after, before)


Turning = Annotated[Turned, Depends(_turned)]


@dataclass(frozen=True, slots=True)
class Pages:
    """The rows that a page shows, out of how many, with the addresses of its neighbours."""

    total: int
    first: int = 0
    last: int = 0
    """The numbers of the first and last row; 0 if there are none."""
    beginning: str | None = None
    previous: str | None = None
    following: str | None = None

    @property
    def span(self) -> str | None:
        """Return the range of rows shown, in words; None if it is all of them, or none."""
        if not self.last or not (self.previous or self.following):
            return None
        rows = f"{self.first} to {self.last}" if self.last > self.first else str(self.last)
        return f"{rows} of {self.total}"


def pages_of(
    address: str, part: ListPart[Any], cursors: Cursors, query: Mapping[str, Any], *, fragment: str = ""
) -> Pages:
    """Return a page's position in a list; the addresses keep the visitor's choices.

    `fragment` is the start of the list, with its `#`, on a page with other content.
    """

    def link(**turned: str) -> str:
        return f"{address_with(address, {**query, **turned})}{fragment}"

    shown = len(part.items)
    return Pages(
        # The counts are taken one after the other, so the rows on the page override them.
        total=max(part.total, part.passed + shown),
        first=part.passed + 1 if shown else 0,
        last=part.passed + shown if shown else 0,
        beginning=None if part.begins else link(),
        previous=None if part.preceding is None else link(before=cursors.write(part.preceding)),
        following=None if part.following is None else link(after=cursors.write(part.following)),
    )


def address_with(address: str, query: Mapping[str, Any]) -> str:
    """Return an address with a query of the chosen values only."""
    chosen = {name: value for name, value in query.items() if value is not None}
    return f"{address}?{urlencode(chosen, doseq=True)}" if chosen else address
