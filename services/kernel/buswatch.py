"""Notices that another broker answers at the address, so that the intake starts from its first event."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from mode import Service

from services.kernel.bus import Bus
from services.kernel.ending import never_silently
from services.kernel.intake import Intake
from services.kernel.settings import Settings

log = structlog.get_logger()

WATCH_SECONDS = 2.0
PATIENCE_SECONDS = 10.0


class BusWatch(Service):
    """Compares the cluster id every two seconds; a change means that the bus was lost and set up again.

    The relay publishes the journal again (relay.py); this makes the consuming side read it from the start.
    """

    def __init__(
        self, intake: Intake[Any], settings: Settings, *, bus: Callable[[Settings], Bus] = Bus
    ) -> None:
        super().__init__()
        self._bus = bus
        self._intake = intake
        self._settings = settings

    @Service.task
    async def _watch(self) -> None:
        known: str | None = None
        with never_silently(self):
            while not self.should_stop:
                try:
                    async with self._bus(self._settings) as bus:
                        while not self.should_stop:
                            cluster = await asyncio.wait_for(bus.cluster_id(), PATIENCE_SECONDS)
                            known = await self._compare(known, cluster)
                            await self.sleep(WATCH_SECONDS)
                except (KafkaError, OSError, TimeoutError):
                    await self.sleep(WATCH_SECONDS)  # the intake reports a broker that is away

    async def _compare(self, known: str | None, now: str) -> str:
        if known is not None and known != now:
            log.warning("another broker answers: reading it from its first event")
            await self._intake.rewind()
        return now
