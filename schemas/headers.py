"""The Kafka headers of an event as JSON Schema: CloudEvents 1.0, Kafka binding, binary mode."""

import json
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from schemas.events.base import Event, dataschema_uri

MESSAGE_IDS = "6f1c2f0e-3f6b-5a58-9c53-6f0f7e1f8f10"
"""Namespace of message ids, as the services' kernel has it; a contract test holds the two together."""

SERVICE_SOURCE = r"^/leadline/(referral|assessment|placement|notify)$"
TRACEPARENT = r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"

REQUIRED = ("content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time")
"""The headers of every event, whichever service publishes it; an event that lacks one is set aside."""

REQUIRED_OF_SERVICES = (
    "ce_subject",
    "ce_dataschema",
    "ce_partitionkey",
    "ce_sequence",
    "ce_correlationid",
    "ce_causationid",
)
"""What our own services add: an agency has no aggregate to number."""

_UUID = {"type": "string", "format": "uuid"}
_ID = {"type": "string", "minLength": 1, "maxLength": 128}


def common_headers() -> dict[str, Any]:
    """Return the schema of the headers that all events share."""
    properties: dict[str, dict[str, Any]] = {
        "content-type": {
            "const": "application/json",
            "description": "The type of the Kafka value, which is the data alone. It is read without regard "
            "to case and parameters.",
        },
        "ce_specversion": {"const": "1.0", "description": "The version of CloudEvents."},
        "ce_id": _ID
        | {
            "description": "Identifies the event together with `ce_source`. The same event sent again "
            "carries the same id and is handled once. A UUID when we publish."
        },
        "ce_source": _ID | {"format": "uri-reference", "description": "Who publishes."},
        "ce_type": {"type": "string", "description": "Name and version of the event."},
        "ce_subject": _UUID | {"description": "The aggregate that the event belongs to."},
        "ce_time": {
            "type": "string",
            "format": "date-time",
            "description": "When it happened; with an offset, in UTC when we publish.",
        },
        "ce_dataschema": {
            "type": "string",
            "format": "uri",
            "description": "The `$id` of the JSON Schema of the data.",
        },
        "ce_partitionkey": _UUID | {"description": "The Kafka key again: `child_id` as lower-case text."},
        "ce_sequence": {
            "type": "string",
            "pattern": "^[0-9]+$",
            "description": "The version of the aggregate after this event: 1, 2, 3 per `ce_subject`.",
        },
        "ce_correlationid": _UUID
        | {
            "description": "The same in all that follows from one first event: that event's own "
            "`ce_correlationid` if it had a UUID there, else its message id (see `ce_causationid`)."
        },
        "ce_causationid": _UUID
        | {
            "description": "What led to this event: the message id of another event, or the id of a request "
            "or a deadline. A message id is the version 5 UUID of the text `<ce_source>\\n<ce_id>`, with a "
            f"line feed between the two, in the namespace {MESSAGE_IDS}."
        },
        "ce_traceparent": {
            "type": "string",
            "pattern": TRACEPARENT,
            "description": "W3C trace context, for tracing tools.",
        },
    }
    return {
        "type": "object",
        "description": "CloudEvents attributes as Kafka headers; every value is UTF-8 text.",
        "required": list(REQUIRED),
        "properties": properties,
    }


def event_headers(event_class: type[Event], *, from_partner: bool) -> dict[str, Any]:
    """Return what an event class adds to the common headers: its type, schema and publisher."""
    source: dict[str, Any] = {"pattern": SERVICE_SOURCE}
    if from_partner:
        source = {"description": "The agency's own name for itself, for example `/partners/<agency_id>`."}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "ce_type": {"const": event_class.wire_type},
            "ce_dataschema": {"const": dataschema_uri(event_class)},
            "ce_subject": {"description": f"Equals `{event_class.subject_field}` of the data."},
            "ce_source": source,
        },
    }
    return schema if from_partner else {"required": list(REQUIRED_OF_SERVICES)} | schema


def example_headers(event_class: type[Event], data: dict[str, Any], *, owner: str) -> dict[str, str]:
    """Return the headers with which `data` would travel; derived from it, so that they never drift."""
    event_id = uuid5(NAMESPACE_URL, f"{event_class.wire_type}/{json.dumps(data)}")
    from_partner = owner == "partners"
    source = f"/partners/{data.get('agency_id', 'council-statutory-return')}"
    headers = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": str(event_id),
        "ce_source": source if from_partner else f"/leadline/{owner}",
        "ce_type": event_class.wire_type,
        "ce_subject": data[event_class.subject_field],
        "ce_time": _occurred(data),
        "ce_dataschema": dataschema_uri(event_class),
        "ce_partitionkey": data["child_id"],
    }
    if from_partner:
        return headers
    return headers | {
        "ce_sequence": "1",
        "ce_correlationid": str(uuid5(NAMESPACE_URL, f"correlation/{data['child_id']}")),
        "ce_causationid": str(uuid5(NAMESPACE_URL, f"cause/{event_id}")),
        "ce_traceparent": f"00-{event_id.hex}-{event_id.hex[:16]}-01",
    }


def _occurred(data: dict[str, Any]) -> str:
    """Return the moment at which the example happened: its latest time that is not a due date."""
    moments = [value for name, value in data.items() if name.endswith("_at") and not name.startswith("due_")]
    days = [f"{value}T09:00:00Z" for name, value in data.items() if name.endswith("_on") and value]
    return str(max(moments or days or [data.get("due_at", "2026-06-30T09:00:00Z")]))
