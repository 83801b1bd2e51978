"""What a well-formed event of each class holds, drawn from the class's own JSON Schema."""

from functools import cache
from typing import Any

from hypothesis import strategies as st

from schemas.events import Event
from tests.fuzz.json_schema import from_schema


@cache
def data_of(event_class: type[Event]) -> st.SearchStrategy[dict[str, Any]]:
    """Return the data of events of a class, in JSON's own types."""
    schema = event_class.model_json_schema()
    return from_schema(schema, schema.get("$defs", {}))
