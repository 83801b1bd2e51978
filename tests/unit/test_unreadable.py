"""What of a fetch cannot be read becomes a record that says so; everything else is read."""

import gzip
import tracemalloc
from collections.abc import Sequence
from typing import NamedTuple

import cramjam
import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import CorruptRecordException
from aiokafka.record import default_records
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from services.kernel.kafka import unreadable
from services.kernel.kafka.unpacking import HEADER, UNPACKED_BYTES
from services.kernel.kafka.unreadable import BROKEN, Fetched, ReadOn
from services.kernel.messages.record import Unreadable

PLACE = TopicPartition("partner-events", 0)
ATTRIBUTES_AT = 21
NOT_PACKED, GZIP = 0, 1


class Sent(NamedTuple):
    """One record as a partner sends it; `name` is of its only header."""

    value: bytes | None
    name: str = "ce_type"
    key: bytes | None = b"k"


def batch_of(*sent: Sent, first: int = 0, codec: int = NOT_PACKED) -> bytes:
    """Return a record batch as the broker keeps it."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 2 * UNPACKED_BYTES)
    for number, one in enumerate(sent):
        builder.append(number, 1000 + number, one.key, one.value, [(one.name, b"v")])
    return first.to_bytes(8, "big") + bytes(builder.build())[8:]


def with_checksum(batch: bytes) -> bytes:
    """Return a batch that was changed, with the checksum that its producer would have written."""
    checksum: int = calc_crc32c(batch[ATTRIBUTES_AT:])
    return batch[:17] + checksum.to_bytes(4, "big") + batch[ATTRIBUTES_AT:]


def misnamed(batch: bytes) -> bytes:
    """Return a batch in which headers named `Pr?f` have the name that a Latin-1 program gives them."""
    return with_checksum(batch.replace(b"Pr?f", b"Pr\xfcf"))


def damaged(batch: bytes) -> bytes:
    """Return a batch of which the disk has lost a bit."""
    return batch[:-1] + bytes([batch[-1] ^ 1])


def read(*batches: bytes, since: int = 0, place: TopicPartition = PLACE) -> tuple[list[ConsumerRecord], int]:
    """Return what a fetch of these batches hands over, and where the next one begins."""
    records = ReadOn(place, Fetched(b"".join(batches)), [], since, None, None, True, 0)
    handed = list(records)
    return handed, records.next_fetch_offset


def patiently(*batches: bytes, since: int = 0) -> tuple[list[ConsumerRecord], int]:
    """Fetch again as long as nothing comes of it, as the consumer does."""
    for _ in range(unreadable.LOOKS - 1):
        assert read(*batches, since=since) == ([], since)
    return read(*batches, since=since)


@pytest.fixture(autouse=True)
def _nothing_is_known_to_be_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReadOn, "_damaged", {})


def values(records: Sequence[ConsumerRecord]) -> list[bytes | None]:
    return [record.value for record in records]


GOOD = (Sent(b"one"), Sent(None, key=None), Sent(b"three"))


@pytest.mark.parametrize("codec", [NOT_PACKED, GZIP])
def test_what_can_be_read_is_what_it_was(codec: int) -> None:
    """Values, keys, headers, offsets and times, as aiokafka by itself hands them over."""
    records, following = read(batch_of(*GOOD, codec=codec), batch_of(*GOOD, first=3))
    assert following == 6
    assert values(records) == [b"one", None, b"three"] * 2
    assert not any(isinstance(record.value, Unreadable) for record in records)
    assert [(record.offset, record.key, record.timestamp) for record in records[:3]] == [
        (0, b"k", 1000),
        (1, None, 1001),
        (2, b"k", 1002),
    ]
    assert {record.headers for record in records} == {(("ce_type", b"v"),)}


def test_a_header_whose_name_is_no_text_keeps_no_record_out() -> None:
    """It is none of ours. The record and those before and behind it are read, each once."""
    batch = misnamed(batch_of(Sent(b"before"), Sent(b"odd", "Pr?f-ID", b"child"), Sent(b"behind")))
    records, following = read(batch, batch_of(Sent(b"next"), first=3))
    assert (values(records), following) == ([b"before", b"odd", b"behind", b"next"], 4)
    assert [record.offset for record in records] == [0, 1, 2, 3]
    odd = records[1]
    assert (odd.key, odd.headers, odd.timestamp) == (b"child", (("Pr\\xfcf-ID", b"v"),), 1001)
    assert not any(isinstance(record.value, Unreadable) for record in records)


def test_a_poll_that_ends_before_the_record_with_the_odd_name_goes_on_with_it() -> None:
    """What was read of the same batch before is not read again."""
    batch = misnamed(batch_of(Sent(b"before"), Sent(b"odd", "Pr?f"), Sent(b"behind")))
    for since, expected in enumerate(([b"before", b"odd", b"behind"], [b"odd", b"behind"], [b"behind"])):
        records, following = read(batch, since=since)
        assert (values(records), following) == (expected, 3)


def test_a_compressed_record_with_an_odd_name_is_no_different(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is found inside."""
    inside = batch_of(Sent(b"odd", "Pr?f"), Sent(b"behind"))
    packed = bytearray(inside[:61] + default_records.gzip_encode(inside[61:].replace(b"?", b"\xfc")))
    packed[ATTRIBUTES_AT + 1] |= GZIP
    packed[8:12] = (len(packed) - 12).to_bytes(4, "big")
    records, following = read(with_checksum(bytes(packed)))
    assert (values(records), following) == ([b"odd", b"behind"], 2)
    assert records[0].headers == (("Pr\\xfcf", b"v"),)


def test_a_damaged_batch_becomes_one_record_and_the_next_is_read() -> None:
    """It stands at the batch's last offset and holds the batch as it came."""
    bad = damaged(batch_of(*GOOD, first=3))
    records, following = read(batch_of(*GOOD), bad, batch_of(*GOOD, first=6))
    assert (len(records), following) == (3, 3), "what is before is not held back"
    records, following = patiently_from(3, bad, batch_of(*GOOD, first=6))
    assert [record.offset for record in records] == [5, 6, 7, 8]
    assert following == 9
    lost = records[0]
    assert isinstance(lost.value, Unreadable)
    assert (bytes(lost.value), lost.headers, lost.key) == (bad, (), None)
    assert "from offset 3 on" in lost.value.words


def patiently_from(since: int, *batches: bytes) -> tuple[list[ConsumerRecord], int]:
    """Fetch again from where the last fetch has stopped: at a batch that it saw damaged once."""
    for _ in range(unreadable.LOOKS - 2):
        assert read(*batches, since=since) == ([], since)
    return read(*batches, since=since)


def test_a_batch_that_was_damaged_on_its_way_is_fetched_again_and_read() -> None:
    """Nothing is lost, and nothing told."""
    batch = batch_of(*GOOD)
    assert read(damaged(batch)) == ([], 0)
    records, following = read(batch)
    assert (values(records), following) == ([b"one", None, b"three"], 3)


def test_other_partitions_and_places_have_looks_of_their_own() -> None:
    """One damaged batch does not hurry the next."""
    first, second = damaged(batch_of(*GOOD)), damaged(batch_of(*GOOD, first=3))
    assert patiently(first)[1] == 3
    assert read(first, place=TopicPartition("partner-events", 1)) == ([], 0)
    assert read(second, since=3) == ([], 3)


def test_a_damaged_batch_of_which_a_part_was_read_is_told_all_the_same() -> None:
    """A poll may have ended in the middle of it: its last offset is not yet handed over."""
    records, following = patiently(damaged(batch_of(*GOOD)), since=2)
    assert ([record.offset for record in records], following) == ([2], 3)


def test_a_damaged_header_is_passed_by_its_neighbour_or_not_at_all() -> None:
    """Where nobody can tell how far the damage goes, nobody guesses: events could be skipped unseen."""
    batch = bytearray(batch_of(*GOOD))
    batch[26] ^= 0x40  # of the last offset, counted from the first
    records, following = patiently(bytes(batch), batch_of(*GOOD, first=3))
    assert ([record.offset for record in records], following) == ([2, 3, 4, 5], 6)
    with pytest.raises(CorruptRecordException):
        read(bytes(batch))


def test_a_compression_that_cannot_be_undone_costs_its_batch_alone() -> None:
    """The producer has written nonsense, with a right checksum."""
    packed = bytearray(batch_of(*GOOD, codec=GZIP))
    packed[61:] = bytes(len(packed) - 61)
    records, following = read(with_checksum(bytes(packed)), batch_of(*GOOD, first=3))
    assert ([record.offset for record in records], following) == ([2, 3, 4, 5], 6)
    assert isinstance(records[0].value, Unreadable)


def test_a_compression_that_kafka_does_not_have_is_told() -> None:
    """A broker refuses it; whoever gets it past one stops nobody."""
    packed = bytearray(batch_of(*GOOD, codec=GZIP))
    packed[ATTRIBUTES_AT + 1] |= 7
    records, following = read(with_checksum(bytes(packed)), batch_of(Sent(b"next"), first=3))
    assert following == 4
    assert isinstance(records[0].value, Unreadable)
    assert "cannot be decompressed" in records[0].value.words
    assert records[-1].value == b"next"


def packed_with(codec: int, body: bytes) -> bytes:
    """Return a batch of one record with a body that is already compressed."""
    header = bytearray(batch_of(Sent(b"one"))[:HEADER])
    header[ATTRIBUTES_AT + 1] |= codec
    header[8:12] = (HEADER + len(body) - 12).to_bytes(4, "big")
    return with_checksum(bytes(header) + body)


def xerial(*blocks: bytes) -> bytes:
    """Return blocks of Snappy as Java programs frame them."""
    framed = (len(block).to_bytes(4, "big") + block for block in blocks)
    return b"\x82SNAPPY\x00" + bytes(8) + b"".join(framed)


PART = bytes(UNPACKED_BYTES // 4 + 1)
BOMBS = {
    "gzip": (1, gzip.compress(bytes(100 * 2**20), 9)),
    "gzip in parts": (1, gzip.compress(PART, 9) * 4),
    "snappy": (2, bytes(cramjam.snappy.compress_raw(bytes(2 * UNPACKED_BYTES)))),
    "snappy of Java": (2, xerial(*[bytes(cramjam.snappy.compress_raw(PART))] * 4)),
    "lz4": (3, bytes(cramjam.lz4.compress(bytes(100 * 2**20)))),
    "zstd": (4, bytes(cramjam.zstd.compress(bytes(1100 * 2**20)))),
    "zstd in frames": (4, bytes(cramjam.zstd.compress(PART)) * 4),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_batch_that_would_fill_the_memory_is_told_and_the_next_is_read(name: str) -> None:
    """It is kept as it came, packed; unpacking it stops at the bound."""
    bomb = packed_with(*BOMBS[name])
    tracemalloc.start()
    try:
        records, following = read(bomb, batch_of(Sent(b"next"), first=1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (values(records), following) == ([bomb, b"next"], 2)
    assert isinstance(records[0].value, Unreadable)
    assert records[0].value.words == "the batch from offset 0 on holds more than 8 MiB when unpacked"
    assert peak < 4 * UNPACKED_BYTES


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_each_compression_of_kafka_is_undone(codec: int) -> None:
    """Also where a batch is nearly as large as is allowed."""
    large = bytes(UNPACKED_BYTES // 2)
    sent = (*GOOD, Sent(large))
    records, following = read(batch_of(*sent, codec=codec), batch_of(*GOOD, first=4))
    assert (values(records), following) == ([b"one", None, b"three", large, b"one", None, b"three"], 7)


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
@pytest.mark.parametrize("body", [b"", b"\x00", b"\xff" * 40, xerial(b"x" * 3)[:-1], xerial(b"")])
def test_a_compression_that_cannot_be_undone_is_told(codec: int, body: bytes) -> None:
    """Whatever stands there in place of it."""
    records, following = read(packed_with(codec, body), batch_of(Sent(b"next"), first=1))
    assert following == 2
    assert records[-1].value == b"next"
    assert all(isinstance(record.value, Unreadable) for record in records[:-1])


OFFSET_AT = 64
"""Not spoilt below: what a record says of its own offset the broker has checked, and aiokafka believes."""


@pytest.mark.parametrize("at", [at for at in range(61, 80) if at != OFFSET_AT])
def test_whatever_stands_in_a_record_the_next_batch_is_read(at: int) -> None:
    """Lengths that lead nowhere: each record is read, told, or told together with those behind it."""
    good = batch_of(Sent(b"value"), Sent(b"second"))
    for wrong in (0x00, 0x01, 0x7F, 0x80, 0xFF):
        batch = bytearray(good)
        batch[at] = wrong
        records, following = read(with_checksum(bytes(batch)), batch_of(Sent(b"next"), first=2))
        assert following == 3
        assert records[-1].value == b"next"
        offsets = [record.offset for record in records]
        assert offsets == sorted(set(offsets))
        assert len(records) >= 2
        told = [record.value for record in records if isinstance(record.value, Unreadable)]
        assert {one.words for one in told} <= {BROKEN}
