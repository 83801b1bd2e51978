"""Messages that no service can handle, each with the reason for which it must be set aside. Pure."""

import json
from collections.abc import Callable, Iterator, Mapping
from random import Random
from uuid import UUID, uuid5

from tests.chaos import feed
from tests.chaos.feed import NAMESPACE, Act
from tests.chaos.partner_journal import Published

DEPTH = 30_000
HUGE_BYTES = 700_000
"""More than a service takes, less than the broker does."""

MALFORMED, TOO_LARGE = "malformed", "too_large"
UNKNOWN_TYPE, UNKNOWN_VERSION = "unknown_type", "unknown_version"

VALUES: Mapping[str, tuple[Callable[[bytes], bytes | None], str]] = {
    "nothing": (lambda _: None, MALFORMED),
    "empty": (lambda _: b"", MALFORMED),
    "garbage": (lambda _: bytes(range(256)), MALFORMED),
    "text": (lambda _: b"The family has moved.", MALFORMED),
    "cut off": (lambda value: value[:-1], MALFORMED),
    "twice": (lambda value: value + value, MALFORMED),
    "a list": (lambda value: b"[" + value + b"]", MALFORMED),
    "null": (lambda _: b"null", MALFORMED),
    "no field": (lambda _: b"{}", MALFORMED),
    "wrong type": (lambda value: _with(value, concerns="N1"), MALFORMED),
    "wrong code": (lambda value: _with(value, agency="somebody"), MALFORMED),
    "no date": (lambda value: _with(value, made_at="yesterday"), MALFORMED),
    "half a character": (lambda value: _with(value, locality="\ud800"), MALFORMED),
    "not UTF-8": (lambda value: value.replace(b"police", b"\xff\xfe"), MALFORMED),
    "UTF-16": (lambda value: value.decode().encode("utf-16"), MALFORMED),
    "deep lists": (lambda _: b"[" * DEPTH + b"]" * DEPTH, MALFORMED),
    "deep objects": (lambda _: b'{"a":' * DEPTH + b"1" + b"}" * DEPTH, MALFORMED),
    "huge": (lambda value: _with(value, note="x" * HUGE_BYTES), TOO_LARGE),
    "huge number": (lambda value: _with(value, concerns=[10**3000]), MALFORMED),
}
"""By kind: what becomes of the value."""

KEYS: Mapping[str, bytes] = {"not UTF-8": b"\xff\xfe%b", "another's": b"child-%b", "with a zero": b"\x00%b"}
"""By kind: the key. A part of it is the message's own: nothing may have to wait behind it."""

HEADERS: Mapping[str, tuple[Mapping[str, bytes | None], str]] = {
    "no id": ({"ce_id": None}, MALFORMED),
    "id not UTF-8": ({"ce_id": b"\xff\xfe"}, MALFORMED),
    "source not UTF-8": ({"ce_source": b"\xc3\x28"}, MALFORMED),
    "empty source": ({"ce_source": b""}, MALFORMED),
    "no type": ({"ce_type": None}, MALFORMED),
    "type not UTF-8": ({"ce_type": b"partner.\xff.v1"}, UNKNOWN_TYPE),
    "type with a zero": ({"ce_type": b"partner.\x00.v1"}, UNKNOWN_TYPE),
    "type unheard of": ({"ce_type": b"partner.child_seen.v1"}, UNKNOWN_TYPE),
    "type of our own": ({"ce_type": b"referral.accepted.v1"}, UNKNOWN_TYPE),
    "version from the future": ({"ce_type": b"partner.referral_made.v9"}, UNKNOWN_VERSION),
    "envelope from the future": ({"ce_specversion": b"2.0"}, MALFORMED),
    "another content": ({"content-type": b"application/avro"}, MALFORMED),
    "no time": ({"ce_time": None}, MALFORMED),
    "time without offset": ({"ce_time": b"2026-06-01T09:00:00"}, MALFORMED),
    "number in words": ({"ce_sequence": b"first"}, MALFORMED),
}
"""By kind: the headers that differ."""


def poisoned(chance: Random) -> Iterator[tuple[str, Published, str]]:
    """Yield one message of each kind, with the kind and the reason. No two share a key or a source's id."""
    tag = f"{chance.getrandbits(64):016x}"
    for kind, (spoil, reason) in VALUES.items():
        key, value, headers = _sound(f"{tag}/value {kind}")
        yield f"value: {kind}", (key, spoil(value), headers), reason
    for kind, form in KEYS.items():
        _, value, headers = _sound(f"{tag}/key {kind}")
        yield f"key: {kind}", (form % tag.encode(), value, headers), MALFORMED
    for kind, (different, reason) in HEADERS.items():
        key, value, headers = _sound(f"{tag}/header {kind}")
        changed = list({**dict(headers), **different}.items())
        yield f"header: {kind}", (key, value, changed), reason


def _sound(name: str) -> tuple[bytes, bytes, list[tuple[str, bytes | None]]]:
    child: UUID = uuid5(NAMESPACE, f"poison/{name}")
    key, value, headers = feed.message(Act(0, "bus", child))
    assert key is not None
    own: dict[str, bytes | None] = dict(headers)
    return key, value, list((own | {"ce_id": f"poison-{child}".encode()}).items())


def _with(value: bytes, **fields: object) -> bytes:
    return json.dumps(json.loads(value) | fields).encode()
