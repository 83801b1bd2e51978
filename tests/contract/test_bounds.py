"""Every field of what others may send has a maximum: over HTTP and on the bus alike."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from schemas.topics import PARTNER
from services.cli.catalogue import SERVICES, service_of
from services.kernel.base.settings import Settings

SETTINGS = Settings(policy=Path("deploy/policies/cambridgeshire.yaml"))
COMMANDS = [command for name in SERVICES for command in service_of(name, SETTINGS).commands]
BOUNDED_FORMATS = {"uuid", "date", "date-time", "time"}
OPEN_ENDS = ("*", "+", ",}")


def unbounded(schema: dict[str, Any], document: dict[str, Any], at: str) -> Iterator[str]:
    """Yield the places of a schema at which a value may be as large as its sender likes."""
    if "$ref" in schema:
        yield from unbounded(document["$defs"][schema["$ref"].rpartition("/")[2]], document, at)
        return
    for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for part in schema.get(keyword, ()):
            yield from unbounded(part, document, at)
    match schema.get("type"):
        case "string" if not _is_bounded_text(schema):
            yield at
        case "array" if "maxItems" not in schema:
            yield at
        case "integer" | "number" if not {"maximum", "exclusiveMaximum", "enum", "const"} & schema.keys():
            yield at
        case "object" if not schema.get("properties"):
            yield at
    if "items" in schema:
        yield from unbounded(schema["items"], document, f"{at}[]")
    for name, part in schema.get("properties", {}).items():
        yield from unbounded(part, document, f"{at}.{name}")


def _is_bounded_text(schema: dict[str, Any]) -> bool:
    if {"enum", "const", "maxLength"} & schema.keys() or schema.get("format") in BOUNDED_FORMATS:
        return True
    pattern = schema.get("pattern")
    return pattern is not None and not any(end in pattern for end in OPEN_ENDS)


@pytest.mark.parametrize("model", [*COMMANDS, *PARTNER.events], ids=lambda model: model.__name__)
def test_nothing_that_is_sent_to_us_is_without_a_maximum(model: type[BaseModel]) -> None:
    """A number, a text or a list of any size would be stored, and published to everybody."""
    schema = model.model_json_schema()
    assert list(unbounded(schema, schema, model.__name__)) == []


def test_a_field_without_a_maximum_would_be_found() -> None:
    """The rule above can fail."""

    class Careless(BaseModel):
        text: str
        texts: tuple[int, ...]
        more: dict[str, str]

    schema = Careless.model_json_schema()
    found = ["Careless.text", "Careless.texts", "Careless.texts[]", "Careless.more"]
    assert list(unbounded(schema, schema, "Careless")) == found
