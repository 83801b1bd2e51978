"""JSON as it should not be: texts that are no JSON, and documents with something wrong inside."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.effort import MARKER

Draw = st.DrawFn

DEEP = "[" * 100_000 + "]" * 100_000

HOSTILE = (
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "1e400",
    "-1e400",
    "NaN",
    "Infinity",
    "9223372036854775808",
    "9" * 400,
    "9" * 5000,
    '""',
    '"a\\u0000b"',
    '"\\ud800"',
    '"x\\udfff y"',
    json.dumps(MARKER),
    f'"{"x" * 10_000}"',
    '"2026-09-07T09:00:00"',
    '"0001-01-01T00:00:00+23:59"',
    '"9999-12-31T23:59:59.999999-23:59"',
    '"9999-12-31T23:59:59.999999Z"',
    '"0001-01-01T00:00:00Z"',
    '"0001-01-01"',
    '"9999-12-31"',
    '"2026-02-30"',
    '"00000000-0000-0000-0000-000000000000"',
    "[]",
    "{}",
    "[[[[[]]]]]",
    f'{{"{MARKER}": "{MARKER}"}}',
    f'[{{"{MARKER}": 1}}]',
    DEEP,
)
"""JSON values that no field expects, each as text: some of them Python's own writer could not write."""

NO_JSON = (
    b"",
    b" ",
    b"\x00",
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b"{",
    b'{"a":',
    b"{'a': 1}",
    b"[1,]",
    b'{"a": "\xc3\x28"}',
    b'{"a": "\xed\xa0\x80"}',
    b"{}{}",
    MARKER.encode(),
    DEEP.encode(),
    DEEP[:100_000].encode(),
    b'"' + b"x" * 300_000 + b'"',
)
"""Bytes that are no JSON, or JSON that is no object, or more of it than anybody takes."""

NAMES = st.sampled_from(["", "child_id", "a\x00b", "\ud800", MARKER, "x" * 1000, "__class__", "é"])


@st.composite
def document(draw: Draw, valid: Mapping[str, Any]) -> bytes:
    """Return an object in which one to three fields are missing, wrong, renamed, twice there, or too many."""
    return _spoilt(draw, valid).encode()


@st.composite
def body(draw: Draw, valid: Mapping[str, Any]) -> bytes:
    """Return anything that could stand where an object should: right, spoilt, cut, or no JSON at all."""
    right = json.dumps(valid).encode()
    match draw(st.sampled_from(["right", "spoilt", "spoilt", "spoilt", "cut", "byte", "bytes", "no json"])):
        case "right":
            return right
        case "spoilt":
            return draw(document(valid))
        case "cut":
            return right[: draw(st.integers(0, len(right)))]
        case "byte":
            place = draw(st.integers(0, len(right) - 1))
            return right[:place] + draw(st.binary(min_size=1, max_size=2)) + right[place + 1 :]
        case "bytes":
            return draw(st.binary(max_size=64))
        case _:
            return draw(st.sampled_from(NO_JSON))


def _spoilt(draw: Draw, valid: Mapping[str, Any]) -> str:
    fields = [(name, json.dumps(value)) for name, value in valid.items()]
    nested = [
        place
        for place, value in enumerate(valid.values())
        if isinstance(value, list) and value and isinstance(value[0], dict)
    ]
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(fields) - 1)) if fields else 0
        hostile = draw(st.sampled_from(HOSTILE))
        match draw(st.sampled_from(["drop", "replace", "replace", "rename", "add", "twice", "inside"])):
            case "drop" if fields:
                del fields[place]
            case "replace" if fields:
                fields[place] = (fields[place][0], hostile)
            case "rename" if fields:
                fields[place] = (draw(NAMES), fields[place][1])
            case "twice" if fields:
                fields.append((fields[place][0], hostile))
            case "inside" if nested and len(fields) == len(valid):
                place = draw(st.sampled_from(nested))
                first = list(valid.values())[place][0]
                fields[place] = (fields[place][0], f"[{_spoilt(draw, first)}]")
            case _:
                fields.append((draw(NAMES), hostile))
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in fields) + "}"
