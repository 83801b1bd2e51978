"""From the HTTP request that accepts a referral to the alert its lead professional can see, hop by hop."""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from aiohttp import ClientSession, ClientTimeout, TCPConnector
from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy.engine import make_url

from deploy.embedded.system import running_system
from schemas.topics import ASSESSMENT, REFERRAL, TOPICS, read_by
from services.kernel.base.settings import Settings
from services.kernel.kafka.admin import Bus
from tests.bench.backlog import START
from tests.bench.cpu import CpuMeter
from tests.bench.percentiles import percentile, summary
from tests.bench.say import say, table
from tests.bench.stage import BenchFailed, Stage, until

SERVICES = ("referral", "assessment", "placement", "notify")
PROGRAMS = ("web", "mail", *(f"worker-{service}" for service in SERVICES))
START_UP_RATE = 50
"""The system is warmed up at this rate, whatever is measured: a JVM compiles what it has run often."""
WARM_UP_SECONDS = 10.0
"""The first requests of every rate are not counted; of a short measurement the first third is not."""
SETTLE_SECONDS = 60.0
MAIL_SECONDS = 600.0
"""One mailer sends some hundred emails a second, and every new referral makes one."""
GAP_SECONDS = 10.0
"""A position that has not become visible by then never will: its transaction was rolled back."""
SEEN_EVERY = 20
"""Every so many alerts are also looked up over HTTP: what is measured is what people see."""

HOPS = ("http", "accepted", "accepted on bus", "assigned on bus", "alert")
"""The moments of one referral: request due, its answer, when both relays published, the alert's commit."""

WORDS = {
    "accepted": "HTTP request to its answer, which follows the commit in referral",
    "accepted on bus": "referral's relay, after the answer",
    "assigned on bus": "assessment: poll, commit and relay",
    "alert": "notify: poll to commit",
}

COMMITTED = """
    SELECT position, key, subject,
        type = 'alert.raised.v2' AND data ->> 'kind' = 'lead_professional.assigned'
        AND data ->> 'role' = 'lead_professional' AS wanted
    FROM journal WHERE position > $1 OR position = ANY($2::bigint[]) ORDER BY position
"""

Moments = defaultdict[UUID, dict[str, float]]


@dataclass(frozen=True)
class Latency:
    """What happened to the referrals of one rate."""

    per_second: int
    moments: Sequence[Mapping[str, float]]
    http_seconds: Sequence[float]
    """From the request to its answer."""
    cpu_ms: Mapping[str, float]
    """CPU milliseconds per referral, by process; `client` is the benchmark itself."""

    @property
    def figures(self) -> dict[str, Any]:
        """Return percentiles in milliseconds: from the request to the alert, and the median of every hop."""
        whole = [each["alert"] - each["http"] for each in self.moments]
        hops = {
            name: round(percentile([each[name] - each[before] for each in self.moments], 0.5) * 1000, 2)
            for before, name in pairwise(HOPS)
        }
        return {
            **summary(whole),
            "http_answer_p50": summary(self.http_seconds)["p50"],
            "hops_p50": hops,
            "cpu_ms_per_referral": {name: round(spent, 2) for name, spent in self.cpu_ms.items()},
            "referrals": len(self.moments),
        }


async def measure_latency(
    stage: Stage, rates: Mapping[int, float], localities: Sequence[str]
) -> list[Latency]:
    """Run the whole system and accept referrals at each rate (per second) for so many seconds."""
    for topic in TOPICS:
        await stage.topics(topic.partitions, [topic])
    environ = {**os.environ, **stage.engines.env(), "LEADLINE_LOG_LEVEL": "warning"}
    # A working morning, whatever the hour here: at night people are left in peace, and emails cost nothing.
    clock = {"LEADLINE_CLOCK_START": START.isoformat(), "LEADLINE_CLOCK_EPOCH": stage.now().isoformat()}
    system = running_system(
        stage.home / "system",
        say=lambda _: None,
        environ=environ,
        services=SERVICES,
        free_ports=True,
        extra_env=clock,
    )
    running = await asyncio.to_thread(system.__enter__)
    try:
        if running.site is None:
            raise BenchFailed("the system serves no pages")
        for topic, group in ((REFERRAL, "assessment"), (REFERRAL, "notify"), (ASSESSMENT, "notify")):
            await stage.joined(group, 1, topic.partitions, topic.name)
        pids = {name: running.supervisor.pid(name) for name in PROGRAMS}
        pids |= {name: pid for name, pid in stage.engine_pids.items() if name in ("kafka", "postgres")}
        warm_up = max(map(warm_up_seconds, rates.values()))
        await _one_rate(stage, running.site, START_UP_RATE, warm_up, localities, pids)
        return [
            await _one_rate(stage, running.site, rate, seconds, localities, pids)
            for rate, seconds in rates.items()
        ]
    finally:
        await asyncio.to_thread(system.__exit__, None, None, None)


def warm_up_seconds(seconds: float) -> float:
    """Return how long requests go out before those that are counted, in a measurement of so many seconds."""
    return min(WARM_UP_SECONDS, seconds / 2)


async def _one_rate(
    stage: Stage,
    site: str,
    per_second: int,
    seconds: float,
    localities: Sequence[str],
    pids: Mapping[str, int],
) -> Latency:
    warm_up = int(per_second * warm_up_seconds(seconds))
    counted = int(per_second * seconds)
    async with AsyncExitStack() as stack:
        connector = TCPConnector(limit=64)
        session = ClientSession(site, connector=connector, timeout=ClientTimeout(30.0), raise_for_status=True)
        client = await stack.enter_async_context(session)
        moments: Moments = defaultdict(dict)
        made = await _refer(client, warm_up + counted, localities)
        await _quiet(stage)
        watch = Watch(stage, moments)
        await stack.enter_async_context(watch)
        meter = CpuMeter({name: [pid] for name, pid in pids.items()})
        children = list(made)
        begun = time.monotonic() + 0.5
        accepting = asyncio.create_task(_accept(client, made, per_second, moments, begun))
        await asyncio.sleep(begun + warm_up / per_second - time.monotonic())
        meter.start()
        own = time.process_time()
        http_seconds = await accepting
        await _all_alerted(moments, children)
        used = {**meter.used(), "client": time.process_time() - own}
        await _look_up(client, watch, children[::SEEN_EVERY])
        await watch.look_back()
    return Latency(
        per_second,
        [moments[child_id] for child_id in children[warm_up:]],
        http_seconds[warm_up:],
        {name: cpu_seconds / counted * 1000 for name, cpu_seconds in used.items()},
    )


async def _refer(client: ClientSession, count: int, localities: Sequence[str]) -> dict[UUID, str]:
    """Refer so many children; return their referrals by child."""
    gate = asyncio.Semaphore(8)

    async def one(number: int) -> tuple[UUID, str]:
        child_id = uuid4()
        body = {
            "child_id": str(child_id),
            "agency": "school",
            "agency_id": "school-0123",
            "locality": localities[number % len(localities)],
            "concerns": ["N1"],
            "immediate_risk": False,
        }
        async with gate, client.post("/referrals", json=body, headers=_once(f"r-{child_id}")) as answer:
            return child_id, (await answer.json())["referral_id"]

    return dict(await asyncio.gather(*(one(number) for number in range(count))))


def _once(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


async def _quiet(stage: Stage) -> None:
    """Wait until everybody has read everything, and the last email about it has gone."""
    async with Bus(Settings(kafka=stage.engines.kafka)) as bus:

        async def caught_up() -> bool:
            lags = [await bus.lag(service, read_by(service)) for service in SERVICES]
            return not any(behind for lag in lags for behind in lag.values())

        await until(caught_up, "all services have caught up", within=SETTLE_SECONDS)
    async with stage.connection(_database(stage, "notify")) as connection:

        async def mailed() -> bool:
            return not await connection.fetchval(
                "SELECT EXISTS (SELECT FROM deliveries WHERE state = 'queued')"
            )

        await until(mailed, "the emails about new referrals have gone", within=MAIL_SECONDS)


def _database(stage: Stage, service: str) -> str:
    database = make_url(stage.engines.database_url.replace("{service}", service)).database
    assert database is not None
    return database


async def _accept(
    client: ClientSession, made: Mapping[UUID, str], per_second: int, moments: Moments, begun: float
) -> list[float]:
    """Accept the referrals on a fixed timetable, whether or not earlier answers have come."""
    body = {"decided_by": "W-0101", "outcome": "accept", "override_reason": "professional-judgement"}

    async def one(child_id: UUID, referral_id: str, at: float) -> float:
        await asyncio.sleep(at - time.monotonic())
        # Time runs from when the request was due: a client that is late has waited, too.
        moments[child_id]["http"] = at
        address = f"/referrals/{referral_id}/decision"
        async with client.post(address, json=body, headers=_once(f"d-{child_id}")) as answer:
            await answer.read()
        moments[child_id]["accepted"] = time.monotonic()
        return moments[child_id]["accepted"] - at

    return await asyncio.gather(
        *(
            one(child_id, referral_id, begun + number / per_second)
            for number, (child_id, referral_id) in enumerate(made.items())
        )
    )


async def _all_alerted(moments: Moments, children: Sequence[UUID]) -> None:
    give_up = time.monotonic() + SETTLE_SECONDS
    while missing := [child for child in children if "alert" not in moments[child]]:
        if time.monotonic() > give_up:
            raise BenchFailed(f"{len(missing)} of {len(children)} referrals have led to no alert")
        await asyncio.sleep(0.05)


async def _look_up(client: ClientSession, watch: "Watch", children: Sequence[UUID]) -> None:
    for child_id in children:
        async with client.get(f"/alerts/{watch.alerts[child_id]}") as answer:
            shown = await answer.json()
        if shown["child_id"] != str(child_id):
            raise BenchFailed(f"an alert that was committed is not to be seen: {child_id}")


class Watch:
    """Sees alerts by the notification that comes with their commit; the bus is read when all is over.

    Whoever watches takes CPU from what is watched: so one connection waits, and the records on the bus
    say themselves when they were published.
    """

    def __init__(self, stage: Stage, moments: Moments) -> None:
        self.alerts: dict[UUID, UUID] = {}
        """The lead professional's alert by child."""
        self._stage = stage
        self._moments = moments
        self._stack = AsyncExitStack()
        self._ends: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> "Watch":
        """Begin to watch: only what comes from now on counts."""
        connection = await self._stack.enter_async_context(
            self._stage.connection(_database(self._stage, "notify"))
        )
        woken = asyncio.Event()
        await connection.add_listener("outbox", lambda *_: woken.set())
        since = await connection.fetchval("SELECT coalesce(max(position), 0) FROM journal")
        task = asyncio.create_task(self._follow(connection, woken, since))
        self._stack.callback(task.cancel)
        async with self._bus() as consumer:
            self._ends = await consumer.end_offsets(consumer.assignment())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop watching."""
        await self._stack.aclose()

    async def look_back(self) -> None:
        """Read from the bus when each event was published."""
        hops = {
            b"referral.accepted.v1": "accepted on bus",
            b"lead_professional.assigned.v1": "assigned on bus",
        }
        ahead = self._stage.now().timestamp() - time.monotonic()
        async with self._bus() as consumer:
            ends = await consumer.end_offsets(consumer.assignment())
            for place, offset in self._ends.items():
                consumer.seek(place, offset)
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=1000)).values():
                    for record in records:
                        hop = hops.get(dict(record.headers)["ce_type"])
                        if hop is not None:
                            at = record.timestamp / 1000 - ahead
                            self._moments[UUID(record.key.decode())].setdefault(hop, at)

    @asynccontextmanager
    async def _bus(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self._stage.engines.kafka)
        await consumer.start()
        try:
            places = [
                TopicPartition(topic.name, number)
                for topic in (REFERRAL, ASSESSMENT)
                for number in range(topic.partitions)
            ]
            consumer.assign(places)
            yield consumer
        finally:
            await consumer.stop()

    async def _follow(self, connection: "asyncpg.Connection[Any]", woken: asyncio.Event, since: int) -> None:
        gaps = Gaps(since)
        while True:
            await woken.wait()
            woken.clear()
            now = time.monotonic()  # the notification comes with the commit, the query after it
            for position, child_id, subject, wanted in await connection.fetch(
                COMMITTED, gaps.last, gaps.open(now)
            ):
                gaps.seen(position, now)
                if wanted:
                    self._moments[child_id].setdefault("alert", now)
                    self.alerts[child_id] = subject


class Gaps:
    """The last position seen, and those before it that are missing: transactions commit out of order."""

    def __init__(self, last: int) -> None:
        self.last = last
        self._missing: dict[int, float] = {}

    def open(self, now: float) -> list[int]:
        """Return the positions that may still become visible."""
        self._missing = {
            position: since for position, since in self._missing.items() if now - since < GAP_SECONDS
        }
        return list(self._missing)

    def seen(self, position: int, now: float) -> None:
        """Note a position that has become visible; new ones come in order."""
        if self._missing.pop(position, None) is None:
            self._missing |= dict.fromkeys(range(self.last + 1, position), now)
            self.last = position


def show(found: Sequence[Latency]) -> None:
    """Print percentiles by rate, and where the time of the median goes."""
    rows = []
    for latency in found:
        figures = latency.figures
        names = ("p50", "p99", "p999", "http_answer_p50")
        rows.append(
            [
                f"{latency.per_second} a second ({figures['referrals']})",
                *(f"{figures[name]:.1f}" for name in names),
                *(f"{figures['hops_p50'][name]:.1f}" for name in HOPS[1:]),
            ]
        )
    heads = ["ms", "p50", "p99", "p99.9", "HTTP answer", *(f"hop {n}" for n in range(1, len(HOPS)))]
    table("referral accepted over HTTP to alert visible (hops: medians)", heads, rows)
    for number, name in enumerate(HOPS[1:], 1):
        say(f"  hop {number}: {WORDS[name]}")
    programs = list(found[0].cpu_ms)
    table(
        "the whole system: CPU milliseconds per accepted referral",
        ["rate", *programs, "all"],
        [
            [
                f"{latency.per_second} a second",
                *(f"{latency.cpu_ms[name]:.1f}" for name in programs),
                f"{sum(latency.cpu_ms.values()):.1f}",
            ]
            for latency in found
        ],
    )
