"""Reads the evidence: the stores by SQL, the topics from their first record. Nothing of the product helps."""

import json
from collections.abc import Callable
from datetime import datetime
from hashlib import blake2b
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import TOPICS
from tests.chaos.evidence import Case, DeadlineRow, Entry, Evidence, Letter, Published, Referral

SERVICES = ("referral", "assessment", "placement", "notify")

JOURNAL = """
    SELECT position, event_id, type, subject, sequence, key, causation_id, data::text FROM journal
    ORDER BY position
"""
LETTERS = 'SELECT message_id, state, reason, topic, partition, "offset" FROM dead_letters ORDER BY arrived'
DEADLINES = "SELECT deadline_id, about, version, state FROM deadlines"
REFERRALS = "SELECT referral_id, child_id, version, status FROM referrals"
CASES = "SELECT case_id, referral_id, child_id, version, status, lead_professional_id FROM cases"


async def gather(dsn: Callable[[str], str], kafka: str, *, now: datetime) -> Evidence:
    """Read everything. `dsn` gives the address of a service's store. Nothing may be at work any more."""
    journals: dict[str, list[Entry]] = {}
    pending: dict[str, frozenset[int]] = {}
    inboxes: dict[str, frozenset[UUID]] = {}
    letters: dict[str, list[Letter]] = {}
    deadlines: dict[str, list[DeadlineRow]] = {}
    referrals: list[Referral] = []
    cases: list[Case] = []
    alerts: list[UUID] = []
    for service in SERVICES:
        connection = await asyncpg.connect(dsn(service))
        try:
            journals[service] = [_entry(*row) for row in await connection.fetch(JOURNAL)]
            positions = await connection.fetch("SELECT position FROM outbox")
            pending[service] = frozenset(row[0] for row in positions)
            ids = await connection.fetch("SELECT message_id FROM inbox")
            inboxes[service] = frozenset(row[0] for row in ids)
            letters[service] = [
                Letter(message_id, state, reason, (topic, partition, offset))
                for message_id, state, reason, topic, partition, offset in await connection.fetch(LETTERS)
            ]
            deadlines[service] = [DeadlineRow(*row) for row in await connection.fetch(DEADLINES)]
            if service == "referral":
                referrals = [Referral(*row) for row in await connection.fetch(REFERRALS)]
            elif service == "assessment":
                cases = [Case(*row) for row in await connection.fetch(CASES)]
            elif service == "notify":
                alerts = [row[0] for row in await connection.fetch("SELECT alert_id FROM alerts")]
        finally:
            await connection.close()
    records = await _records(kafka)
    return Evidence(now, referrals, cases, alerts, journals, pending, inboxes, letters, deadlines, records)


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
    parsed = json.loads(data)
    return Entry(position, event_id, wire_type, subject, sequence, key, cause, parsed, _digest(data.encode()))


def _digest(value: bytes) -> bytes:
    return blake2b(value, digest_size=16).digest()


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
                for record in records:
                    headers = {name: value.decode() for name, value in record.headers}
                    sequence = headers.get("ce_sequence")
                    found.append(
                        Published(
                            place.topic,
                            place.partition,
                            record.offset,
                            None if record.key is None else record.key.decode(),
                            headers.get("ce_source"),
                            headers.get("ce_id"),
                            headers.get("ce_type"),
                            headers.get("ce_subject"),
                            None if sequence is None else int(sequence),
                            _digest(record.value or b""),
                        )
                    )
        return found
    finally:
        await consumer.stop()
