"""Unpacks compressed record batches within a memory limit, whatever size their headers claim."""

import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import cramjam

UNPACKED_BYTES: Final = 8 * 1024 * 1024
"""The largest unpacked size of a batch: eight times the largest batch that a partner's topic accepts. A batch
of 35 KB can hold a gigabyte of zeros."""

HEADER = 61
"""Bytes before the records in a batch of format 2."""
ATTRIBUTES_AT = 21
ATTRIBUTES = struct.Struct(">h")
CODECS = 0x07
"""The bits of the attributes that give the compression."""

XERIAL = b"\x82SNAPPY\x00"
"""The first bytes of the framing in which Java programs put Snappy blocks."""
XERIAL_HEADER = 16
BLOCK = struct.Struct(">i")


class TooLarge(Exception):  # noqa: N818 - the name describes the batch's state
    """A batch holds more than the limit for unpacking."""


def is_packed(raw: bytes) -> bool:
    """Return whether a batch of format 2 is compressed."""
    return bool(ATTRIBUTES.unpack_from(raw, ATTRIBUTES_AT)[0] & CODECS)


def unpacked(raw: bytes) -> bytes:
    """Return a compressed batch as it would be without compression, except for its checksum.

    Raises TooLarge beyond UNPACKED_BYTES, without using more memory than that; the codec's own error if
    decompression fails; and ValueError for a codec that Kafka does not have.
    """
    (attributes,) = ATTRIBUTES.unpack_from(raw, ATTRIBUTES_AT)
    undo = UNDO.get(attributes & CODECS)
    if undo is None:
        message = "not a Kafka codec"
        raise ValueError(message)
    body = undo(raw[HEADER:])
    header = bytearray(raw[:HEADER])
    ATTRIBUTES.pack_into(header, ATTRIBUTES_AT, attributes & ~CODECS)
    return bytes(header) + body


def _gzip(packed: bytes) -> bytes:
    found = b""
    while packed:  # a stream may consist of several frames
        stream = zlib.decompressobj(wbits=31)
        found += stream.decompress(packed, UNPACKED_BYTES + 1 - len(found))
        if len(found) > UNPACKED_BYTES or stream.unconsumed_tail:
            raise TooLarge
        if not stream.eof:
            raise EOFError
        packed = stream.unused_data
    return found


def _snappy(packed: bytes) -> bytes:
    blocks = list(_xerial_blocks(packed)) if packed.startswith(XERIAL) else [packed]
    if sum(cramjam.snappy.decompress_raw_len(block) for block in blocks) > UNPACKED_BYTES:
        raise TooLarge
    return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)


def _xerial_blocks(packed: bytes) -> list[bytes]:
    blocks, at = [], XERIAL_HEADER
    while at < len(packed):
        (length,) = BLOCK.unpack_from(packed, at)
        at += BLOCK.size
        if not 0 < length <= len(packed) - at:
            message = "a block has the wrong length"
            raise ValueError(message)
        blocks.append(packed[at : at + length])
        at += length
    return blocks


def _within(codec: Any) -> Callable[[bytes], bytes]:
    def undo(packed: bytes) -> bytes:
        # Unwritten pages of the buffer take no memory.
        buffer = bytearray(UNPACKED_BYTES)
        try:
            length = codec.decompress_into(packed, buffer)
        except cramjam.DecompressionError as error:
            if "whole buffer" in str(error):
                raise TooLarge from None
            raise
        return bytes(memoryview(buffer)[:length])

    return undo


UNDO: Mapping[int, Callable[[bytes], bytes]] = {
    1: _gzip,
    2: _snappy,
    3: _within(cramjam.lz4),
    4: _within(cramjam.zstd),
}
"""The decompressor of each codec, by its number in a batch's attributes."""
