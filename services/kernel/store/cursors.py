"""Cursors: where a page of a list ended, as text that a caller keeps and sends back.

A list continues after the key of the last row shown, not after a number of rows, so rows that leave the list
in between shift nothing. Every row that stays in the list and keeps its key is shown exactly once. A row that
comes, goes or changes its key meanwhile may be shown or not.
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
"""The greatest length of a cursor, in characters; longer texts are not read."""

LONGEST_TEXT = 100
"""The greatest length of a text in a key, in characters: codes and wire types are shorter."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
INTEGERS = range(-(2**63), 2**63)

Kind = Literal["boolean", "integer", "text", "uuid", "moment"]
Value = bool | int | str | UUID | datetime
Key = tuple[Value, ...]
"""The values by which a list is ordered; the last one is unique."""

T = TypeVar("T")
U = TypeVar("U")


class WrongCursor(ValueError):  # noqa: N818 - the name says what it is
    """A text that is not a cursor of this list. The message says what to do and quotes none of the text."""


@dataclass(frozen=True, slots=True)
class Cursors:
    """The cursors of one list in one order with one set of filters; other lists refuse them."""

    kinds: tuple[Kind, ...]
    mark: str

    @classmethod
    def of(cls, name: str, kinds: Iterable[Kind], chosen: Mapping[str, Any]) -> Self:
        """Return the cursors of a list, filtered by `chosen`. `name` identifies the list and its order."""
        bound = json.dumps([name, dict(chosen)], sort_keys=True, default=str)
        return cls(tuple(kinds), blake2b(bound.encode(), digest_size=6).hexdigest())

    def write(self, key: Key) -> str:
        """Return a key as URL-safe text."""
        plain = [VERSION, self.mark, *(_plain(value) for value in key)]
        raw = json.dumps(plain, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def read(self, text: str) -> Key:
        """Return the key encoded in the cursor `text`. Raises WrongCursor for any other text."""
        version, mark, *plain = _parts(text)
        if version != VERSION or not isinstance(mark, str):
            raise WrongCursor(NO_CURSOR)
        if mark != self.mark:
            raise WrongCursor(OF_ANOTHER_LIST)
        try:
            key = tuple(_value(kind, value) for kind, value in zip(self.kinds, plain, strict=True))
        except (ValueError, OverflowError):
            raise WrongCursor(NO_CURSOR) from None
        if self.write(key) != text:  # one key has one cursor: only text as we write it is accepted
            raise WrongCursor(NO_CURSOR)
        return key


NO_CURSOR = "This is not a valid cursor: send one exactly as you received it, or none to start again."
OF_ANOTHER_LIST = (
    "This cursor belongs to another list, filter or order: use the ones it came with, or start again"
    " without a cursor."
)


@dataclass(frozen=True, slots=True)
class ListPart(Generic[T]):
    """Some rows of a list, in order, each with its key."""

    items: Sequence[T]
    keys: Sequence[Key]
    begins: bool = True
    """Whether the part begins the list."""
    ends: bool = True
    """Whether the part ended the list when it was read."""
    total: int = 0
    """The number of rows in the whole list."""
    passed: int = 0
    """The number of rows before the part; only if requested."""

    @property
    def preceding(self) -> Key | None:
        """Return the key before which the list continues backwards; None at its beginning."""
        return None if self.begins or not self.keys else self.keys[0]

    @property
    def following(self) -> Key | None:
        """Return the key after which the list continues; None at its end."""
        return None if self.ends or not self.keys else self.keys[-1]

    def map(self, make: Callable[[T], U]) -> "ListPart[U]":
        """Return the same part with each row replaced."""
        items = [make(item) for item in self.items]
        return ListPart(items, self.keys, self.begins, self.ends, self.total, self.passed)


def part_of(rows: Iterable[T], key_of: Callable[[T], Key], *, limit: int, after: Key | None) -> ListPart[T]:
    """Return a part of a list that is held in memory in ascending order of its keys."""
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
    """Return the values in a text, at least two, of any kind. Raises WrongCursor."""
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
    """Return a value of a kind from its JSON form. Raises ValueError or OverflowError for anything else."""
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
