"""Calls to an HTTP API as its own OpenAPI document describes them, and calls it does not expect."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from tests.fuzz import spoilt
from tests.fuzz.effort import MARKER
from tests.fuzz.json_schema import TEXT, Schema, from_schema

Draw = st.DrawFn

ODD_TEXTS = (
    "",
    " ",
    "a\x00b",
    MARKER,
    "x" * 300,
    "-1",
    "0",
    "1.5",
    "NaN",
    "9" * 30,
    "9" * 5000,
    "9223372036854775807",
    "9223372036854775808",
    "%",
    "..",
    "../..",
    "a/b",
    "'; DROP TABLE referrals; --",
    "\u0661",
    "null",
    "open",
    "00000000-0000-0000-0000-000000000000",
)
odd_texts = st.one_of(st.sampled_from(ODD_TEXTS), st.text(TEXT, max_size=20))
latin_1 = st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"])
odd_keys = st.one_of(
    st.sampled_from([0, 1, 7, 8, 200, 201, 5000]).map(lambda length: b"x" * length),
    st.just(MARKER.encode()),
    st.text(latin_1, max_size=40).map(lambda text: text.encode("latin-1")),
)


@dataclass(frozen=True)
class Operation:
    """One method of one path, as the document describes it."""

    method: str
    path: str
    parameters: tuple[Mapping[str, Any], ...]
    body: Schema | None


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    content: bytes | None


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Return everything that an OpenAPI document says can be called."""
    return [
        Operation(
            method.upper(),
            path,
            tuple(described.get("parameters", ())),
            described.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema"),
        )
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]


@st.composite
def calls(
    draw: Draw, operation: Operation, definitions: Mapping[str, Schema], known: Mapping[str, Sequence[str]]
) -> Call:
    """Return a call of an operation: right in most of its parts, so that it gets beyond the first check.

    `known` has values that exist, by the name of the parameter that they are for.
    """
    target, query, headers = operation.path, [], []
    for parameter in operation.parameters:
        name, where = parameter["name"], parameter["in"]
        if where == "header":
            if draw(st.integers(0, 9)):
                key = str(draw(st.uuids())).encode() if draw(st.integers(0, 3)) else draw(odd_keys)
                headers.append((name.lower().encode(), key))
            continue
        value = draw(_values(parameter, definitions, known.get(name, ())))
        if where == "path":
            target = target.replace(f"{{{name}}}", quote(value, safe=""))
        elif draw(st.booleans()):
            query.append(f"{quote(name)}={quote(value, safe='')}")
    content = None
    if operation.body is not None:
        content = draw(from_schema(operation.body, definitions).flatmap(spoilt.body))
        if draw(st.booleans()):
            content = json.dumps(draw(from_schema(operation.body, definitions))).encode()
        kinds = [b"application/json"] * 6 + [b"text/plain", b"application/x-www-form-urlencoded", b"x"]
        headers.append((b"content-type", draw(st.sampled_from(kinds))))
    return Call(operation.method, target + ("?" + "&".join(query) if query else ""), tuple(headers), content)


def _values(
    parameter: Mapping[str, Any], definitions: Mapping[str, Schema], known: Sequence[str]
) -> st.SearchStrategy[str]:
    right = from_schema(parameter["schema"], definitions).map(_as_text)
    if known:
        right = st.one_of(st.sampled_from(known), st.sampled_from(known), st.sampled_from(known), right)
    return st.one_of(right, right, right, odd_texts)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
