"""Cursors: where a page of a list ended, as text that a caller keeps and sends back.

A list goes on behind the key of the last row that was shown, not behind a number of rows: what leaves the
list in between moves nothing. Every row that is in the list throughout, and whose key stays as it is, is
shown exactly once. A row that comes, goes or changes its key meanwhile may be shown or not.
"""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Generic, Literal, Self, TypeVar
from uuid import UUID

VERSION = 1
LONGEST = 512
"""No cursor of ours has more characters; what is longer is not looked at."""

LONGEST_TEXT = 100
"""Characters of a text in a key: codes and wire types have fewer."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
INTEGERS = range(-(2**63), 2**63)

Kind = Literal["boolean", "integer", "text", "uuid", "moment"]
Value = bool | int | str | UUID | datetime
Key = tuple[Value, ...]
"""The values by which a list is in order, the last of them unique."""

T = TypeVar("T")
U = TypeVar("U")


class WrongCursor(ValueError):  # noqa: N818 - the name says what it is
    """A text that is no cursor of this list. The sentence says what to do and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Cursors:
    """The cursors of one list, in one order and with one choice of filters; no other list takes them."""

    kinds: tuple[Kind, ...]
    mark: str

    @classmethod
    def of(cls, name: str, kinds: Iterable[Kind], chosen: Mapping[str, Any]) -> Self:
        """Return the cursors of a list, narrowed as `chosen` says. `name` tells the list's order, too."""
        bound = json.dumps([name, dict(chosen)], sort_keys=True, default=str)
        return cls(tuple(kinds), blake2b(bound.encode(), digest_size=6).hexdigest())

    def write(self, key: Key) -> str:
        """Return a key as text that is safe in an address."""
        plain = [VERSION, self.mark, *(_plain(value) for value in key)]
        raw = json.dumps(plain, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def read(self, text: str) -> Key:
        """Return the key of which `text` is the cursor. Raises WrongCursor for every other text."""
        version, mark, *plain = _parts(text)
        if version != VERSION or not isinstance(mark, str):
            raise WrongCursor(NO_CURSOR)
        if mark != self.mark:
            raise WrongCursor(OF_ANOTHER_LIST)
        try:
            key = tuple(_value(kind, value) for kind, value in zip(self.kinds, plain, strict=True))
        except (ValueError, OverflowError):
            raise WrongCursor(NO_CURSOR) from None
        if self.write(key) != text:  # one key has one cursor: nothing is read that we did not write so
            raise WrongCursor(NO_CURSOR)
        return key


NO_CURSOR = "This is no cursor of ours: send one as it came, or none to begin again."
OF_ANOTHER_LIST = (
    "This cursor is of another list, filter or order: repeat those that it came with, or begin again"
    " without a cursor."
)


@dataclass(frozen=True, slots=True)
class ListPart(Generic[T]):
    """Some rows of a list, in its order, with the key of each."""

    items: Sequence[T]
    keys: Sequence[Key]
    begins: bool = True
    """Whether the list begins with it."""
    ends: bool = True
    """Whether nothing followed when it was read."""
    total: int = 0
    """How many rows the whole list had."""
    passed: int = 0
    """How many of them came before; only where that was asked for."""

    @property
    def preceding(self) -> Key | None:
        """Return the key before which the list goes on backwards; None at its beginning."""
        return None if self.begins or not self.keys else self.keys[0]

    @property
    def following(self) -> Key | None:
        """Return the key after which the list goes on; None at its end."""
        return None if self.ends or not self.keys else self.keys[-1]

    def map(self, make: Callable[[T], U]) -> "ListPart[U]":
        """Return the same part with something else in place of each row."""
        items = [make(item) for item in self.items]
        return ListPart(items, self.keys, self.begins, self.ends, self.total, self.passed)


def part_of(rows: Iterable[T], key_of: Callable[[T], Key], *, limit: int, after: Key | None) -> ListPart[T]:
    """Return the part of a list that is held in memory, in ascending order of its keys."""
    everything = sorted(((key_of(row), row) for row in rows), key=lambda each: each[0])
    rest = [each for each in everything if after is None or each[0] > after]
    shown = rest[:limit]
    return ListPart(
        [row for _, row in shown],
        [key for key, _ in shown],
        begins=len(rest) == len(everything),
        ends=len(rest) <= limit,
        total=len(everything),
        passed=len(everything) - len(rest),
    )


def _parts(text: str) -> list[Any]:
    """Return what a text holds, two things at the least, of any kind. Raises WrongCursor."""
    if len(text) > LONGEST:
        raise WrongCursor(NO_CURSOR)
    try:
        parts = json.loads(base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        raise WrongCursor(NO_CURSOR) from None
    if not isinstance(parts, list) or len(parts) < 2:
        raise WrongCursor(NO_CURSOR)
    return parts


def _plain(value: Value) -> bool | int | str:
    match value:
        case datetime():
            return (value - EPOCH) // MICROSECOND
        case UUID():
            return value.hex
        case _:
            return value


def _value(kind: Kind, plain: object) -> Value:
    """Return a value of a kind as JSON holds it. Raises ValueError or OverflowError for everything else."""
    match kind, plain:
        case "boolean", bool():
            return plain
        case (("integer" | "moment"), bool()):
            pass
        case "integer", int() if plain in INTEGERS:
            return plain
        case "moment", int():
            return EPOCH + plain * MICROSECOND
        case "text", str() if len(plain) <= LONGEST_TEXT and plain.isprintable():
            return plain
        case "uuid", str():
            return UUID(hex=plain)
    message = f"not of kind {kind}"
    raise ValueError(message)
