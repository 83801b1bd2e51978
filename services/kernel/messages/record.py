"""One Kafka record as the kernel sees it."""

from typing import NamedTuple, Self


class Record(NamedTuple):
    """A record from the broker, undecoded."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    """Kafka's headers may be null."""


class Unreadable(bytes):
    """The value of an unreadable record; `words` say what is unreadable and quote nothing.

    A value, so that it passes through the Kafka client like any other. Once stored and loaded it is plain
    bytes.
    """

    words: str

    @classmethod
    def of(cls, value: bytes | None, words: str) -> Self:
        """Return the value of a record that is unreadable in its value or elsewhere."""
        unreadable = cls(value or b"")
        unreadable.words = words
        return unreadable
