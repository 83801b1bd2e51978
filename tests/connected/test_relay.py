"""The relay on the real broker: in order, once acknowledged gone from the outbox, and never for ever lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaConsumer
from sqlalchemy import text

from deploy.embedded.engines import Engines
from schemas.events import ReferralMade
from schemas.events.codes import AgencyKind, Concern
from services.kernel.relay import Relay, lost
from services.kernel.store.relaying import Mark
from services.referral.app import build
from tests.flow.conftest import Bench, MakeBench

pytestmark = pytest.mark.connected


def made(child: UUID) -> ReferralMade:
    return ReferralMade(
        child_id=child,
        agency=AgencyKind.POLICE,
        agency_id="police-1",
        locality="huntingdon",
        concerns=(Concern.FAMILY_ACUTE_STRESS,),
        made_at=datetime(2026, 9, 7, 8, 0, tzinfo=UTC),
    )


@pytest.fixture
async def referral(topics: Engines, bench: MakeBench) -> Bench:
    return await bench("referral", build)


@asynccontextmanager
async def relaying(bench: Bench) -> AsyncIterator[Relay]:
    relay = Relay(bench.settings, service="referral")
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


async def drained(bench: Bench) -> None:
    async with asyncio.timeout(30):
        while await bench.rows("SELECT 1 FROM outbox LIMIT 1"):
            await asyncio.sleep(0.02)


async def on_the_bus(bench: Bench, children: set[UUID]) -> list[tuple[str, str]]:
    """Return key and event id of every event of these children that the broker holds, in its order."""
    consumer = AIOKafkaConsumer(
        "referral-events", bootstrap_servers=bench.settings.kafka, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        records = []
        for place, end in ends.items():
            while await consumer.position(place) < end:
                records += (await consumer.getmany(place, timeout_ms=1000)).get(place, [])
        return [
            (record.key.decode(), dict(record.headers)["ce_id"].decode())
            for record in records
            if UUID(record.key.decode()) in children
        ]
    finally:
        await consumer.stop()


async def journal_of(bench: Bench) -> list[tuple[str, str]]:
    rows = await bench.rows("SELECT key, event_id FROM journal ORDER BY position")
    return [(str(row[0]), str(row[1])) for row in rows]


def by_key(events: list[tuple[str, str]]) -> dict[str, list[str]]:
    keys: dict[str, list[str]] = {}
    for key, event in events:
        keys.setdefault(key, []).append(event)
    return keys


async def test_the_outbox_reaches_the_bus_in_order_and_is_empty_then(referral: Bench) -> None:
    """Every journal event once, in the order of its key."""
    children = {uuid4() for _ in range(40)}
    async with relaying(referral):
        await referral.deliver(*map(made, children))
        await drained(referral)
    assert by_key(await on_the_bus(referral, children)) == by_key(await journal_of(referral))


async def test_a_second_relay_stands_by_and_takes_over(referral: Bench) -> None:
    """Two processes never publish at once; when the first stops the second goes on."""
    children = [uuid4() for _ in range(10)]
    async with relaying(referral) as first:
        await referral.deliver(*map(made, children[:5]))
        await drained(referral)
        async with relaying(referral):
            await first.stop()
            await referral.deliver(*map(made, children[5:]))
            await drained(referral)
    bus = await on_the_bus(referral, set(children))
    assert sorted(bus) == sorted(await journal_of(referral))


async def test_a_broker_that_has_lost_its_events_gets_the_journal_again(referral: Bench) -> None:
    """Another cluster id, or fewer events than acknowledged: all is published again, same ids, same order."""
    children = {uuid4() for _ in range(5)}
    async with relaying(referral):
        await referral.deliver(*map(made, children))
        await drained(referral)
    async with referral.engine.begin() as connection:
        await connection.execute(text("UPDATE bus_marks SET cluster_id = 'the broker before'"))
    async with relaying(referral):
        async with asyncio.timeout(30):
            while len(await on_the_bus(referral, children)) < 20:
                await asyncio.sleep(0.1)
        await drained(referral)
    for key, events in by_key(await on_the_bus(referral, children)).items():
        once = by_key(await journal_of(referral))[key]
        assert events == once + once


@pytest.mark.parametrize(
    ("ends", "cluster", "expected"),
    [
        ({0: 10}, "a", False),
        ({0: 11}, "a", False),
        ({0: 9}, "a", True),
        ({}, "a", True),
        ({0: 10}, "b", True),
    ],
)
def test_a_shorter_or_another_broker_has_lost_events(
    ends: dict[int, int], cluster: str, expected: bool
) -> None:
    """What was acknowledged must still be there, on the same cluster."""
    assert lost({0: Mark("a", 10)}, ends, cluster_id=cluster) is expected
