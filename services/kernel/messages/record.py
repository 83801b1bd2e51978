"""One Kafka record as the kernel sees it."""

from typing import NamedTuple, Self


class Record(NamedTuple):
    """What the broker handed over, undecoded."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    """Kafka's headers may be null."""


class Unreadable(bytes):
    """The value of a record of which something cannot be read; `words` say what, and quote nothing.

    A value, so that it passes through the Kafka client as any other. Stored and loaded it is plain bytes.
    """

    words: str

    @classmethod
    def of(cls, value: bytes | None, words: str) -> Self:
        """Return a value of which, or beside which, something cannot be read."""
        unreadable = cls(value or b"")
        unreadable.words = words
        return unreadable
