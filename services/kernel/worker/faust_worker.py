"""The Faust worker that carries a service's consumer, relay and scanner: life cycle, supervision, signals."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from itertools import chain

import faust
from faust.app import BootStrategy
from mode import CrashingSupervisor
from mode.types import ServiceT

LIBRARIES = ("aiokafka", "kafka")
"""Log every failed attempt to reach a broker; the consumer and the relay report the change, once."""


class _OnlyServices(BootStrategy):
    """Starts the carried services in order; they stop in reverse order."""

    app: "App"
    enable_kafka = False
    enable_web = False

    def server(self) -> Iterable[ServiceT]:
        """Return what runs."""
        return chain(super().server(), self.app.carried)


class App(faust.App):
    """A Faust application that runs the services it is given and opens no Kafka connection of its own."""

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
        """Complete the configuration. Faust would also build a consumer, loop included, that never runs."""
        self.finalize()


def create_app(name: str, *, services: Sequence[ServiceT]) -> App:
    """Return the application `name` that will run `services`; connects to nothing and reads no setting.

    Any exception that leaves a task of a service ends the whole worker with exit code 1.
    """
    return App(name, services=services)


def run(app: App) -> int:
    """Run the application until SIGTERM, SIGINT or a crash; return the exit code, 0 or 1.

    Blocks. Stopping lets every service finish first. Logging stays as it was configured, except that the
    Kafka clients keep quiet about attempts that are repeated anyway.
    """
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(logging.CRITICAL)
    with asyncio.Runner() as runner:
        # Faust's objects ask for the current loop before it runs.
        asyncio.set_event_loop(runner.get_loop())
        worker = _Worker(app, quiet=True, override_logging=False, redirect_stdouts=False)
        worker.spinner = None
        runner.run(worker.run())
    return 1 if worker.crash_reason is not None else 0


class _Worker(faust.Worker):
    """Runs in a loop that exists. Faust's own way to run sleeps up to two seconds at the end."""

    async def run(self) -> None:
        """Return when the worker has stopped, whether by a signal or by a crash."""
        self._all_stopped = asyncio.Event()
        starting = asyncio.create_task(self.start())
        stopped = asyncio.create_task(self._all_stopped.wait())
        # `start` returns when the worker is told to stop; a part that still starts by then is cut short.
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        starting.cancel()
        try:
            await starting
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - a part that cannot start ends the worker as a crash does
            await self.crash(error)
        # After a signal Faust is already stopping, and this call returns at once: hence the wait.
        await self.stop()
        await stopped

    async def on_shutdown(self) -> None:
        """Note that all parts have stopped."""
        self._all_stopped.set()
