"""CloudEvents 1.0 in Kafka's binary mode: attributes in `ce_*` headers, the value is the JSON data alone."""

import re
from datetime import UTC, datetime
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

from schemas.events.times import moment_of
from services.kernel.messages.faults import InvalidMessage
from services.kernel.messages.ids import derived
from services.kernel.messages.record import Record

MESSAGES = UUID("6f1c2f0e-3f6b-5a58-9c53-6f0f7e1f8f10")
"""The namespace of message ids: a CloudEvent is identified by `source` and `id` together."""

JSON = "application/json"
JSON_SUFFIX = re.compile(r"application/[^/\s]+\+json")

REQUIRED = ("ce_type", "ce_specversion", "ce_id", "ce_source", "ce_time")
REQUIRED_OF = itemgetter(*REQUIRED)
READ = frozenset(
    {
        "content-type",
        *REQUIRED,
        "ce_subject",
        "ce_dataschema",
        "ce_partitionkey",
        "ce_sequence",
        "ce_correlationid",
        "ce_causationid",
        "ce_traceparent",
    }
)
"""The headers that we use."""

Headers = list[tuple[str, bytes]]

Message = tuple[bytes, bytes, Headers]
"""Key, value and headers of one Kafka record."""


class Envelope(NamedTuple):
    """One CloudEvent as it travels. `data` is the undecoded JSON.

    `sequence` is the aggregate's version; `correlationid` names the first cause of a chain of events,
    `causationid` the direct one.
    """

    id: str
    source: str
    type: str
    time: datetime
    data: bytes
    subject: str | None = None
    key: str | None = None
    dataschema: str | None = None
    sequence: int | None = None
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None

    @property
    def message_id(self) -> UUID:
        """Return the inbox's key: the same for every delivery of this event, whatever its source."""
        return message_id(self.source, self.id)


def message_id(source: str, event_id: str) -> UUID:
    """Return the inbox's key of a CloudEvent."""
    return derived(MESSAGES, f"{source}\n{event_id}")


def timestamp(moment: datetime) -> str:
    """Return an RFC 3339 time stamp in UTC with microseconds."""
    # Not strftime: it writes the year 25 with two digits, which no parser accepts.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def encode(envelope: Envelope) -> tuple[bytes | None, bytes, Headers]:
    """Return the Kafka key, value and headers of an event."""
    headers: Headers = [
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_id", envelope.id.encode()),
        ("ce_source", envelope.source.encode()),
        ("ce_type", envelope.type.encode()),
        ("ce_time", timestamp(envelope.time).encode()),
    ]
    optional = (
        ("ce_subject", envelope.subject),
        ("ce_dataschema", envelope.dataschema),
        ("ce_partitionkey", envelope.key),
        ("ce_sequence", None if envelope.sequence is None else str(envelope.sequence)),
        ("ce_correlationid", envelope.correlationid),
        ("ce_causationid", envelope.causationid),
        ("ce_traceparent", envelope.traceparent),
    )
    headers.extend((name, value.encode()) for name, value in optional if value is not None)
    return (envelope.key.encode() if envelope.key is not None else None), envelope.data, headers


def wire_type(record: Record) -> str | None:
    """Return the `ce_type` of a record without decoding anything else; None when it has none."""
    for name, value in record.headers:
        if name == "ce_type" and value is not None:
            return value.decode("utf-8", "replace")
    return None


def decode(record: Record) -> Envelope:
    """Return the event that a record carries; the data stays undecoded.

    Other headers stay undecoded, too: their content never blocks an event. If a header occurs twice, the
    first counts.

    Raises InvalidMessage, whose reason quotes no value, when a required attribute is missing or malformed,
    when the value is empty, or when the content is not JSON.
    """
    try:
        headers = {
            name: value.decode()
            for name, value in reversed(record.headers)
            if name in READ and value is not None
        }
        key = record.key.decode() if record.key is not None else None
    except UnicodeDecodeError as error:
        words = "content-type, the key or a ce_ header is not UTF-8 text"
        raise InvalidMessage("malformed", words) from error
    content_type = headers.get("content-type", JSON)
    if content_type != JSON:
        _check_json(content_type)
    try:
        event_type, version, event_id, source, time = REQUIRED_OF(headers)
    except KeyError as missing:
        raise InvalidMessage("malformed", f"the header {missing.args[0]} is missing") from None
    if not (event_id and source):
        raise InvalidMessage("malformed", "ce_id or ce_source is empty")
    if not version.startswith("1."):
        raise InvalidMessage("malformed", "ce_specversion is not 1.x")
    if not record.value:
        raise InvalidMessage("malformed", "the value is empty")
    try:
        moment = moment_of(time)
    except ValueError as error:
        raise InvalidMessage("malformed", f"ce_time: {error}") from error
    try:
        sequence = int(headers["ce_sequence"]) if "ce_sequence" in headers else None
    except ValueError as error:
        raise InvalidMessage("malformed", "ce_sequence is not a number") from error
    return Envelope(  # by position: by name it takes half a microsecond more, of four in all
        event_id,
        source,
        event_type,
        moment,
        record.value,
        headers.get("ce_subject"),
        key if key is not None else headers.get("ce_partitionkey"),
        headers.get("ce_dataschema"),
        sequence,
        headers.get("ce_correlationid"),
        headers.get("ce_causationid"),
        headers.get("ce_traceparent"),
    )


def _check_json(content_type: str) -> None:
    """Check that a media type is JSON, by the rule of our HTTP APIs. Raises InvalidMessage."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.startswith("application/cloudevents"):
        raise InvalidMessage("malformed", "this is CloudEvents' structured mode: publish in binary mode")
    if media_type != JSON and not JSON_SUFFIX.fullmatch(media_type):
        raise InvalidMessage("malformed", "content-type is not application/json")
