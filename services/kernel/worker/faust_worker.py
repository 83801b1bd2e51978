"""The Faust worker that runs a service's consumer, relay and scanner: life cycle, supervision, signals."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from itertools import chain

import faust
from faust.app import BootStrategy
from mode import CrashingSupervisor
from mode.types import ServiceT

LIBRARIES = ("aiokafka", "kafka")
"""Loggers that report every failed attempt to reach a broker; the consumer and the relay report it once."""


class _OnlyServices(BootStrategy):
    """Starts the given services in order; they stop in reverse order."""

    app: "App"
    enable_kafka = False
    enable_web = False

    def server(self) -> Iterable[ServiceT]:
        """Return the services."""
        return chain(super().server(), self.app.carried)


class App(faust.App):
    """A Faust application that runs the given services and opens no Kafka connection of its own."""

    BootStrategy = _OnlyServices

    def __init__(self, name: str, *, services: Sequence[ServiceT]) -> None:
        self.carried = tuple(services)
        super().__init__(
            name,
            # An error that reaches the supervisor ends the worker: a restarted part would go on with the
            # next event as if the failed one had been handled.
            agent_supervisor=CrashingSupervisor,
            stream_wait_empty=True,
            topic_disable_leader=True,
            store="memory://",
            web_enabled=False,
            value_serializer="raw",
        )

    async def on_first_start(self) -> None:
        """Create no directories: there are no tables."""

    async def on_start(self) -> None:
        """Complete the configuration. Faust would also build an unused consumer with its own loop."""
        self.finalize()


def create_app(name: str, *, services: Sequence[ServiceT]) -> App:
    """Return the application `name` that will run `services`. Connects to nothing and reads no settings.

    Any exception that escapes a service's task ends the whole worker with exit code 1.
    """
    return App(name, services=services)


def run(app: App) -> int:
    """Run the application until SIGTERM, SIGINT or a crash; return the exit code, 0 or 1.

    Blocks. A stop lets every service finish first. Logging stays as configured, except that the Kafka clients
    do not log attempts that are repeated anyway.
    """
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(logging.CRITICAL)
    with asyncio.Runner() as runner:
        # Faust's objects request the current loop before it runs.
        asyncio.set_event_loop(runner.get_loop())
        worker = _Worker(app, quiet=True, override_logging=False, redirect_stdouts=False)
        worker.spinner = None
        runner.run(worker.run())
    return 1 if worker.crash_reason is not None else 0


class _Worker(faust.Worker):
    """Runs in an existing loop. Faust's own runner sleeps for up to two seconds at the end."""

    async def run(self) -> None:
        """Return when the worker has stopped, by a signal or a crash."""
        self._all_stopped = asyncio.Event()
        starting = asyncio.create_task(self.start())
        stopped = asyncio.create_task(self._all_stopped.wait())
        # `start` returns when the worker is told to stop; a part that is still starting is cancelled.
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        starting.cancel()
        try:
            await starting
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - a part that cannot start ends the worker like a crash
            await self.crash(error)
        # After a signal Faust is already stopping and this call returns at once; hence the wait.
        await self.stop()
        await stopped

    async def on_shutdown(self) -> None:
        """Record that all parts have stopped."""
        self._all_stopped.set()
