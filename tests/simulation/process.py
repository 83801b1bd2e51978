"""A simulated worker process: the parts of a service's worker on fakes, started again when it ends."""

import asyncio
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mode import Service as Part

from services.kernel.base.settings import Settings
from services.kernel.kafka.consumer import BatchConsumer
from services.kernel.postgres.connection import Engine
from services.kernel.processing.batches import BatchProcessor
from services.kernel.processing.due_scanner import DeadlineScanner
from services.kernel.processing.relay import Relay
from services.kernel.processing.service import Service
from services.kernel.worker.watch import BusWatch
from tests.simulation.broker import MemoryBroker
from tests.simulation.consumer import MemoryConsumer
from tests.simulation.database import Database
from tests.simulation.driver import MemoryEngine, MemoryRelaying
from tests.simulation.publishing import MemoryBus, MemoryHoldings, MemoryPublisher
from tests.simulation.virtual import OWNER
from tests.simulation.world import PART, Process, World

PATIENCE_SECONDS = 8.0
"""How long a process that was asked to stop has for it."""


class Whole(Part):
    """Carries a process's parts, as Faust's application does: when one crashes, all stop."""


for _class in (BatchConsumer, Relay, DeadlineScanner, BusWatch):
    # Mode keeps the names of a service's tasks in a set, whose order is another one in every process.
    _tasks: Any = _class._tasks
    _tasks[_class._get_class_id()] = sorted(_tasks[_class._get_class_id()])


def _end(process: Process, _: object) -> None:
    process.ended.set()


@dataclass(eq=False)
class Slot:
    """A place where one worker of a service runs, and is started again when it ends."""

    world: World
    name: str
    service: Service[Any]
    database: Database
    broker: MemoryBroker
    settings: Settings
    patience_seconds: float = 60.0
    """How long a delivery waits for its database."""
    process: Process | None = None
    _asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep_running(self) -> None:
        """Start a process, and another one a moment after each end."""
        while True:
            process = self.process = Process(self.name)
            self._asked.clear()
            context = copy_context()
            context.run(OWNER.set, process)
            task = asyncio.get_running_loop().create_task(self._live(), context=context)
            task.add_done_callback(partial(_end, process), context=self.world.context)
            await process.ended.wait()
            if process.alive:
                self.world.note(f"{self.name} ended")
                self.world.kill(process)  # what an ended process leaves open closes
            await asyncio.sleep(self.world.random.uniform(0.05, 0.5))

    def terminate(self) -> None:
        """Ask the process to stop: what it is at is finished first. It is killed when that takes too long."""
        process = self.process
        if process is not None and process.alive and not self._asked.is_set():
            self._asked.set()
            self.world.later(PATIENCE_SECONDS, self.world.kill, process)

    async def _live(self) -> None:
        engine = MemoryEngine(self.database)
        whole = Whole()
        for name, part in self._parts(engine):
            whole.add_dependency(part)
            PART.set(name)
            await part.maybe_start()
            if whole.crashed:
                break
        PART.set("")
        await whole.maybe_start()
        ends = [asyncio.create_task(whole.wait_until_stopped()), asyncio.create_task(self._asked.wait())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        await whole.stop()
        await engine.dispose()

    def _parts(self, engine: Engine) -> list[tuple[str, Part]]:
        """Return what `services.kernel.worker.process.parts_of` does, on fakes."""
        service, broker, world, settings = self.service, self.broker, self.world, self.settings
        delivery = BatchProcessor(
            service, engine, world, calendar=service.calendar, retry_seconds=self.patience_seconds
        )
        intake = BatchConsumer(
            topics=[service.reads[0].name],
            group=service.name,
            bootstrap="memory",
            prepare=delivery.prepare,
            deliver=delivery.settle,
            max_batch=settings.batch,
            session_timeout_seconds=settings.kafka_session_timeout_seconds,
            grace_seconds=1.0,
            consumer=partial(MemoryConsumer, broker),
        )
        relay = Relay(
            settings,
            service=service.name,
            relaying=lambda _address, topic: MemoryRelaying(self.database, topic),
            broker=lambda _settings, topic: MemoryHoldings(broker, topic),
            publisher=lambda _settings, topic: MemoryPublisher(broker, topic),
        )
        scanner = DeadlineScanner(
            engine,
            world,
            service=service.name,
            calendar=service.calendar,
            interval_seconds=settings.scan_seconds,
        )
        watch = BusWatch(intake, settings, bus=lambda _settings: MemoryBus(broker))
        return [("relay", relay), ("scanner", scanner), ("intake", intake), ("bus watch", watch)]
