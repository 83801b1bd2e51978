"""The envelope against the CloudEvents SDK: each reads what the other writes."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings import kafka as sdk
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.messages.envelope import Envelope, decode, encode, message_id
from services.kernel.messages.faults import InvalidMessage
from services.kernel.messages.record import Record

words = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=40)
moments = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis takes naive bounds
envelopes = st.builds(
    Envelope,
    id=words,
    source=words.map(lambda word: f"/{word}"),
    type=words,
    time=moments,
    data=st.just(b'{"level":2}'),
    subject=words,
    key=words,
    dataschema=st.just("https://leadline.example/schemas/x"),
    sequence=st.integers(min_value=1, max_value=2**31 - 1),
    correlationid=words,
    causationid=words,
    traceparent=st.none(),
)


def record(envelope: Envelope) -> Record:
    key, value, headers = encode(envelope)
    return Record("referral-events", 0, 0, key, value, tuple(headers))


@given(envelopes)
def test_what_we_write_we_read_unchanged(envelope: Envelope) -> None:
    """Encoding and decoding is the identity."""
    assert decode(record(envelope)) == envelope


@given(envelopes)
def test_the_sdk_reads_what_we_write(envelope: Envelope) -> None:
    """The reference implementation finds every attribute in our headers."""
    key, value, headers = encode(envelope)
    message = sdk.KafkaMessage(headers=dict(headers), key=key, value=value)
    event = sdk.from_binary(message, JSONFormat(), CloudEvent)
    assert event.get_id() == envelope.id
    assert event.get_source() == envelope.source
    assert event.get_type() == envelope.type
    assert event.get_subject() == envelope.subject
    assert event.get_time() == envelope.time
    assert event.get_extension("correlationid") == envelope.correlationid
    assert event.get_data() == {"level": 2}


@given(envelopes)
def test_we_read_what_the_sdk_writes(envelope: Envelope) -> None:
    """A partner that uses the reference implementation is understood."""
    event = CloudEvent(
        {
            "id": envelope.id,
            "source": envelope.source,
            "type": envelope.type,
            "time": envelope.time,
            "specversion": "1.0",
            "datacontenttype": "application/json",
            "subject": envelope.subject,
            "partitionkey": envelope.key,
        },
        {"level": 2},
    )
    message = sdk.to_binary(event, JSONFormat())
    key = message.key.encode() if isinstance(message.key, str) else message.key
    read = decode(Record("partner-events", 0, 0, key, message.value, tuple(message.headers.items())))
    assert (read.id, read.source, read.type, read.time) == (
        envelope.id,
        envelope.source,
        envelope.type,
        envelope.time,
    )
    assert (read.subject, read.key) == (envelope.subject, envelope.key)


@given(
    st.lists(st.tuples(st.sampled_from(["ce_id", "ce_type", "ce_time", "content-type", "x"]), st.binary())),
    st.one_of(st.none(), st.binary()),
    st.one_of(st.none(), st.binary()),
)
def test_any_bytes_are_either_an_event_or_a_clean_fault(
    headers: list[tuple[str, bytes]], key: bytes | None, value: bytes | None
) -> None:
    """Nothing but InvalidMessage comes out of rubbish; anything else fails this test."""
    complete = [("ce_specversion", b"1.0"), ("ce_source", b"/x"), *headers]
    with suppress(InvalidMessage):
        assert decode(Record("partner-events", 0, 0, key, value, tuple(complete))).data == value


def test_source_and_id_together_identify_a_message() -> None:
    """Two partners may number their events alike."""
    assert message_id("/partners/a", "1") != message_id("/partners/b", "1")
    assert message_id("/partners/a", "1") == message_id("/partners/a", "1")


def test_a_content_type_that_is_not_json_is_refused_with_the_way_out() -> None:
    """Structured mode is not read: the words say which mode is."""
    with pytest.raises(InvalidMessage, match="binary mode"):
        decode(
            Record(
                "partner-events",
                0,
                0,
                None,
                b"{}",
                (
                    ("ce_specversion", b"1.0"),
                    ("ce_id", b"1"),
                    ("ce_source", b"/x"),
                    ("ce_type", b"t"),
                    ("content-type", b"application/cloudevents+json"),
                ),
            )
        )
