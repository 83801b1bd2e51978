"""The AsyncAPI document: all that a stranger needs to publish to us or to read what we publish."""

from inspect import cleandoc
from typing import Any

from schemas import json_schema
from schemas.events.base import REGISTRY, Event, dataschema_uri
from schemas.example_files import VARIANTS, example
from schemas.headers import common_headers, event_headers, example_headers
from schemas.topics import TOPICS, Topic

ASYNCAPI_VERSION = "3.1.0"
DOCUMENT_VERSION = "0.1.0"
KAFKA_BINDING_VERSION = "0.5.0"
PARTNERS = "partners"

DESCRIPTION = """
    Leadline coordinates cases in English children's services. Its services speak only through these
    events, and partner agencies may publish and subscribe like any of them.

    **Format.** Every message is a CloudEvents 1.0 event in the *binary* mode of the Kafka protocol
    binding: the attributes are Kafka headers with the prefix `ce_`, each value UTF-8 text; the Kafka
    value is the data alone, as JSON in UTF-8; the header `content-type` is `application/json`.
    Structured mode and batches are not used, and no message is a tombstone. Headers of your own, for
    tracing for example, are welcome: nobody here reads them.

    **Key.** The Kafka key is `child_id` as lower-case text with hyphens, in UTF-8, for example
    `3d6f4c0e-8a52-4f0b-9c1d-5e7a90b1c2d3`. All events of one child are therefore in one partition, in
    order. Use the default partitioner (murmur2 of the key).

    **Delivery** is at least once. `ce_source` and `ce_id` together identify an event: ignore a pair that
    you have seen, and send the same pair when you send the same event again. Within one `ce_subject`,
    `ce_sequence` counts 1, 2, 3, so a gap can be seen.

    **Versions.** `ce_type` ends in the version. A version only ever gains optional fields; anything
    else is a new version with a new type. Ignore fields and types that you do not know, by reading
    `ce_type` before the value. Where a payload says `additionalProperties: false` (all that partners
    send), a field that was not agreed is refused and the event set aside, because it could carry
    personal data.

    **No personal data.** Ids, codes, dates and levels only: never a name, an address or free text.

    **Times** are RFC 3339 with an offset, `2026-09-07T08:00:00Z`; we publish UTC. **Days** are
    `2026-09-07`. Week dates, ordinal dates and numbers are refused. A leap second counts as the last
    microsecond before it.

    **Optional fields.** An absent optional field and `null` mean the same: its default.
"""


def document() -> dict[str, Any]:
    """Return the whole document; FileNotFoundError names an example that is missing."""
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "id": "urn:leadline:events",
        "info": {
            "title": "Leadline events",
            "version": DOCUMENT_VERSION,
            "description": cleandoc(DESCRIPTION),
            "tags": [{"name": "children's services"}, {"name": "cloudevents"}],
        },
        "defaultContentType": "application/json",
        "servers": {"council": _server()},
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": _operations(),
        "components": {
            "messages": {
                wire_type: _message(event_class, owner=_example_owner(event_class))
                for wire_type, event_class in sorted(REGISTRY.items())
            },
            "schemas": {"CommonHeaders": common_headers()}
            | json_schema.shared_components(event_class for _, event_class in sorted(REGISTRY.items())),
        },
    }


def _server() -> dict[str, Any]:
    return {
        "host": "{bootstrap}",
        "protocol": "kafka",
        "description": "The council's Kafka. A deployment on more than one machine asks for SASL and TLS; "
        "the council issues the credentials.",
        "variables": {
            "bootstrap": {
                "default": "localhost:9092",
                "description": "Host and port of a bootstrap broker.",
            }
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": topic.description,
        "messages": {
            event.wire_type: {"$ref": f"#/components/messages/{event.wire_type}"} for event in topic.events
        },
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": [topic.config["cleanup.policy"]],
                    "retention.ms": int(topic.config["retention.ms"]),
                    "max.message.bytes": int(topic.config["max.message.bytes"]),
                },
                "bindingVersion": KAFKA_BINDING_VERSION,
            }
        },
    }


def _operations() -> dict[str, Any]:
    """Return who sends and who receives: `referral-sends-referral-events`, and so on."""
    operations: dict[str, Any] = {}
    for topic in TOPICS:
        channel = {"$ref": f"#/channels/{topic.name}"}
        operations[f"{topic.owner}-sends-{topic.name}"] = {
            "action": "send",
            "channel": channel,
            "summary": _sender_summary(topic),
            "tags": [{"name": topic.owner}],
        }
        for reader in topic.readers:
            operations[f"{reader}-receives-{topic.name}"] = {
                "action": "receive",
                "channel": channel,
                "summary": f"The {reader} service reads the topic and skips types that it does not handle.",
                "tags": [{"name": reader}],
            }
    return operations


def _sender_summary(topic: Topic) -> str:
    if topic.owner == PARTNERS:
        return "Partner agencies publish here."
    return f"Only the {topic.owner} service publishes here."


def _example_owner(event_class: type[Event]) -> str:
    """Return the first publisher of an event; deadlines and parked events have several."""
    for topic in TOPICS:
        if event_class in topic.events:
            return topic.owner
    message = f"{event_class.wire_type} is on no topic: add it to one in schemas/topics.py"
    raise ValueError(message)


def _message(event_class: type[Event], *, owner: str) -> dict[str, Any]:
    return {
        "name": event_class.wire_type,
        "title": event_class.__name__,
        "summary": (event_class.__doc__ or "").split("\n", maxsplit=1)[0],
        "contentType": "application/json",
        "headers": {
            "allOf": [
                {"$ref": "#/components/schemas/CommonHeaders"},
                event_headers(event_class, from_partner=owner == PARTNERS),
            ]
        },
        "payload": {"$ref": f"#/components/schemas/{event_class.__name__}"},
        "externalDocs": {
            "url": dataschema_uri(event_class),
            "description": f"The same schema as a file: schemas/json/{json_schema.file_name(event_class)}",
        },
        "bindings": {
            "kafka": {
                "key": {
                    "type": "string",
                    "format": "uuid",
                    "description": "`child_id` as lower-case text with hyphens, UTF-8.",
                },
                "bindingVersion": KAFKA_BINDING_VERSION,
            }
        },
        "x-key-location": "$message.payload#/child_id",
        "examples": [
            {
                "name": variant,
                "headers": example_headers(event_class, example(event_class, variant), owner=owner),
                "payload": example(event_class, variant),
            }
            for variant in VARIANTS
        ],
    }
