"""The notify service, wired."""

from collections.abc import Collection, Sequence
from datetime import datetime

import mode

from schemas.events.codes import Channel
from schemas.topics import read_by
from services.kernel.base.clock import Clock, SystemClock
from services.kernel.base.settings import Settings
from services.kernel.messages.arrivals import Arrival
from services.kernel.pack.model import PackError, load_pack
from services.kernel.postgres.connection import Connection, Engine
from services.kernel.processing.service import CountDue, Projection, Service
from services.notify.alerts.policy import unrouted
from services.notify.book import NotifyBook
from services.notify.chronology import store as chronology
from services.notify.delivery.channels.configured import Carriers, channels_of
from services.notify.delivery.dispatcher import Dispatcher
from services.notify.delivery.receipts import ReceiptsAsked
from services.notify.delivery.store import claims
from services.notify.due_scanner import DueScanner, count_due
from services.notify.handlers import COMMANDS, HANDLERS
from services.notify.pack.model import NotifyPack
from services.notify.queries.rates import RatesMeasured
from services.notify.referrers.store import updates as agency_updates
from services.notify.store.batch import NotifyStore


def build(settings: Settings) -> Service[NotifyBook, NotifyStore]:
    """Return the service under the council's policy pack.

    Raises PackError when the pack has mistakes, or neither alerts on an event nor lists it as silent: a
    forgotten event must not fall through the net. Events of all topics overtake a parked one of their case,
    because a late alert is worse than one out of order.
    """
    pack = load_pack(settings.policy, NotifyPack)
    forgotten = unrouted(pack, iter(HANDLERS))
    if forgotten:
        what = "name it under alerts or under silent (a deadline's state with :*)"
        raise PackError(tuple(f"{settings.policy}: {name} alerts nobody: {what}." for name in forgotten))
    return Service(
        name="notify",
        store=NotifyStore(pack, channels=channels_of(settings)),
        handlers=HANDLERS,
        commands=COMMANDS,
        calendar=pack.working_calendar,
        lets_pass=frozenset(topic.name for topic in read_by("notify")),
        project=_projection(pack),
        count_due=_counted(channels_of(settings), real=SystemClock()),
    )


def _counted(channels: Collection[Channel], *, real: Clock) -> CountDue:
    async def counted(connection: Connection, now: datetime) -> int:
        """Return how much is due and not yet done, including messages to send."""
        under_way = await claims.count_under_way(connection, channels=channels, now=real.now())
        return await count_due(connection, now) + under_way

    return counted


def _projection(pack: NotifyPack) -> Projection:
    async def project(connection: Connection, arrivals: Sequence[Arrival]) -> None:
        """Keep handled events in the chronology, and write the agencies' updates that follow from them."""
        await chronology.hear(connection, arrivals)
        await agency_updates.tell(connection, arrivals, pack.referrers)

    return project


def extras(settings: Settings, engine: Engine, clock: Clock) -> list[mode.Service]:
    """Return what runs beside the worker: the due scanner and the senders of the configured channels."""
    parts: list[mode.Service] = [
        DueScanner(build(settings), engine, clock, interval=settings.scan_seconds),
        RatesMeasured(engine, clock),
    ]
    if channels_of(settings):
        carriers = Carriers(settings, real=SystemClock())
        parts.append(Dispatcher(settings, engine, clock, carriers=carriers))
        if carriers.api is not None:
            parts.append(ReceiptsAsked(settings, engine, clock, carriers.api))
    return parts
