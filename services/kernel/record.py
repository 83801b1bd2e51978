"""One Kafka record as the kernel sees it."""

from typing import NamedTuple


class Record(NamedTuple):
    """What the broker handed over, undecoded."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    """Kafka's headers may be null."""
