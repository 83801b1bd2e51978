"""Reads the evidence: the stores by SQL, the topics from their first record. Nothing of the product helps."""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import datetime
from email.parser import BytesParser
from pathlib import Path
from sys import intern
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from schemas.topics import PARTNER, TOPICS
from tests.chaos.evidence import (
    Alert,
    Case,
    CaseHeardOf,
    DeadlineRow,
    Delivery,
    Entry,
    Evidence,
    Letter,
    Mail,
    Placement,
    Published,
    Referral,
    Update,
    digest,
)
from tests.chaos.witness import Witness

SERVICES = ("referral", "assessment", "placement", "notify")

JOURNAL = """
    SELECT position, event_id, type, subject, sequence, key, causation_id, data::text FROM journal
    ORDER BY position
"""
LETTERS = 'SELECT message_id, state, reason, topic, partition, "offset" FROM dead_letters ORDER BY arrived'
DEADLINES = "SELECT deadline_id, about, version, state FROM deadlines"
REFERRALS = "SELECT referral_id, child_id, version, status FROM referrals"
CASES = "SELECT case_id, referral_id, child_id, version, status, lead_professional_id FROM cases"
PLACEMENTS = "SELECT placement_id, child_id, case_id, version FROM placements"
KNOWN_LEVELS = "SELECT case_id, level FROM known_cases WHERE level IS NOT NULL"
HEARD_OF = "SELECT case_id, status, lead_professional_id FROM cases"
ALERTS = "SELECT alert_id, version, recipient_id, status, settled_at IS NOT NULL FROM alerts"
DELIVERIES = """
    SELECT delivery_id, alert_id, recipient_id, channel, version, state, message_id, held_until,
        CASE WHEN claim IS NOT NULL THEN next_attempt_at END
    FROM deliveries
"""
UPDATES = "SELECT agency_id, position, referral_id, state FROM referrer_updates ORDER BY agency_id, position"

LOOKED_AT = frozenset(
    {
        *("about", "kind", "recipient_id", "role", "urgency", "level", "lead_professional_id"),
        *("due_soon_at", "due_from", "due_at", "raised_at", "agency_id", "referral_id"),
        *("alert_id", "cause_id", "escalates", "to_id", "to", "step", "told_by", "reason"),
        *("reassigned_at", "escalated_at", "channel", "message_id", "held_until", "needless"),
    }
)
"""What the checks look at in events' data; a long run has a million of them."""

LOOKED_INTO = (
    *("deadline.", "alert.", "notification.", "threshold.met."),
    *("referral.received.", "assessment.started."),
)
"""The types of those events."""

ROWS_AT_A_TIME = 5000
MESSAGE_ID = re.compile(r"<([0-9a-fA-F-]{36})@")
ENVELOPE_TO = re.compile(r"\"?([^\"@]+)")
LINK = re.compile(rb"/alerts/([0-9a-f-]{36})\b")
"""What an email names an alert by."""


async def gather(
    dsn: Callable[[str], str],
    kafka: str,
    *,
    mail: Path,
    witness: Witness,
    now: datetime,
    over: datetime,
    mail_stopped: bool,
) -> Evidence:
    """Read everything. `dsn` gives the address of a service's store. Nothing may be at work any more.

    `mail` is where the mail server keeps what it got; `over` and `mail_stopped` are the evidence's.
    """
    cluster_id = await _cluster_id(kafka)
    evidence = Evidence(
        now,
        over=over,
        mail_stopped=mail_stopped,
        records=await _records(kafka),
        mails=list(mails_in(mail)),
        seen=witness.seen.get(cluster_id, {}),
        wrong_polls=witness.wrong,
        journals={},
        pending={},
        inboxes={},
        letters={},
        deadlines={},
    )
    for service in SERVICES:
        connection = await asyncpg.connect(dsn(service))
        try:
            evidence = await _with_store(evidence, service, connection)
        finally:
            await connection.close()
    return evidence


async def _with_store(evidence: Evidence, service: str, connection: "asyncpg.Connection[Any]") -> Evidence:
    """Return the evidence with what a service's store holds."""
    journal = [_entry(*row) async for row in _each(connection, JOURNAL)]
    letters = [
        Letter(message_id, state, reason, (topic, partition, offset))
        async for message_id, state, reason, topic, partition, offset in _each(connection, LETTERS)
    ]
    rows = [DeadlineRow(*row) async for row in _each(connection, DEADLINES)]
    more = replace(
        evidence,
        journals={**evidence.journals, service: journal},
        letters={**evidence.letters, service: letters},
        deadlines={**evidence.deadlines, service: rows},
        pending={**evidence.pending, service: await _column(connection, "SELECT position FROM outbox")},
        inboxes={**evidence.inboxes, service: await _column(connection, "SELECT message_id FROM inbox")},
    )
    match service:
        case "referral":
            return replace(more, referrals=[Referral(*row) async for row in _each(connection, REFERRALS)])
        case "assessment":
            return replace(more, cases=[Case(*row) async for row in _each(connection, CASES)])
        case "placement":
            return replace(
                more,
                placements=[Placement(*row) async for row in _each(connection, PLACEMENTS)],
                known_levels={row[0]: row[1] async for row in _each(connection, KNOWN_LEVELS)},
            )
        case _:
            return replace(
                more,
                alerts=[Alert(*map(_one, row)) async for row in _each(connection, ALERTS)],
                heard_of=[CaseHeardOf(*row) async for row in _each(connection, HEARD_OF)],
                referrers=await _column(connection, "SELECT child_id FROM referrers"),
                deliveries=[Delivery(*map(_one, row)) async for row in _each(connection, DELIVERIES)],
                chronology=await _column(connection, "SELECT message_id FROM heard_events"),
                updates=[Update(*map(_one, row)) async for row in _each(connection, UPDATES)],
            )


async def _each(connection: "asyncpg.Connection[Any]", query: str) -> "AsyncIterator[asyncpg.Record]":
    """Yield a query's rows without holding all of them."""
    async with connection.transaction():
        async for row in connection.cursor(query, prefetch=ROWS_AT_A_TIME):
            yield row


async def _column(connection: "asyncpg.Connection[Any]", query: str) -> frozenset[Any]:
    return frozenset([row[0] async for row in _each(connection, query)])


def _one(value: Any) -> Any:
    """Return the same value; of equal texts, of which there are many, always the same one."""
    return intern(value) if isinstance(value, str) else value


def _entry(
    position: int,
    event_id: UUID,
    wire_type: str,
    subject: UUID,
    sequence: int,
    key: UUID,
    cause: UUID,
    data: str,
) -> Entry:
    looked_into = wire_type.startswith(LOOKED_INTO)
    fields = json.loads(data).items() if looked_into else ()
    looked_at = {name: _one(value) for name, value in fields if name in LOOKED_AT}
    of_the_data = digest(data.encode())
    return Entry(position, event_id, intern(wire_type), subject, sequence, key, cause, looked_at, of_the_data)


def mails_in(folder: Path) -> Iterator[Mail]:
    """Yield the emails that the mail server has kept: who got each, and the alerts that it links to."""
    parser = BytesParser()
    for path in sorted(folder.glob("*.eml")):
        letter = parser.parsebytes(path.read_bytes())
        named, to = (
            MESSAGE_ID.search(letter["Message-ID"] or ""),
            ENVELOPE_TO.match(letter["X-Envelope-To"] or ""),
        )
        body = letter.get_payload(decode=True)
        yield Mail(
            None if named is None else UUID(named.group(1)),
            "" if to is None else intern(to.group(1)),
            frozenset(
                UUID(alert_id.decode()) for alert_id in LINK.findall(body if isinstance(body, bytes) else b"")
            ),
        )


async def _cluster_id(kafka: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        return str((await admin.describe_cluster())["cluster_id"])
    finally:
        await admin.close()


async def _records(kafka: str) -> list[Published]:
    """Return every record of every topic, in order by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, max_partition_fetch_bytes=8 * 1024 * 1024)
    await consumer.start()
    try:
        places = [
            TopicPartition(topic.name, number) for topic in TOPICS for number in range(topic.partitions)
        ]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        found: list[Published] = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for place, records in (await consumer.getmany(timeout_ms=500)).items():
                found += [published(place.topic, record) for record in records]
        return found
    finally:
        await consumer.stop()


def published(topic: str, record: ConsumerRecord) -> Published:
    """Return what a record says of itself. Partners may write anything into a header, and into a key."""
    headers = {name: value.decode(errors="replace") for name, value in record.headers if value is not None}
    sequence = headers.get("ce_sequence") if topic != PARTNER.name else None
    wire_type, source = headers.get("ce_type"), headers.get("ce_source")
    return Published(
        topic,
        record.partition,
        record.offset,
        None if record.key is None else record.key.decode(errors="replace"),
        None if source is None else intern(source),
        headers.get("ce_id"),
        None if wire_type is None else intern(wire_type),
        headers.get("ce_subject"),
        None if sequence is None else int(sequence),
        digest(record.value or b""),
    )
