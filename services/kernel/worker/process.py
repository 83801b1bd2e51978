"""A service's worker process: store, relay, scanner, consumer and metrics in one Faust worker."""

from collections.abc import Callable, Sequence
from typing import Any

from mode import Service as Part
from prometheus_client import start_http_server

from services.kernel.base import garbage, metrics
from services.kernel.base.clock import Clock, clock_of
from services.kernel.base.environment import WrongSettings
from services.kernel.base.logs import configure_logs
from services.kernel.base.settings import Settings
from services.kernel.kafka.consumer import BatchConsumer
from services.kernel.postgres.connection import Engine
from services.kernel.postgres.database import create_engine, open_store
from services.kernel.processing.batches import BatchProcessor
from services.kernel.processing.due_scanner import DeadlineScanner
from services.kernel.processing.loops import keep_doing
from services.kernel.processing.relay import Relay
from services.kernel.processing.service import Service
from services.kernel.worker.faust_worker import create_app, run
from services.kernel.worker.watch import BusWatch

Build = Callable[[Settings], Service[Any, Any]]
Extras = Callable[[Settings, Engine, Clock], Sequence[Part]]

LAG_SECONDS = 5.0


class StoreOpened(Part):
    """Migrates the store before anything else starts, and closes it after everything else has stopped."""

    def __init__(self, engine: Engine, service: str) -> None:
        super().__init__()
        self._engine = engine
        self._service = service

    async def on_start(self) -> None:
        """Wait for the database for a minute, then give up: the orchestrator restarts the worker."""
        await open_store(self._engine, self._service)

    async def on_shutdown(self) -> None:
        """Close the connections."""
        await self._engine.dispose()


class LagReported(Part):
    """Exposes the consumer's lag as a metric."""

    def __init__(self, consumer: BatchConsumer[Any], service: str) -> None:
        super().__init__()
        self._consumer = consumer
        self._service = service

    @Part.task
    async def _keep_reporting(self) -> None:
        await keep_doing(self, self._report, pause_seconds=LAG_SECONDS, waiting=None)

    async def _report(self) -> None:
        for topic, lag in self._consumer.lag.items():
            metrics.CONSUMER_LAG.labels(self._service, topic).set(lag)


def parts_of(
    service: Service[Any],
    settings: Settings,
    engine: Engine,
    clock: Clock,
    *,
    extras: Sequence[Part] = (),
) -> list[Part]:
    """Return the parts of a worker process in start order; they stop in reverse order."""
    calendar = service.calendar
    delivery = BatchProcessor(
        service,
        engine,
        clock,
        calendar=calendar,
        max_value_bytes=settings.max_value_bytes,
        parking_limit=settings.parking_limit,
    )
    consumer = BatchConsumer(
        topics=[topic.name for topic in service.reads],
        group=service.name,
        bootstrap=settings.kafka,
        prepare=delivery.prepare,
        deliver=delivery.settle,
        max_batch=settings.batch,
        session_timeout_seconds=settings.kafka_session_timeout_seconds,
        fetch_wait_ms=settings.kafka_fetch_wait_ms,
        commit_pause_seconds=settings.commit_seconds,
        connection=settings.kafka_client(),
    )
    scanner = DeadlineScanner(
        engine, clock, service=service.name, calendar=calendar, interval_seconds=settings.scan_seconds
    )
    return [
        StoreOpened(engine, service.name),
        Relay(settings, service=service.name),
        scanner,
        *extras,
        consumer,
        BusWatch(consumer, settings),
        LagReported(consumer, service.name),
    ]


def run_worker(name: str, build: Build, settings: Settings, *, extras: Extras | None = None) -> int:
    """Run a service's worker until it is told to stop; return the exit code.

    Blocks. Raises PackError when the policy pack has mistakes, WrongSettings when the metrics port is taken.
    """
    configure_logs(settings, service=name)
    service = build(settings)
    engine = create_engine(settings, name)
    clock = clock_of(settings)
    if settings.metrics_port is not None:
        _serve_metrics(settings.metrics_port)
    more = extras(settings, engine, clock) if extras is not None else ()
    parts = parts_of(service, settings, engine, clock, extras=more)
    app = create_app(f"leadline-{name}", services=parts)
    garbage.look_less_often()
    return run(app)


def _serve_metrics(port: int) -> None:
    try:
        start_http_server(port)
    except OSError:
        problem = f"LEADLINE_METRICS_PORT: cannot listen on port {port}; is it in use?"
        raise WrongSettings(problem) from None
