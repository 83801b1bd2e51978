"""Reads records that aiokafka cannot read, or delivers them as records that say why; reading goes on.

On its own, aiokafka raises in the middle of a poll when a header's name is not UTF-8, when a batch fails its
checksum, or when its compression is broken, and it unpacks batches of any size. The caller then loses the
records already taken from other partitions for the same poll, and every later poll, in this process and the
next, fails at the same record.
"""

import struct
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint_py as varint

from services.kernel.kafka.unpacking import HEADER, UNPACKED_BYTES, TooLarge, is_packed, unpacked
from services.kernel.messages.record import Unreadable

LOOKS = 3
"""How often a batch that fails its checksum is fetched: it may have been damaged only in transit."""

# A record batch of format 2, the only one that Kafka 4 keeps: the places of its length, its format and the
# number of its records. Offset and length come before the bytes that the length counts.
LENGTH_AT, LENGTH = 8, struct.Struct(">i")
OFFSET = struct.Struct(">q")
BEFORE_LENGTH = 12
FORMAT_AT, FORMAT = 16, 2
COUNT_AT = 57

DAMAGED = "the broker's copy is damaged, from offset {first} on: it fails its checksum"
PACKED = "the batch from offset {first} on cannot be decompressed"
LARGE = f"the batch from offset {{first}} on holds more than {UNPACKED_BYTES // 2**20} MiB when unpacked"
BROKEN = "the record cannot be parsed: its lengths contradict each other"

Header = tuple[str, bytes | None]


class RecordOfBatch(NamedTuple):
    """One record, as far as it can be read."""

    offset: int
    timestamp: int
    value: bytes | None
    key: bytes | None = None
    headers: tuple[Header, ...] = ()


def read_on() -> None:
    """Make every consumer created from now on in this process read on past unreadable records."""
    fetcher.MemoryRecords = Fetched
    fetcher.PartitionRecords = ReadOn


class Fetched:
    """One partition's part of a fetch, batch by batch."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._batches = MemoryRecords(raw)
        self._begin = self._end = 0

    @property
    def last(self) -> bytes:
        """Return the raw bytes of the batch returned last."""
        return self._raw[self._begin : self._end]

    @property
    def following(self) -> int | None:
        """Return the first offset of the next batch; None at the end of the fetch."""
        return OFFSET.unpack_from(self._raw, self._end)[0] if self.has_next() else None

    def size_in_bytes(self) -> int:
        """Return the size of the fetch in bytes."""
        return int(self._batches.size_in_bytes())

    def has_next(self) -> bool:
        """Return whether there is another whole batch."""
        return bool(self._batches.has_next())

    def next_batch(self) -> Any:
        """Return the next batch."""
        self._begin = self._end
        self._end += BEFORE_LENGTH + LENGTH.unpack_from(self._raw, self._begin + LENGTH_AT)[0]
        batch, raw = self._batches.next_batch(), self.last
        is_known = len(raw) >= HEADER and raw[FORMAT_AT] == FORMAT
        return Packed(batch, raw) if is_known and is_packed(raw) else batch


class Packed:
    """A compressed batch, unpacked within a limit when its records are read."""

    def __init__(self, batch: Any, raw: bytes) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(DefaultRecordBatch(unpacked(self._raw)))


class ReadOn(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka is untyped
    """The records of one fetch and partition. Faulty ones come as records with an Unreadable value."""

    next_fetch_offset: int
    _damaged: ClassVar[dict[TopicPartition, tuple[int, int]]] = {}
    """The place of a batch that failed its checksum, and how often it did."""

    def _unpack_records(self) -> Iterator[ConsumerRecord]:
        while True:
            try:
                yield from super()._unpack_records()
            except MemoryError:
                raise  # the fault is this machine's, not the record's
            except Exception as error:
                raw = self._records.last
                if len(raw) < HEADER or raw[FORMAT_AT] != FORMAT:
                    raise
                batch = DefaultRecordBatch(raw)
                intact = batch.validate_crc()
                if not intact and self._may_heal(batch.base_offset):
                    return  # the position stays where it is: the next fetch brings the batch again
                behind = int(batch.next_offset) if intact else self._behind(batch, error)
                yield from self._handed_over(_records(batch, raw) if intact else _lost(batch, raw, behind))
                self.next_fetch_offset = max(self.next_fetch_offset, behind)
            else:
                return

    def _handed_over(self, records: Iterator[RecordOfBatch]) -> Iterator[ConsumerRecord]:
        topic, partition = self._tp
        for read in records:
            if read.offset < self.next_fetch_offset:
                continue  # delivered before the batch failed, or by an earlier poll
            self.next_fetch_offset = read.offset + 1
            yield ConsumerRecord(
                topic,
                partition,
                read.offset,
                read.timestamp,
                0,
                read.key,
                read.value,
                None,
                -1 if read.key is None else len(read.key),
                -1 if read.value is None else len(read.value),
                read.headers,
            )

    def _may_heal(self, offset: int) -> bool:
        """Count that a batch has failed its checksum; return whether to fetch it once more."""
        where, looks = self._damaged.get(self._tp, (offset, 0))
        looks = looks + 1 if where == offset else 1
        self._damaged[self._tp] = (offset, looks)
        return looks < LOOKS

    def _behind(self, batch: Any, error: Exception) -> int:
        """Return the first offset after a damaged batch. Raises `error` if nothing gives it.

        Two numbers of its header give it; if they contradict each other, the next batch does.
        """
        (count,) = LENGTH.unpack_from(self._records.last, COUNT_AT)
        if batch.last_offset_delta == count - 1 >= 0:
            return int(batch.next_offset)
        if (following := self._records.following) is not None:
            return int(following)
        raise error


def _lost(batch: Any, raw: bytes, behind: int) -> Iterator[RecordOfBatch]:
    """Yield one record for a damaged batch, at its last offset: earlier ones may have been read."""
    yield RecordOfBatch(behind - 1, 0, Unreadable.of(raw, DAMAGED.format(first=batch.base_offset)))


def _records(batch: Any, raw: bytes) -> Iterator[RecordOfBatch]:
    """Yield every record, readable or not, of a batch whose checksum is right."""
    try:
        body = unpacked(raw) if is_packed(raw) else raw
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - each compression has errors of its own
        words = (LARGE if isinstance(error, TooLarge) else PACKED).format(first=batch.base_offset)
        yield RecordOfBatch(batch.next_offset - 1, batch.max_timestamp, Unreadable.of(raw, words))
        return
    at = HEADER
    (count,) = LENGTH.unpack_from(raw, COUNT_AT)
    for number in range(count):
        try:
            length, begin = varint(body, at)
            one = _taken(body, begin, length)
        except (IndexError, ValueError):
            # The start of the next record is unknown, too.
            rest = Unreadable.of(bytes(body[at:]), BROKEN)
            yield RecordOfBatch(batch.next_offset - 1, batch.max_timestamp, rest)
            return
        yield _record(batch, number, one)
        at = begin + length


def _record(batch: Any, number: int, body: bytes) -> RecordOfBatch:
    """Return the record with a given number, counted from 0. The record itself holds its offset."""
    offset, at = batch.base_offset + number, 1  # after the attributes, which are unused
    try:
        later, at = varint(body, at)
        shift, at = varint(body, at)
        offset = batch.base_offset + shift
        key, at = _bytes(body, at)
        value, at = _bytes(body, at)
        count, at = varint(body, at)
        headers: list[Header] = []
        for _ in range(count):
            name, at = _bytes(body, at)
            content, at = _bytes(body, at)
            # A name that is not UTF-8 is not one of ours: it is decoded as far as possible and blocks
            # nothing.
            headers.append((_must(name).decode(errors="backslashreplace"), content))
        if at != len(body):
            raise ValueError
    except (IndexError, ValueError):
        return RecordOfBatch(offset, batch.max_timestamp, Unreadable.of(body, BROKEN))
    timestamp = batch.max_timestamp if batch.timestamp_type else batch.first_timestamp + later
    return RecordOfBatch(offset, timestamp, value, key, tuple(headers))


def _bytes(body: bytes, at: int) -> tuple[bytes | None, int]:
    """Return the bytes after a length, or None for a negative length; and the position where they end."""
    length, at = varint(body, at)
    return (None, at) if length < 0 else (_taken(body, at, length), at + length)


def _taken(body: bytes, at: int, length: int) -> bytes:
    """Return a number of bytes. Raises ValueError when there are fewer."""
    if not 0 <= length <= len(body) - at:
        raise ValueError
    return bytes(body[at : at + length])


def _must(name: bytes | None) -> bytes:
    if name is None:
        raise ValueError
    return name
