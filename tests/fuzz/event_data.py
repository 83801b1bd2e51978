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
    return from_schema(schema, schema.get("$defs", {})).map(_in_order)


def _in_order(data: dict[str, Any]) -> dict[str, Any]:
    """Let what starts and ends do so in this order, which no JSON Schema can ask for."""
    if data.get("ended_on") is None or "started_on" not in data:
        return data
    started_on, ended_on = sorted((data["started_on"], data["ended_on"]))
    return data | {"started_on": started_on, "ended_on": ended_on}
