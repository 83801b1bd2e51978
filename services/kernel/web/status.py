"""How far a service has come, and waiting until nothing is left to do."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka.errors import KafkaError

from services.kernel.base.examples import example
from services.kernel.base.settings import Settings
from services.kernel.kafka.admin import Bus
from services.kernel.processing.commands import CommandExecutor
from services.kernel.processing.service import Service
from services.kernel.store.standing import StoreStanding, standing
from services.kernel.web.answers import Shown

_PAUSE_SECONDS = 0.01

STAND: Mapping[str, Any] = {
    "service": "referral",
    "now": "2026-03-03T09:00:00Z",
    "at_rest": True,
    "lag": {"partner-events": 0},
    "outbox_pending": 0,
    "deadlines_due": 0,
    "due": 0,
    "parked": 0,
    "waiting": 0,
    "events": {"referral.received.v1": 412},
}


class Bridge:
    """One connection to the bus for all questions of this process, made when first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bus: Bus | None = None

    async def lag(self, service: Service[Any]) -> dict[str, int]:
        """Return a service's lag by topic. Raises KafkaError while no broker answers."""
        if self._bus is None:
            bus = Bus(self._settings)
            await bus.__aenter__()
            self._bus = bus
        try:
            return await self._bus.lag(service.name, service.reads)
        except KafkaError:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect."""
        bus, self._bus = self._bus, None
        if bus is not None:
            with suppress(KafkaError):
                await bus.__aexit__(None, None, None)


@dataclass(frozen=True, slots=True)
class Stand:
    """How far one service has come at a moment of its clock."""

    service: str
    now: datetime
    store: StoreStanding
    due: int
    """Work that has fallen due beside deadlines and is still to be done."""
    lag: Mapping[str, int] | None = None
    """Unread events by topic; None: not known."""
    moved: bool = False
    """Whether an event was published while we looked."""

    @property
    def left_in_store(self) -> bool:
        """Return whether the store shows something that is still to be done."""
        return bool(self.store.pending or self.store.deadlines_due or self.due)

    @property
    def at_rest(self) -> bool:
        """Return whether nothing is left to do, in the store or on the bus."""
        read_all = self.lag is not None and not sum(self.lag.values())
        return read_all and not self.left_in_store and not self.moved

    def shown(self) -> "ShownStand":
        """Return it as the API shows it."""
        return ShownStand(
            service=self.service,
            now=self.now,
            at_rest=self.at_rest,
            lag=self.lag,
            outbox_pending=self.store.pending,
            deadlines_due=self.store.deadlines_due,
            due=self.due,
            parked=self.store.parked,
            waiting=self.store.waiting,
            events=self.store.events,
        )


class ShownStand(Shown):
    """How far one service has come."""

    model_config = example(STAND)

    service: str
    now: datetime
    """By the service's clock, which may be simulated."""
    at_rest: bool
    """Whether nothing is left to do, in the store or on the bus."""
    lag: Mapping[str, int] | None
    """Unread events by topic; null: not known."""
    outbox_pending: int
    """Events that are not yet on the bus."""
    deadlines_due: int
    due: int
    """Work that has fallen due beside deadlines and is still to be done."""
    parked: int
    waiting: int
    """Events that wait behind a parked one."""
    events: Mapping[str, int]
    """Events that the service has ever published, by wire type."""


class ShownStands(Shown):
    """How far each service has come, in the order of a child's journey."""

    model_config = example({"services": [STAND]})

    services: tuple[ShownStand, ...]


async def look(executor: CommandExecutor[Any], bridge: Bridge, *, thorough: bool = True) -> Stand:
    """Return how far a service has come.

    The store is asked before the bus and after it. An event that a service reads of its own is then either
    still to be published at the first question, unread at the second, or new at the third: none is
    overlooked on its way. A look that is not `thorough` ends where the first question found enough.
    """
    first = await _stored(executor)
    if first.left_in_store and not thorough:
        return first
    try:
        lag: dict[str, int] | None = await bridge.lag(executor.service)
    except (KafkaError, OSError):
        lag = None  # unknown while no broker answers
    last = await _stored(executor)
    moved = first.store.pending > 0 or first.store.events != last.store.events
    return Stand(last.service, last.now, last.store, last.due, lag, moved)


async def _stored(executor: CommandExecutor[Any]) -> Stand:
    now = executor.clock.now()
    more = executor.service.count_due
    async with executor.engine.connect() as connection:
        due = 0 if more is None else await more(connection, now)
        return Stand(executor.service.name, now, await standing(connection, now=now), due)


async def rested(
    executors: Sequence[CommandExecutor[Any]], bridge: Bridge, *, within_seconds: float
) -> list[Stand]:
    """Wait for the services in turn until each is at rest, and return how far they have come.

    `executors` are in the order in which events flow, so what has come to rest stays at rest while those
    behind it are waited for. Ends with the first service that is not at rest when the time is over.
    """
    loop = asyncio.get_running_loop()
    over = loop.time() + within_seconds
    stands: list[Stand] = []
    for executor in executors:
        while True:
            stand = await look(executor, bridge, thorough=False)
            if stand.at_rest or loop.time() >= over:
                break
            await asyncio.sleep(_PAUSE_SECONDS)
        stands.append(stand)
        if not stand.at_rest:
            break
    return stands
