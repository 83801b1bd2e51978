"""A running system's own checker: does each store agree with itself, and has what was sent arrived?

It changes nothing and holds nothing up: every look is a short read-only transaction with a time-out. What
is on its way in a running system gets a grace before it is a finding.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from services.kernel.audit import queries as audit_queries
from services.kernel.audit.between import Crossing, handled
from services.kernel.audit.copies import Copies
from services.kernel.audit.findings import STORE, ReportLine
from services.kernel.audit.passing import UNANSWERED, Passing, outlast
from services.kernel.audit.queries import Extent, looking
from services.kernel.audit.within import Audited, Within
from services.kernel.base import metrics
from services.kernel.base.clock import Clock, SystemClock

NOTHING = Extent(0, 0, whole=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """The scope of an audit: everything, or one service's store and what it has sent and received.

    `since` is a position of that one service's journal: what others have sent it is then left out. `last`
    limits every journal to its last events.
    """

    only: str | None = None
    since: int | None = None
    last: int | None = None

    def crosses(self, producer: str, consumer: str) -> bool:
        """Return whether the events of one service for another are looked at."""
        if self.since is not None:
            return producer == self.only
        return self.only in {None, producer, consumer}


async def audit(
    stores: Sequence[Audited], clock: Clock, *, grace_seconds: float, scope: Scope
) -> list[ReportLine]:
    """Ask every question and return a line for each, by service in the order of `stores`.

    Takes as long as the journals are long, and up to the grace once more when something has not arrived.
    """
    begun = time.monotonic()
    opened: list[ReportLine] = []
    withins: list[Within] = []
    extents: dict[str, Extent | None] = {}
    for store in stores:
        store.away = ""
        extents[store.name] = extent = await _extent(store, scope)
        if scope.only not in {None, store.name}:
            continue
        if extent is None:
            opened.append(STORE.unseen(store.name, store.away))
            continue
        opened.append(STORE.line(store.name, (), until=extent.until))
        withins.append(Within(store, extent, clock))
        await withins[-1].look()
    crossings = [
        Crossing(producer, consumer, extents[producer.name] or NOTHING, types)
        for producer in stores
        for consumer in stores
        if (types := handled(producer.service, consumer.service))
        and scope.crosses(producer.name, consumer.name)
    ]
    copies = [
        Copies(owner, holder, copied, extents[owner.name] or NOTHING)
        for holder in stores
        for copied in holder.copies
        for owner in stores
        if owner.name == copied.owner and scope.crosses(owner.name, holder.name)
    ]
    for one in copies:
        await one.look()
    watched: list[Passing] = [one for within in withins for _, one in within.watched]
    await _arrivals(crossings, [*watched, *copies], grace_seconds)
    lines = [
        *opened,
        *(line for within in withins for line in within.told(grace_seconds=grace_seconds)),
        *(crossing.line(grace_seconds=grace_seconds) for crossing in crossings),
        *(one.line(grace_seconds=grace_seconds) for one in copies),
    ]
    names = [store.name for store in stores]
    lines.sort(key=lambda line: names.index(line.service))
    measure(lines, seconds=time.monotonic() - begun)
    return lines


def measure(lines: Sequence[ReportLine], *, seconds: float) -> None:
    """Show an audit's outcome as metrics. Of what it could not look at the last count stays."""
    for line in lines:
        blind = line.outcome == "could not look"
        metrics.AUDIT_BLIND.labels(line.service, line.check).set(blind)
        if not blind:
            metrics.AUDIT_FINDINGS.labels(line.service, line.check).set(line.count)
    now = SystemClock().now().timestamp()
    for service in {line.service for line in lines}:
        metrics.AUDIT_ENDED.labels(service).set(now)
        metrics.AUDIT_SECONDS.labels(service).set(seconds)


async def _extent(store: Audited, scope: Scope) -> Extent | None:
    """Return which part of a store's journal to look at; None when the store does not answer."""
    since = scope.since if scope.only == store.name else None
    try:
        async with looking(store.engine) as connection:
            return await audit_queries.extent(connection, since=since, last=scope.last)
    except UNANSWERED as error:
        store.away = store.gave_up(error)  # a store that does not answer this is not asked for more
        return None


async def _arrivals(crossings: Sequence[Crossing], watched: Sequence[Passing], grace_seconds: float) -> None:
    """Follow every crossing to its end, or to what has not arrived within the grace."""
    going, waiting = list(crossings), list(watched)
    while going or waiting:
        for crossing in going:
            await crossing.look()
        await outlast([*waiting, *going], grace_seconds=grace_seconds)
        going, waiting = [crossing for crossing in going if crossing.more], []
