"""The relay's short way to a Kafka record against the long one, and its partitions against the client's."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid5

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import REGISTRY
from schemas.events.base import dataschema_uri
from services.kernel.kafka.producer import partition_of
from services.kernel.messages.envelope import MESSAGES, Envelope, encode
from services.kernel.processing.outgoing import Encoder
from services.kernel.store.relaying import Pending

NINE = datetime(2026, 9, 7, 9, 0, tzinfo=UTC)
SOURCE = "/leadline/referral"


def envelope(wire_type: str, *, time: datetime = NINE, sequence: int = 1) -> Envelope:
    event_class = REGISTRY.get(wire_type)
    return Envelope(
        id=str(uuid5(MESSAGES, "event")),
        source=SOURCE,
        type=wire_type,
        time=time,
        data='{"where": "Märchenweg"}'.encode(),
        subject=str(uuid5(MESSAGES, "subject")),
        key=str(uuid5(MESSAGES, "key")),
        dataschema=None if event_class is None else dataschema_uri(event_class),
        sequence=sequence,
        correlationid=str(uuid5(MESSAGES, "correlation")),
        causationid=str(uuid5(MESSAGES, "cause")),
    )


def pending(of: Envelope) -> Pending:
    texts = (of.id, of.type, of.subject, of.key, of.correlationid, of.causationid)
    event_id, wire_type, subject, key, correlation, cause = (text or "" for text in texts)
    assert of.sequence is not None
    data = of.data.decode()
    return Pending(7, event_id, wire_type, subject, of.sequence, key, of.time, correlation, cause, data)


@pytest.mark.parametrize("wire_type", [*sorted(REGISTRY), "a_type_of.tomorrow.v1"])
def test_every_type_has_the_same_bytes_as_its_envelope(wire_type: str) -> None:
    """Key, value and each header in its place, the first time and from what is remembered of the type."""
    encoder = Encoder(SOURCE)
    for sequence in (1, 2, 1_000_000):
        event = envelope(wire_type, sequence=sequence)
        assert encoder.encode(pending(event)) == encode(event)


def test_every_event_has_its_own_time() -> None:
    """The time of the event before is reused only when it is the same moment, in whatever zone."""
    encoder = Encoder(SOURCE)
    second = timedelta(seconds=1)
    summer = timezone(timedelta(hours=1))
    for time in (NINE, NINE + second, NINE, NINE.astimezone(summer), NINE + timedelta(microseconds=1)):
        event = envelope("referral.accepted.v1")._replace(time=time)
        assert encoder.encode(pending(event)) == encode(event)


@given(st.binary(max_size=80) | st.uuids().map(UUID.__str__).map(str.encode), st.integers(1, 200))
def test_a_key_has_the_partition_that_every_kafka_client_gives_it(key: bytes, count: int) -> None:
    """Who publishes with the client's own partitioner, in any language, meets our events of a child."""
    partitions = list(range(count))
    assert partition_of(key, count) == DefaultPartitioner()(key, partitions, partitions)
