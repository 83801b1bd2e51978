"""From a JSON Schema to values that it describes: what events and requests look like when they are right."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

Schema = Mapping[str, Any]

TEXT = st.characters(codec="utf-8")
OFFSETS = (UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=11)))
LARGEST = 2**31 - 1

moments = st.datetimes(
    min_value=datetime(2, 1, 1),  # noqa: DTZ001 - hypothesis takes naive bounds
    max_value=datetime(9998, 12, 31),  # noqa: DTZ001 - hypothesis takes naive bounds
    timezones=st.sampled_from(OFFSETS),
)


def from_schema(schema: Schema, definitions: Mapping[str, Schema]) -> st.SearchStrategy[Any]:
    """Return values that fit a schema, in JSON's own types. KeyError for a kind of schema nobody uses yet.

    `definitions` are those to which a `$ref` leads, by the last part of its path.
    """
    if "$ref" in schema:
        return from_schema(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return st.one_of([from_schema(option, definitions) for option in schema["anyOf"]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(list(schema["enum"]))
    match schema["type"]:
        case "string":
            return _strings(schema)
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum", LARGEST))
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "array":
            return st.lists(
                from_schema(schema["items"], definitions),
                min_size=schema.get("minItems", 0),
                max_size=min(schema.get("maxItems", 4), 4),
            )
        case "object":
            return _objects(schema, definitions)
        case unknown:
            raise KeyError(unknown)


def _strings(schema: Schema) -> st.SearchStrategy[str]:
    match schema.get("format"):
        case "uuid":
            return st.uuids().map(str)
        case "date":
            return st.dates(min_value=date(1, 1, 1)).map(date.isoformat)
        case "date-time":
            return moments.map(datetime.isoformat)
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", 200)
    if "pattern" in schema:
        matching = st.from_regex(schema["pattern"], fullmatch=True, alphabet=TEXT)
        return matching.filter(lambda text: shortest <= len(text) <= longest)
    return st.text(TEXT, min_size=shortest, max_size=min(longest, 200))


def _objects(schema: Schema, definitions: Mapping[str, Schema]) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: from_schema(field, definitions) for name, field in schema["properties"].items()}
    required = set(schema.get("required", ()))
    return st.fixed_dictionaries(
        {name: field for name, field in fields.items() if name in required},
        optional={name: field for name, field in fields.items() if name not in required},
    )
