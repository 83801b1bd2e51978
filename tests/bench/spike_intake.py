"""Measure the ways to get events into our code, for the decision records 0001 and 0002.

Run against any broker, for instance:

    python -m tests.bench.spike_intake fill --bootstrap 127.0.0.1:19092
    python -m tests.bench.spike_intake service --bootstrap 127.0.0.1:19092   (transport, agent, intake alike)
    python -m tests.bench.spike_intake intake --bootstrap 127.0.0.1:19092 --work 0.015
    python -m tests.bench.spike_intake envelope

``fill`` writes 200,000 events of 600 bytes with nine CloudEvents headers to four partitions.
Each reading run joins a fresh group, reads them all and prints one line; CPU is the process's own. ``--work``
is how long each batch stands still, as it would during a transaction. ``intake`` is the production code.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import aiokafka
import faust
import mode
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faust.app import BootStrategy
from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types import TP

from services.kernel.kafka.consumer import BatchConsumer
from services.kernel.messages.envelope import decode, encode
from services.kernel.messages.record import Record

TOPIC = "spike-intake"
EVENTS = 200_000
PARTITIONS = 4
MAX_BATCH = 500


def attributes(number: int) -> dict[str, str]:
    """The envelope of event ``number``: eight attributes (the content type is the ninth header)."""
    child = str(uuid.UUID(int=number % 5_000))
    return {
        "specversion": "1.0",
        "id": str(uuid.UUID(int=number)),
        "source": "/leadline/referral",
        "type": "referral.accepted.v1",
        "subject": child,
        "time": "2026-03-02T09:30:00.123456Z",
        "dataschema": "referral-accepted/1",
        "partitionkey": child,
    }


def headers(number: int) -> list[tuple[str, bytes]]:
    """The nine headers of event ``number``, in the CloudEvents Kafka binding's binary mode."""
    named = [(f"ce_{name}", value.encode()) for name, value in attributes(number).items()]
    return [("content-type", b"application/json"), *named]


def value(number: int) -> bytes:
    """600 bytes of JSON data."""
    data = json.dumps({"number": number, "case_id": str(uuid.UUID(int=number)), "padding": ""})
    return data.replace('"padding": ""', f'"padding": "{"x" * (600 - len(data))}"').encode()


async def fill(bootstrap: str) -> None:
    """Create the topic and write the events."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
    await admin.close()
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5, max_batch_size=262_144)
    await producer.start()
    started = time.perf_counter()
    try:
        for number in range(EVENTS):
            key = attributes(number)["subject"].encode()
            await producer.send(TOPIC, value(number), key, number % PARTITIONS, None, headers(number))
        await producer.flush()
    finally:
        await producer.stop()
    say(f"wrote {EVENTS:,} events of {len(value(1))} bytes in {time.perf_counter() - started:.1f} s")


def say(line: str) -> None:
    """Print one line of the report."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Meter:
    """Counts what was handed over and ends the worker when all events have come."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.born = time.perf_counter()
        self.seen = 0
        self.batches = 0
        self.done = asyncio.Event()

    def took(self, number: int) -> None:
        """Record that ``number`` events were handed over together."""
        if self.seen == 0:
            self.first, self.cpu = time.perf_counter(), time.process_time()
        self.seen += number
        self.batches += 1
        if self.seen >= EVENTS and not self.done.is_set():
            wall, cpu = time.perf_counter() - self.first, time.process_time() - self.cpu
            self.done.set()
            say(
                f"{self.label:10} {EVENTS / wall:9,.0f} events/s  {cpu / EVENTS * 1e6:5.1f} us CPU/event  "
                f"first event after {self.first - self.born:.2f} s  mean batch {self.seen / self.batches:.0f}"
            )


class Until(mode.Service):
    """Stops the worker once the meter has seen everything."""

    def __init__(self, meter: Meter, stop: Callable[[], Any]) -> None:
        super().__init__()
        self.meter, self.stop_worker = meter, stop

    @mode.Service.task
    async def _end(self) -> None:
        await self.meter.done.wait()
        self.stop_worker()


class OwnConsumer(mode.Service):
    """Way B: our service reads with its own consumer; Faust only keeps the life cycle."""

    def __init__(self, meter: Meter, bootstrap: str, work: float) -> None:
        super().__init__()
        self.meter, self.bootstrap, self.work = meter, bootstrap, work

    @mode.Service.task
    async def _read(self) -> None:
        consumer = aiokafka.AIOKafkaConsumer(
            TOPIC,
            bootstrap_servers=self.bootstrap,
            group_id=f"spike-{uuid.uuid4()}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            while not self.should_stop:
                records = await consumer.getmany(timeout_ms=200, max_records=MAX_BATCH)
                if records:
                    self.meter.took(sum(map(len, records.values())))
                    await asyncio.sleep(self.work)
                    await consumer.commit({tp: batch[-1].offset + 1 for tp, batch in records.items()})
        finally:
            await consumer.stop()


def production(meter: Meter, bootstrap: str, work: float) -> BatchConsumer[Any]:
    """What way B became."""

    async def deliver(records: Sequence[Record]) -> None:
        meter.took(len(records))
        await asyncio.sleep(work)

    return BatchConsumer(
        topics=[TOPIC],
        group=f"spike-{uuid.uuid4()}",
        bootstrap=bootstrap,
        prepare=list,
        deliver=deliver,
        max_batch=MAX_BATCH,
    )


def polled(meter: Meter, work: float) -> type[Transport]:
    """Way A: Faust's own consumer hands whole polls over, past its streams."""

    class WholePolls(Consumer):
        async def _drain_messages(self, fetcher: Any) -> None:
            while not (self.should_stop or fetcher.should_stop):
                records, _ = await self._wait_next_records(1.0)
                if records:
                    meter.took(sum(map(len, records.values())))
                    await asyncio.sleep(work)
                    await self._thread.commit(
                        {TP(tp.topic, tp.partition): batch[-1].offset + 1 for tp, batch in records.items()}
                    )

    class PollTransport(Transport):
        Consumer = WholePolls

    return PollTransport


class NoKafka(BootStrategy):
    """Faust starts neither its consumer nor its producer."""

    enable_kafka = False


def read(way: str, bootstrap: str, work: float) -> None:
    """Run one worker until every event was handed over."""
    data = tempfile.mkdtemp(prefix="spike-")
    app = faust.App(
        f"spike-{uuid.uuid4()}",
        broker=f"kafka://{bootstrap}",
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        broker_max_poll_records=MAX_BATCH,
        datadir=data,
        stream_wait_empty=True,
        value_serializer="raw",
    )
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    meter = Meter(way)
    services: list[mode.Service] = []
    if way in {"service", "intake"}:
        app.boot_strategy = NoKafka(app)
        reader = OwnConsumer if way == "service" else production
        services.append(reader(meter, bootstrap, work))
    else:
        topic = app.topic(
            TOPIC, value_type=bytes, key_type=bytes, value_serializer="raw", key_serializer="raw"
        )
        if way == "transport":
            app.transport = polled(meter, work)([*app.conf.broker], app, loop)

        @app.agent(topic)
        async def events(stream: Any) -> None:
            async for _ in stream:
                meter.took(1)

    worker = faust.Worker(
        app, *services, loop=loop, override_logging=False, quiet=True, redirect_stdouts=False
    )
    worker._sentinel_task = _nothing  # type: ignore[method-assign]  # spares the second Faust sleeps at its end
    until = Until(meter, lambda: worker._schedule_shutdown(signal.SIGTERM))
    worker.add_dependency(until)
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        say(f"{'':10} exit code {end.code}, whole process {time.perf_counter() - meter.born:.2f} s")


async def _nothing() -> None:
    return


def envelope() -> None:
    """Cost of the CloudEvents SDK against our own codec."""
    from cloudevents.core.bindings import kafka
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent

    class Untouched(JSONFormat):
        """Leaves the data alone: pydantic reads and writes it."""

        def read_data(self, body: bytes, datacontenttype: str | None) -> Any:
            return body

        def write_data(self, data: Any, datacontenttype: str | None) -> bytes:
            return bytes(data)

    json_format, untouched = JSONFormat(), Untouched()
    body, raw = value(7), tuple(headers(7))
    key = attributes(7)["subject"].encode()
    sdk_attributes: dict[str, Any] = {
        **attributes(7),
        "time": datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC),
        "datacontenttype": "application/json",
    }
    record = Record(TOPIC, 0, 7, key, body, raw)
    ours = decode(record)
    data = json.loads(body)

    def sdk_decode(form: JSONFormat) -> None:
        kafka.from_kafka(kafka.KafkaMessage(dict(raw), key, body), form, CloudEvent)

    cases: dict[str, Callable[[], object]] = {
        "decode, SDK with its JSON": lambda: sdk_decode(json_format),
        "decode, SDK, data untouched": lambda: sdk_decode(untouched),
        "decode, services.kernel.messages.envelope": lambda: decode(record),
        "encode, SDK with its JSON": lambda: kafka.to_binary(
            CloudEvent(dict(sdk_attributes), data), json_format
        ),
        "encode, SDK, data untouched": lambda: kafka.to_binary(
            CloudEvent(dict(sdk_attributes), body), untouched
        ),
        "encode, services.kernel.messages.envelope": lambda: encode(ours),
    }
    for name, call in cases.items():
        say(f"{name:34} {cost(call):6.2f} us an event")


def cost(call: Callable[[], object], *, rounds: int = 20_000) -> float:
    """Microseconds of CPU per call, best of five rounds."""
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        for _ in range(rounds):
            call()
        best = min(best, time.process_time() - started)
    return best / rounds * 1e6


def main() -> None:
    """Read the command line and run one measurement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["fill", "service", "intake", "transport", "agent", "envelope"])
    parser.add_argument("--work", type=float, default=0.0, help="seconds per batch")
    parser.add_argument("--bootstrap", default="127.0.0.1:9092")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    if arguments.what == "fill":
        asyncio.run(fill(arguments.bootstrap))
    elif arguments.what == "envelope":
        envelope()
    else:
        read(arguments.what, arguments.bootstrap, arguments.work)


if __name__ == "__main__":
    main()
