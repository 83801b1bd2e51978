"""Publishes the facts of a statutory return, as a partner agency would, and waits until they are handled."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from pathlib import Path
from uuid import UUID, uuid5

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from kafka.producer.future import FutureRecordMetadata

from schemas.events.base import dataschema_uri
from schemas.topics import PARTNER
from services.kernel.base.settings import Settings
from services.kernel.messages.envelope import Envelope, encode
from services.placement.ssda903.checking import Fact, check
from services.placement.ssda903.reading import read_returns
from services.placement.ssda903.report import ImportReport
from services.placement.ssda903.years import Naming, last_day

SOURCE = "/partners/ssda903"
EVENTS = UUID("b8a7b1a4-0c55-5b52-8f0e-0d6a3f2a9c11")
"""Namespace of the events' ids: an id follows from the fact, so that a second run sends the same events."""

HANDLED_BY = "placement"
"""The consumer group, named after its service."""

LINGER_MS = 20
BATCH_BYTES = 128 * 1024
POLL_SECONDS = 0.1
BOOTSTRAP_MS = 10_000
"""A running broker answers within this time; a person is waiting."""

Progress = Callable[[int, int], None]
"""Called with the number of events handled so far and the total."""


def import_returns(
    directory: Path,
    *,
    settings: Settings,
    local_authority: str,
    naming: Naming | None = None,
    wait_seconds: float = 300.0,
    on_progress: Progress | None = None,
) -> ImportReport:
    """Import the returns of one or more years; return what became of every row.

    Reading and checking come first. If it is unclear what the files are, nothing is published. If one of
    them cannot be read, the report names it and the others are imported. Then all facts are published in
    the order of their days, and the call waits for the placement service to handle them, for at most
    `wait_seconds` (the report says whether it has). The call blocks. It may be run again at any time: the
    same rows give the same events, which change nothing.

    `local_authority` is the council's code; a child's id is derived from it and from the return's own code
    for the child. Dates of birth, postcodes, pupil numbers and ethnicity are dropped. `on_progress` is called
    from this thread. Raises ReturnsUnreadable for the files and KafkaError for the broker.
    """
    begun = time.monotonic()
    returns = read_returns(directory)
    checked = check(returns.files, local_authority=local_authority, naming=naming)
    tell = on_progress or _silently
    ends = _publish(checked.facts, settings)
    handled = _wait(ends, len(checked.facts), settings, seconds=wait_seconds, tell=tell)
    return ImportReport(
        years=checked.years.words,
        files=checked.files,
        refusals=checked.refusals,
        left_out=returns.left_out,
        not_read=returns.not_read,
        published=len(checked.facts),
        handled=handled,
        seconds=time.monotonic() - begun,
    )


def envelope_of(fact: Fact) -> Envelope:
    """Return the CloudEvent of a fact. Its time is the fact's day; a header's is the end of its year."""
    event = fact.event
    day = fact.on if fact.on > date.min else last_day(event.return_year)
    data = event.encode()
    return Envelope(
        id=str(uuid5(EVENTS, f"{event.wire_type}\n{data.decode()}")),
        source=SOURCE,
        type=event.wire_type,
        time=datetime.combine(day, time_of_day(), tzinfo=UTC),
        data=data,
        subject=str(event.subject),
        key=str(event.child_id),
        dataschema=dataschema_uri(type(event)),
    )


def _publish(facts: Sequence[Fact], settings: Settings) -> Mapping[TopicPartition, list[int]]:
    """Publish facts in order; return the offsets of all of them. Raises the first failure."""
    producer = KafkaProducer(
        **settings.kafka_client(),
        acks="all",
        enable_idempotence=settings.kafka_idempotent,
        # Without the idempotent producer's numbers a retry could overtake its successor.
        max_in_flight_requests_per_connection=5 if settings.kafka_idempotent else 1,
        linger_ms=LINGER_MS,
        batch_size=BATCH_BYTES,
        allow_auto_create_topics=False,
        bootstrap_timeout_ms=BOOTSTRAP_MS,
    )
    try:
        sent: list[FutureRecordMetadata] = []
        for fact in facts:
            key, value, headers = encode(envelope_of(fact))
            sent.append(producer.send(PARTNER.name, value=value, key=key, headers=headers))
        producer.flush()
        offsets: dict[TopicPartition, list[int]] = {}
        for future in sent:
            place = future.get(timeout=0)
            offsets.setdefault(TopicPartition(place.topic, place.partition), []).append(place.offset)
        return offsets
    finally:
        producer.close()


def _wait(
    offsets: Mapping[TopicPartition, Sequence[int]],
    total: int,
    settings: Settings,
    *,
    seconds: float,
    tell: Progress,
) -> bool:
    """Wait until the placement service's group has committed past every offset; False when time is up."""
    give_up = time.monotonic() + seconds
    admin = KafkaAdminClient(**settings.kafka_client())
    try:
        while True:
            handled = _handled(offsets, admin) if offsets else 0
            tell(handled, total)
            if handled == total:
                return True
            if time.monotonic() > give_up:
                return False
            time.sleep(POLL_SECONDS)
    finally:
        admin.close()


def _handled(offsets: Mapping[TopicPartition, Sequence[int]], admin: KafkaAdminClient) -> int:
    """Return how many of the offsets the group has committed past; 0 while the broker cannot tell."""
    try:
        committed = admin.list_group_offsets({HANDLED_BY: list(offsets)})[HANDLED_BY]
    except KafkaError as error:
        if not error.retriable:
            raise
        return 0
    return sum(
        sum(offset < committed[place].offset for offset in ours)
        for place, ours in offsets.items()
        if place in committed
    )


def _silently(_handled: int, _total: int) -> None:
    """The default `on_progress`: does nothing."""
