"""One Kafka record as the kernel sees it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """What the broker handed over, undecoded."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
