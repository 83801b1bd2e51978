"""The senders of a worker: one task for each lane that has work, so that none waits for another."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta

import structlog
from mode import Service as Part

from services.kernel.base.clock import Clock, SystemClock
from services.kernel.base.ending import CancelledInside, kind_of, place_of
from services.kernel.base.settings import Settings
from services.kernel.postgres.connection import Engine
from services.kernel.postgres.database import is_transient
from services.kernel.processing.loops import Waiting, keep_doing, worst
from services.notify import metrics
from services.notify.delivery.channels.carrier import Carrier
from services.notify.delivery.channels.configured import DIRECT, SUBSCRIBED, Carriers, channels_of
from services.notify.delivery.sender import Sender
from services.notify.delivery.store import claims
from services.notify.delivery.store import subscriptions as subscription_store
from services.notify.delivery.store.claims import SenderKey

log = structlog.get_logger()

PATIENCE_SECONDS = 25.0
"""How long a worker that stops waits for what is on its way; then the lease brings it back."""


class Dispatcher(Part):
    """Looks every `send_seconds` which lanes have something to send, and lets each go its own pace.

    A hanging endpoint keeps its own task busy and nothing else: no connection to the store is held while
    a far side takes its time.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        clock: Clock,
        *,
        real: Clock | None = None,
        carriers: Carriers | None = None,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._engine = engine
        self._clock = clock
        self._real = real or SystemClock()
        self._carriers = carriers or Carriers(settings, real=self._real)
        self._lease = timedelta(seconds=settings.claim_seconds)
        self._channels = channels_of(settings)
        self._lanes: dict[SenderKey, Sender] = {}
        self._running: dict[SenderKey, asyncio.Task[int]] = {}

    @Part.task
    async def _look_for_ever(self) -> None:
        waiting = Waiting("database away, messages wait")
        await keep_doing(self, self.look, pause_seconds=self._settings.send_seconds, waiting=waiting)

    async def look(self) -> None:
        """Begin to drain every lane that has work and is not being drained. Raises what a lane has raised."""
        done = {key: task for key, task in self._running.items() if task.done()}
        self._running = {key: task for key, task in self._running.items() if key not in done}
        _raise_what_ended(done.values())
        async with self._engine.connect() as connection:
            found = await claims.busy(
                connection,
                direct=self._channels.intersection(DIRECT),
                subscribed=self._channels.intersection(SUBSCRIBED),
                now=self._real.now(),
            )
        for key in found:
            lane = self._lane(key)
            if key not in self._running and lane.may_send() and not self.should_stop:
                self._running[key] = asyncio.create_task(self._drain(lane), name=f"lane {key.channel.value}")
        self._measure()

    async def send_due(self) -> int:
        """Drain every lane that has work, once, and wait for all; return how many messages were taken.

        Raises what a lane has raised, after the others have ended: none goes on behind its caller's back.
        """
        await self.look()
        running, self._running = list(self._running.values()), {}
        if running:
            await asyncio.wait(running)
        _raise_what_ended(running)
        return sum(task.result() for task in running)

    async def on_stop(self) -> None:
        """Let what is on its way arrive and be recorded; begin nothing new."""
        for lane in self._lanes.values():
            lane.stop()
        if self._running:
            _, late = await asyncio.wait(self._running.values(), timeout=PATIENCE_SECONDS)
            for task in late:
                task.cancel()
            for ended in await asyncio.gather(*self._running.values(), return_exceptions=True):
                if isinstance(ended, Exception) and not is_transient(ended):
                    log.error("a lane failed while stopping", error=kind_of(ended), at=place_of(ended))

    async def on_shutdown(self) -> None:
        """Let go of what the channels hold."""
        self._carriers.close()

    async def _drain(self, lane: Sender) -> int:
        carrier = await self._carrier(lane.key)
        return await lane.drain(carrier)

    async def _carrier(self, key: SenderKey) -> Carrier:
        if key.subscription_id is None:
            return self._carriers.direct(key.channel)
        async with self._engine.connect() as connection:
            # Asked each time: a subscription that moved or has a new key counts from the next drain on.
            return self._carriers.subscribed(await subscription_store.get(connection, key.subscription_id))

    def _lane(self, key: SenderKey) -> Sender:
        if key not in self._lanes:
            self._lanes[key] = Sender(
                key, self._engine, clock=self._clock, real=self._real, lease=self._lease
            )
        return self._lanes[key]

    def _measure(self) -> None:
        for channel in self._channels:
            resting = [lane for key, lane in self._lanes.items() if key.channel is channel]
            metrics.LANES_RESTING.labels(channel.value).set(sum(not lane.may_send() for lane in resting))


def _raise_what_ended(tasks: Iterable[asyncio.Task[int]]) -> None:
    """Raise the worst of what tasks that are done have ended with. Nobody cancels a lane but `on_stop`."""
    ended = worst(CancelledInside() if task.cancelled() else task.exception() for task in tasks)
    if ended is not None:
        raise ended
