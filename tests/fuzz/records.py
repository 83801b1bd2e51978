"""Kafka records as anybody could publish them: right, wrong in one place, wrong everywhere."""

from functools import cache
from uuid import UUID

from hypothesis import strategies as st

from schemas.events import REGISTRY, Event
from schemas.topics import Topic
from services.kernel.messages.envelope import Envelope, encode
from services.kernel.messages.record import Record
from tests.fuzz import spoilt
from tests.fuzz.effort import MARKER
from tests.fuzz.event_data import data_of
from tests.fuzz.json_schema import TEXT, moments

Draw = st.DrawFn

OURS = (
    "content-type",
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "ce_subject",
    "ce_dataschema",
    "ce_partitionkey",
    "ce_sequence",
    "ce_correlationid",
    "ce_causationid",
    "ce_traceparent",
)
header_names = st.one_of(
    st.sampled_from(OURS), st.sampled_from(["", MARKER, "a\x00b"]), st.text(TEXT, max_size=8)
)

HOSTILE_VALUES: tuple[bytes | None, ...] = (
    None,
    b"",
    b"\x00",
    b"\xff\xfe",
    b"x" * 100_000,
    MARKER.encode(),
    b"0.3",
    b"1.x",
    b"9" * 5000,
    b"-1",
    "\u0661".encode(),  # a digit, but not one of ours
    b"yesterday",
    b"2026-09-07T09:00:00",
    b"0001-01-01T00:00:00+23:59",
    b"9999-12-31T23:59:59-23:59",
    b"application/cloudevents+json",
    b"application/json; charset=utf-16",
    b"referral.accepted.v9",
    b"partner.referral_made.v2",
    b"partner.unheard_of.v1",
    b".v1",
    b"v1",
    b"event.parked.v1\x00",
    b"partner.referral_made.v1\x00",
)
header_values = st.one_of(
    st.sampled_from(HOSTILE_VALUES),
    st.sampled_from(sorted(REGISTRY)).map(str.encode),
    st.binary(max_size=32),
    st.text(TEXT, max_size=32).map(str.encode),
)
keys = st.one_of(
    st.sampled_from([None, b"", b"\x00", b"\xff\xfe", MARKER.encode(), b"x" * 10_000]),
    st.uuids().map(lambda child: str(child).encode()),
    st.uuids().map(lambda child: str(child).upper().encode()),
    st.uuids().map(lambda child: child.bytes),
    st.binary(max_size=40),
)
places = st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1))


@st.composite
def garbage(draw: Draw, topic: Topic) -> Record:
    """Return a record that nobody meant as an event."""
    headers = draw(st.lists(st.tuples(header_names, header_values), max_size=8))
    value = draw(st.one_of(st.none(), st.sampled_from(spoilt.NO_JSON), st.binary(max_size=64)))
    partition, offset = draw(places)
    return _record(topic, partition, offset, draw(keys), value, headers)


@st.composite
def well_formed(draw: Draw, event_class: type[Event], topic: Topic) -> Record:
    """Return an event of a class as its publisher would send it."""
    data = draw(data_of(event_class))
    return _sent(draw, event_class, topic, str(data["child_id"]), event_class.model_validate(data).encode())


@st.composite
def mistaken(draw: Draw, topic: Topic) -> Record:
    """Return an event of the topic with mistakes in its value, its key or its headers."""
    event_class = draw(st.sampled_from(topic.events))
    data = draw(data_of(event_class))
    value: bytes | None = draw(spoilt.body(data))
    record = _sent(draw, event_class, topic, str(data["child_id"]), value)
    if draw(st.booleans()):
        record = record._replace(key=draw(keys))
    headers = list(record.headers)
    for _ in range(draw(st.integers(0, 2))):
        _spoil(draw, headers)
    return record._replace(headers=tuple(headers))


@cache
def any_record(topic: Topic) -> st.SearchStrategy[Record]:
    """Return whatever could stand on a topic; most of it is wrong."""
    right = st.sampled_from(topic.events).flatmap(lambda event_class: well_formed(event_class, topic))
    return st.one_of(mistaken(topic), mistaken(topic), mistaken(topic), garbage(topic), right)


@cache
def envelopes() -> st.SearchStrategy[Envelope]:
    """Return CloudEvents with every attribute that has a meaning to us, however odd its text."""
    texts, ids = st.text(TEXT, max_size=60), st.text(TEXT, min_size=1, max_size=60)
    return st.builds(
        Envelope,
        id=ids,
        source=ids,
        type=ids,
        time=moments,
        data=st.binary(min_size=1, max_size=60),
        subject=st.none() | texts,
        key=st.none() | texts,
        dataschema=st.none() | texts,
        sequence=st.none() | st.integers(),
        correlationid=st.none() | texts,
        causationid=st.none() | texts,
        traceparent=st.none() | texts,
    )


def _sent(draw: Draw, event_class: type[Event], topic: Topic, child_id: str, value: bytes | None) -> Record:
    key, _, headers = encode(
        Envelope(
            id=str(draw(st.uuids())),
            source=draw(st.sampled_from(["/partners/school-1", "/leadline/referral"])),
            type=event_class.wire_type,
            time=draw(moments),
            data=b"",
            subject=str(UUID(child_id)),
            key=child_id,
            correlationid=draw(st.none() | st.uuids().map(str)),
        )
    )
    partition, offset = draw(places)
    return Record(topic.name, partition, offset, key, value, tuple(headers))


def _spoil(draw: Draw, headers: list[tuple[str, bytes | None]]) -> None:
    """Take a header away, change it, or add another, perhaps of the same name."""
    place = draw(st.integers(0, len(headers) - 1)) if headers else 0
    match draw(st.sampled_from(["drop", "change", "change", "first", "last", "again"])):
        case "drop" if headers:
            del headers[place]
        case "change" if headers:
            headers[place] = (headers[place][0], draw(header_values))
        case "first":
            headers.insert(0, (draw(header_names), draw(header_values)))
        case "again" if headers:
            headers.append((headers[place][0], draw(header_values)))
        case _:
            headers.append((draw(header_names), draw(header_values)))


def _record(
    topic: Topic,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    headers: list[tuple[str, bytes | None]],
) -> Record:
    return Record(topic.name, partition, offset, key, value, tuple(headers))
