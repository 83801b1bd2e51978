"""JSON Schema of the event models, the way we publish it.

Two renderings of one model: a file of its own (2020-12, definitions inside) for `schemas/json/`, and
shared components for the AsyncAPI document. The schemas say what a consumer accepts.
"""

from collections.abc import Iterable
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from schemas.events.base import Event, dataschema_uri

DIALECT = "https://json-schema.org/draft/2020-12/schema"

JsonSchema = dict[str, Any]


class _WithoutFieldTitles(GenerateJsonSchema):
    """Leave out `"title": "Due At"` beside every `due_at`: it says nothing that the name does not."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


def file_name(event_class: type[Event]) -> str:
    """Return the name of the event's file under `schemas/json/`: `referral.accepted.v1.schema.json`."""
    return f"{event_class.wire_type}.schema.json"


def schema_file(event_class: type[Event]) -> JsonSchema:
    """Return the self-contained JSON Schema of one event version; its `$id` is the `dataschema` URI."""
    body = event_class.model_json_schema(schema_generator=_WithoutFieldTitles)
    head = {
        "$schema": DIALECT,
        "$id": dataschema_uri(event_class),
        "title": body.pop("title"),
        "description": body.pop("description"),
    }
    definitions = body.pop("$defs", None)
    return head | body | ({"$defs": definitions} if definitions else {})


def shared_components(event_classes: Iterable[type[Event]]) -> dict[str, JsonSchema]:
    """Return every event and every type they share, by class name, linked by `#/components/schemas/...`."""
    _, schemas = models_json_schema(
        [(event_class, "validation") for event_class in event_classes],
        ref_template="#/components/schemas/{model}",
        schema_generator=_WithoutFieldTitles,
    )
    definitions: dict[str, JsonSchema] = schemas["$defs"]
    return dict(sorted(definitions.items()))
