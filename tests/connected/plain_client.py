"""A partner agency's program, written from the AsyncAPI document alone; it knows nothing of our code.

`python -I plain_client.py <asyncapi.yaml> <bootstrap>` publishes the document's example of a referral for a
new child and waits for the `referral.received.v1` that answers it. Prints the answer as JSON and exits 0;
exits 1 with a sentence on standard error if none comes in time or the document's schemas refuse it.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped] # has no types
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

SENT = "partner.referral_made.v1"
EXPECTED = "referral.received.v1"

Document = dict[str, Any]


class ContractError(Exception):
    """What happened is not what the document says."""


def topic_of(document: Document, message_type: str) -> str:
    """Return the address of the channel that carries a message."""
    for channel in document["channels"].values():
        if message_type in channel["messages"]:
            return str(channel["address"])
    raise ContractError(f"no channel carries {message_type}")


def check(document: Document, message_type: str, headers: dict[str, str], payload: Any) -> None:
    """Raise ContractError unless headers and payload are what the document says of the message."""
    message = document["components"]["messages"][message_type]
    for part, value in (("headers", headers), ("payload", payload)):
        schema = message[part] | {"components": document["components"]}
        for error in Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(value):
            raise ContractError(f"{part} of {message_type}, {error.json_path}: {error.message}")


def referral(document: Document) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Return key, headers and payload of the shortest example, for a child and with an id of its own."""
    message = document["components"]["messages"][SENT]
    example = message["examples"][0]
    field = message["x-key-location"].removeprefix("$message.payload#/")
    key = str(uuid4())
    example = json.loads(json.dumps(example).replace(example["payload"][field], key))
    return key, example["headers"] | {"ce_id": str(uuid4())}, example["payload"]


def subscribe(bootstrap: str, topic: str) -> KafkaConsumer:
    """Return a consumer that stands at the end of every partition of the topic, without a group."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
    partitions = [
        TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())
    ]
    if not partitions:
        raise ContractError(f"the broker has no topic {topic}")
    consumer.assign(partitions)
    consumer.seek_to_end(*partitions)
    for partition in partitions:
        consumer.position(partition)  # looks the end up now, before we publish
    return consumer


def answer(consumer: KafkaConsumer, key: str, *, timeout_seconds: float) -> tuple[dict[str, str], Any, str]:
    """Return headers, payload and topic of the first expected event with the key, or raise ContractError."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                headers = {name: value.decode() for name, value in record.headers}
                if record.key == key.encode() and headers.get("ce_type") == EXPECTED:
                    return headers, json.loads(record.value), record.topic
    raise ContractError(f"no {EXPECTED} for the child within {timeout_seconds:g} seconds")


def converse(document: Document, bootstrap: str, *, timeout_seconds: float) -> dict[str, Any]:
    """Publish one referral and return what came back."""
    key, headers, payload = referral(document)
    check(document, SENT, headers, payload)
    consumer = subscribe(bootstrap, topic_of(document, EXPECTED))
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    try:
        producer.send(
            topic_of(document, SENT),
            key=key.encode(),
            value=json.dumps(payload).encode(),
            headers=[(name, value.encode()) for name, value in headers.items()],
        ).get(timeout=timeout_seconds)
        received_headers, received, topic = answer(consumer, key, timeout_seconds=timeout_seconds)
    finally:
        producer.close()
        consumer.close()
    check(document, EXPECTED, received_headers, received)
    return {
        "sent": headers,
        "key": key,
        "topic": topic,
        "headers": received_headers,
        "data": received,
    }


def main() -> int:
    """Run the program; return the exit code."""
    parser = argparse.ArgumentParser(description="Refer a child and wait for the receipt.")
    parser.add_argument("document", type=Path, help="the AsyncAPI document")
    parser.add_argument("bootstrap", help="host and port of a Kafka broker")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for the receipt")
    arguments = parser.parse_args()
    document = yaml.safe_load(arguments.document.read_text(encoding="utf-8"))
    try:
        result = converse(document, arguments.bootstrap, timeout_seconds=arguments.timeout)
    except ContractError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
