"""Notices when another broker answers at the address, and restarts the consumer from the first event."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from mode import Service

from services.kernel.base.settings import Settings
from services.kernel.kafka.admin import Bus
from services.kernel.kafka.clients import is_away
from services.kernel.kafka.consumer import BatchConsumer
from services.kernel.processing.loops import Waiting, keep_doing

log = structlog.get_logger()

WATCH_SECONDS = 2.0
PATIENCE_SECONDS = 10.0


class BusWatch(Service):
    """Compares the cluster id every two seconds; a change means that the bus was lost and rebuilt.

    The relay republishes the journal (relay.py); this makes the consumer read it from the start.
    """

    def __init__(
        self, consumer: BatchConsumer[Any], settings: Settings, *, bus: Callable[[Settings], Bus] = Bus
    ) -> None:
        super().__init__()
        self._bus = bus
        self._consumer = consumer
        self._settings = settings
        self._known: str | None = None
        self._waiting = Waiting("broker unavailable, its identity is not being checked", passes=is_away)

    @Service.task
    async def _watch(self) -> None:
        await keep_doing(self, self._watch_one, pause_seconds=WATCH_SECONDS, waiting=self._waiting)

    async def _watch_one(self) -> None:
        """Watch over one connection for as long as it lasts."""
        async with self._bus(self._settings) as bus:
            while not self.should_stop:
                await self._compare(await asyncio.wait_for(bus.cluster_id(), PATIENCE_SECONDS))
                self._waiting.end()
                await self.sleep(WATCH_SECONDS)

    async def _compare(self, now: str) -> None:
        if self._known is not None and self._known != now:
            log.warning("another broker answers: reading from its first event")
            await self._consumer.rewind()
        self._known = now
