"""The relay on the real broker: in order, once acknowledged gone from the outbox, and never for ever lost."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from prometheus_client import REGISTRY as METRICS
from sqlalchemy import text
from sqlalchemy.engine import make_url

from deploy.embedded.engines import Engines
from schemas.events import REGISTRY
from schemas.events.base import dataschema_uri
from schemas.topics import REFERRAL
from services.kernel.kafka.producer import Publisher, Receipt
from services.kernel.messages.envelope import Envelope, Message, encode
from services.kernel.processing import relay as relays
from services.kernel.processing.relay import Relay, lost
from services.kernel.store.journal import JournalEntry, RefusedEvent, append, list_refused, send_again
from services.kernel.store.relaying import (
    HELD_UP,
    PENDING,
    PENDING_PAST_HELD_UP,
    Mark,
    Pending,
    Relaying,
)
from services.referral.app import build
from tests.builders import referral_made
from tests.flow.conftest import Bench, MakeBench

pytestmark = pytest.mark.connected


@pytest.fixture
async def referral(topics: Engines, bench: MakeBench) -> Bench:
    return await bench("referral", build)


@asynccontextmanager
async def relaying(bench: Bench, *, looks_every: float = 1.0) -> AsyncIterator[Relay]:
    settings = bench.settings.model_copy(update={"relay_seconds": looks_every})
    relay = Relay(settings, service="referral")
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


@asynccontextmanager
async def driver(bench: Bench) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    url = make_url(bench.settings.database_of("referral")).set(drivername="postgresql")
    connection = await asyncpg.connect(url.render_as_string(hide_password=False))
    try:
        yield connection
    finally:
        await connection.close()


async def drained(bench: Bench) -> None:
    async with asyncio.timeout(30):
        while await bench.rows("SELECT 1 FROM outbox LIMIT 1"):
            await asyncio.sleep(0.02)


async def records_of(bench: Bench, children: set[UUID]) -> list[ConsumerRecord[bytes, bytes]]:
    """Return every record of these children that the broker holds, in the order of their partitions."""
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
        return [record for record in records if record.key and UUID(record.key.decode()) in children]
    finally:
        await consumer.stop()


async def on_the_bus(bench: Bench, children: set[UUID]) -> list[tuple[str, str]]:
    """Return key and event id of every event of these children that the broker holds, in its order."""
    return [
        ((record.key or b"").decode(), dict(record.headers)["ce_id"].decode())
        for record in await records_of(bench, children)
    ]


async def write(bench: Bench, events: Sequence[tuple[UUID, str]]) -> list[str]:
    """Commit an event for each key and data, as a transaction of the service would; return their ids."""
    entries = [
        JournalEntry(uuid4(), "referral.received.v1", uuid4(), 1, key, uuid4(), uuid4(), data)
        for key, data in events
    ]
    async with bench.engine.begin() as connection:
        await append(connection, entries, now=bench.clock.now())
    return [str(entry.event_id) for entry in entries]


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
        await referral.deliver(*map(referral_made, children))
        await drained(referral)
    assert by_key(await on_the_bus(referral, children)) == by_key(await journal_of(referral))


async def test_what_is_on_the_bus_is_the_journal_byte_for_byte(referral: Bench) -> None:
    """Ids, numbers, times and data come out of the database as the envelope would have written them."""
    child = uuid4()
    async with relaying(referral):
        await referral.deliver(referral_made(child))
        await drained(referral)
    expected = [
        encode(
            Envelope(
                id=str(row[0]),
                source="/leadline/referral",
                type=row[1],
                time=row[5],
                data=row[8].encode(),
                subject=str(row[2]),
                key=str(row[4]),
                dataschema=dataschema_uri(REGISTRY[row[1]]),
                sequence=row[3],
                correlationid=str(row[6]),
                causationid=str(row[7]),
            )
        )
        for row in await referral.rows(
            "SELECT event_id, type, subject, sequence, key, time, correlation_id, causation_id, data::text"
            " FROM journal ORDER BY position"
        )
    ]
    found = [
        (record.key, record.value, list(record.headers)) for record in await records_of(referral, {child})
    ]
    assert found == expected


async def test_a_backlog_larger_than_any_record_batch_goes_out_in_order(referral: Bench) -> None:
    """Several reads of the outbox, several record batches of a partition: none overtakes, none twice."""
    children = [uuid4() for _ in range(3)]
    data = '{"text": "' + "x" * 2000 + '"}'
    await write(referral, [(children[number % 3], data) for number in range(2500)])
    async with relaying(referral):
        await drained(referral)
    assert by_key(await on_the_bus(referral, set(children))) == by_key(await journal_of(referral))


@pytest.mark.needs_kafka
async def test_what_is_committed_while_the_relay_publishes_wakes_it(
    referral: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not look again by itself for an hour, and yet the event goes out at once."""
    first, second = uuid4(), uuid4()
    publish = Publisher.publish

    async def meanwhile(self: Publisher, messages: Iterable[Message]) -> list[Receipt]:
        monkeypatch.setattr(Publisher, "publish", publish)
        await write(referral, [(second, "{}")])
        return await publish(self, messages)

    monkeypatch.setattr(Publisher, "publish", meanwhile)
    async with relaying(referral, looks_every=3600.0):
        await write(referral, [(first, "{}")])
        await drained(referral)
    assert len(await on_the_bus(referral, {first, second})) == 2


async def test_a_wake_up_costs_one_read_and_one_removal(
    referral: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that was not full has seen everything; a second, empty one would cost the next event time."""
    reads: list[int] = []
    pending = Relaying.pending

    async def counted(self: Relaying, limit: int) -> list[Pending]:
        rows = await pending(self, limit)
        reads.append(len(rows))
        return rows

    monkeypatch.setattr(Relaying, "pending", counted)
    async with relaying(referral, looks_every=3600.0):
        async with asyncio.timeout(30):
            while not reads:
                await asyncio.sleep(0.02)
        for _ in range(3):
            await write(referral, [(uuid4(), "{}")])
            await drained(referral)
    assert reads == [0, 1, 1, 1]


async def test_a_read_touches_what_is_pending_and_not_the_journal_behind_it(referral: Bench) -> None:
    """However the planner sees the tables: a journal of years must not be read for ten new events."""
    await write(referral, [(uuid4(), "{}") for _ in range(20_000)])
    async with driver(referral) as connection:
        await connection.execute("DELETE FROM outbox WHERE position <= 19990")
        for seen in ("SELECT 1", "ANALYZE journal", "ANALYZE outbox"):
            await connection.execute(seen)
            for statement, reads in ((PENDING, 10), (PENDING_PAST_HELD_UP, 20), (HELD_UP, 10)):
                plan = await connection.fetchval(
                    f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.replace('$1', '1000')}"
                )
                assert read_of("journal", json.loads(plan)[0]["Plan"]) == reads, (seen, statement)


def read_of(table: str, node: dict[str, Any]) -> int:
    """Return how many rows of a table a plan has read, whether or not it then dropped them."""
    below = sum(read_of(table, child) for child in node.get("Plans", ()))
    if node.get("Relation Name") != table:
        return below
    dropped = node.get("Rows Removed by Filter", 0)
    return below + round(float(node["Actual Rows"] + dropped) * float(node["Actual Loops"]))


async def test_only_the_removal_of_what_is_published_does_not_wait_for_the_disk(referral: Bench) -> None:
    """A crash may bring pending rows back; it may not take an event that somebody has committed."""
    async with Relaying(referral.settings.database_of("referral"), REFERRAL.name) as own:
        assert await own._connection.fetchval("SHOW synchronous_commit") == "off"
    assert [row[0] for row in await referral.rows("SHOW synchronous_commit")] == ["on"]


async def test_positions_that_the_journal_lacks_do_not_hold_up_what_it_has(
    referral: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They fill every read, and yet what is behind them goes out; they stay, counted, until it is mended."""
    monkeypatch.setattr(relays, "BATCH", 10)
    children = [uuid4() for _ in range(40)]
    lost, kept = children[:25], children[25:]
    await write(referral, [(child, "{}") for child in children])
    async with driver(referral) as connection:
        await connection.execute("CREATE TEMP TABLE taken AS SELECT * FROM journal WHERE position <= 25")
        await connection.execute("DELETE FROM journal WHERE position <= 25")
        async with relaying(referral, looks_every=0.05):
            await left(referral, 25)
            assert by_key(await on_the_bus(referral, set(children))) == by_key(await journal_of(referral))
            assert set(by_key(await journal_of(referral))) == {str(child) for child in kept}
            await until_counted(25.0)
            await write(referral, [(uuid4(), "{}")])
            await left(referral, 25)
            await connection.execute("INSERT INTO journal OVERRIDING SYSTEM VALUE SELECT * FROM taken")
            await drained(referral)
            await until_counted(0.0)
    assert {key for key, _ in await on_the_bus(referral, set(lost))} == {str(child) for child in lost}


async def left(bench: Bench, count: int) -> None:
    """Wait until the outbox has no more than these."""
    async with asyncio.timeout(30):
        while len(await bench.rows("SELECT 1 FROM outbox")) > count:
            await asyncio.sleep(0.02)


async def until_counted(orphans: float) -> None:
    """Wait for the metric."""
    async with asyncio.timeout(30):
        while METRICS.get_sample_value("leadline_outbox_orphans", {"service": "referral"}) != orphans:
            await asyncio.sleep(0.02)


@pytest.mark.needs_kafka
async def test_a_second_relay_stands_by_and_takes_over(referral: Bench) -> None:
    """Two processes never publish at once; when the first stops the second goes on."""
    children = [uuid4() for _ in range(10)]
    async with relaying(referral) as first:
        await referral.deliver(*map(referral_made, children[:5]))
        await drained(referral)
        async with relaying(referral):
            await first.stop()
            await referral.deliver(*map(referral_made, children[5:]))
            await drained(referral)
    bus = await on_the_bus(referral, set(children))
    assert sorted(bus) == sorted(await journal_of(referral))


async def test_a_broker_that_has_lost_its_events_gets_the_journal_again(referral: Bench) -> None:
    """Another cluster id, or fewer events than acknowledged: all is published again, same ids, same order."""
    children = {uuid4() for _ in range(5)}
    async with relaying(referral):
        await referral.deliver(*map(referral_made, children))
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


TOO_MUCH = json.dumps({"much": "x" * REFERRAL.max_message_bytes})
"""More than the broker takes in one piece."""


async def test_an_event_that_the_broker_does_not_take_holds_up_its_child_alone(referral: Bench) -> None:
    """It is set aside and announced once; whatever is said of other children goes out, then and later."""
    unlucky, others = uuid4(), [uuid4() for _ in range(30)]
    said = [(child, "{}") for child in others]
    events = [*said[:15], (unlucky, "{}"), (unlucky, TOO_MUCH), (unlucky, "{}"), *said[15:]]
    ids = await write(referral, events)
    async with relaying(referral, looks_every=0.05):
        refused = await until_refused(referral)
        await left(referral, 2)
        ids += await write(referral, [(others[0], "{}"), (unlucky, "{}")])
        await left(referral, 3)
        assert len(await referral.rows("SELECT 1 FROM journal WHERE type = 'event.parked.v1'")) == 1
    assert (refused.child_id, refused.reason) == (unlucky, "too_large")
    assert refused.bytes is not None
    assert refused.bytes > REFERRAL.max_message_bytes
    sent = {event for _, event in await on_the_bus(referral, {unlucky, *others})}
    assert sent == set(ids) - {ids[16], ids[17], ids[-1]}


async def test_an_event_that_was_refused_goes_out_when_somebody_says_so(referral: Bench) -> None:
    """With what has waited behind it, in order, also by a relay that did not refuse it itself."""
    child = uuid4()
    before, bad, behind = await write(referral, [(child, "{}"), (child, TOO_MUCH), (child, "{}")])
    async with relaying(referral, looks_every=0.05):
        refused = await until_refused(referral)
        await left(referral, 2)
    async with driver(referral) as connection:
        await connection.execute("UPDATE journal SET data = '{}' WHERE position = $1", refused.position)
    async with relaying(referral, looks_every=0.05):
        async with referral.engine.begin() as stored:
            assert await send_again(stored, refused.position)
            assert not await send_again(stored, refused.position)
        await drained(referral)
    events = [event for _, event in await on_the_bus(referral, {child})]
    assert events[-2:] == [bad, behind]
    assert set(events[:-2]) == {before}


async def until_refused(bench: Bench) -> RefusedEvent:
    """Wait for the event that the broker refuses."""
    async with asyncio.timeout(30):
        while True:
            async with bench.engine.connect() as connection:
                if found := await list_refused(connection):
                    return found[0]
            await asyncio.sleep(0.05)
