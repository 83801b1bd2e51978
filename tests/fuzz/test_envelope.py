"""Whatever stands on a topic is an event, no business of ours, or a clean fault that quotes nothing."""

from collections.abc import Mapping
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Event
from schemas.topics import PARTNER, TOPICS, read_by
from services.assessment.handlers import HANDLERS as ASSESSMENT
from services.kernel.messages.arrivals import Arrival, Subscriber
from services.kernel.messages.envelope import Envelope, decode, encode
from services.kernel.messages.faults import InvalidMessage, Reason
from services.kernel.messages.record import Record
from services.notify.handlers import HANDLERS as NOTIFY
from services.placement.handlers import HANDLERS as PLACEMENT
from services.referral.handlers import HANDLERS as REFERRAL
from tests.fuzz.effort import MARKER, effort
from tests.fuzz.records import any_record, envelopes, well_formed

HANDLED: Mapping[str, Mapping[type[Event], object]] = {
    "referral": REFERRAL,
    "assessment": ASSESSMENT,
    "placement": PLACEMENT,
    "notify": NOTIFY,
}


def reception(service: str) -> Subscriber:
    types = {event_class.wire_type: event_class for event_class in HANDLED[service]}
    return Subscriber(service, types, 256 * 1024)


def is_clean(fault: InvalidMessage) -> bool:
    """Whether a fault has a known reason and words that quote nothing and can be stored."""
    return fault.reason in get_args(Reason) and MARKER not in fault.words and "\x00" not in fault.words


def decoded(record: Record) -> Envelope | InvalidMessage:
    try:
        return decode(record)
    except InvalidMessage as fault:
        return fault


@effort(120)
@given(st.sampled_from(TOPICS).flatmap(any_record))
def test_a_record_is_an_envelope_or_a_clean_fault(record: Record) -> None:
    """Nothing but InvalidMessage comes out of `decode`."""
    found = decoded(record)
    if isinstance(found, InvalidMessage):
        assert is_clean(found)
    else:
        assert found.data == record.value
        assert found.time.tzinfo is not None


@pytest.mark.parametrize("service", HANDLED)
@effort(60)
@given(data=st.data())
def test_a_record_is_an_event_skipped_or_a_clean_fault(service: str, data: st.DataObject) -> None:
    """Nothing at all comes out of `receive`, and every arrival is an event or a fault."""
    record = data.draw(st.sampled_from(read_by(service)).flatmap(any_record))
    arrival = reception(service).receive(record)
    if arrival is None:
        return
    assert (arrival.event is None) is not (arrival.fault is None)
    assert arrival.type is None or "\x00" not in arrival.type
    if arrival.fault is not None:
        assert is_clean(arrival.fault)
    again = reception(service).receive(record)
    assert again is not None
    assert again.message_id == arrival.message_id


@pytest.mark.parametrize(
    ("service", "event_class"),
    [(service, event_class) for service, handlers in HANDLED.items() for event_class in handlers],
    ids=lambda value: value if isinstance(value, str) else value.wire_type,
)
@effort(2)
@given(data=st.data())
def test_what_is_well_formed_arrives_as_the_event_that_was_sent(
    service: str, event_class: type[Event], data: st.DataObject
) -> None:
    """Fuzzing would prove nothing if the reader refused everything."""
    topic = next(topic for topic in read_by(service) if event_class in topic.events)
    record = data.draw(well_formed(event_class, topic))
    arrival = reception(service).receive(record)
    assert isinstance(arrival, Arrival)
    assert arrival.fault is None
    assert arrival.event == event_class.model_validate_json(record.value or b"")


@effort(80)
@given(envelopes())
def test_what_we_write_we_read_unchanged(envelope: Envelope) -> None:
    """Whatever texts, numbers and times an envelope holds."""
    key, value, headers = encode(envelope)
    assert decode(Record("referral-events", 0, 0, key, value, tuple(headers))) == envelope


@pytest.mark.parametrize("name", ["ce_type", "ce_id", "ce_time", "content-type", "x"])
def test_a_header_without_a_value_is_as_good_as_none(name: str) -> None:
    """Kafka's headers may be null; a record with one must not stop the worker."""
    record = Record(PARTNER.name, 0, 0, None, b"{}", ((name, None),))
    with pytest.raises(InvalidMessage, match="is missing"):
        decode(record)
    arrival = reception("referral").receive(record)
    assert arrival is not None
    assert arrival.fault is not None
    assert arrival.fault.words == "the header ce_type is missing"


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_moment_that_utc_does_not_know_is_a_fault_of_the_record(moment: str) -> None:
    """It once left `receive` as an OverflowError: the worker stopped, and stopped again at every start."""
    child = "00000000-0000-4000-8000-000000000001"
    value = (
        f'{{"child_id":"{child}","agency":"school","agency_id":"s-1","locality":"ely",'
        f'"concerns":["N1"],"made_at":"{moment}"}}'
    )
    headers = {
        "ce_specversion": "1.0",
        "ce_id": "1",
        "ce_source": "/partners/s-1",
        "ce_type": "partner.referral_made.v1",
        "ce_time": "2026-09-07T09:00:00Z",
    }
    record = Record(
        PARTNER.name, 0, 0, child.encode(), value.encode(), tuple((n, v.encode()) for n, v in headers.items())
    )
    arrival = reception("referral").receive(record)
    assert arrival is not None
    assert arrival.fault is not None
    assert (arrival.fault.reason, arrival.fault.words) == (
        "malformed",
        "made_at: in UTC it lies before the year 1 or after the year 9999",
    )
