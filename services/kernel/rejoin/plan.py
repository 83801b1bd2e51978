"""Decides what a restored store does about each event of one child that it no longer knows. Pure.

An event reaches the bus only behind the earlier ones of its child (relay.py). So an own event on the bus
proves that everything the service had decided about this child before it was published as well.
What was handled before such an event and led to nothing on the bus led to nothing at all, and is not
decided again. What came after the last of them may have led to something that was lost before it was
published, or may never have been handled: that is decided now, as any delivery.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from schemas.events import Event
from services.kernel.messages.arrivals import Arrival
from services.kernel.store.journal import JournalEntry


class Own(NamedTuple):
    """One event that the service has published before, as the bus holds it."""

    entry: JournalEntry
    time: datetime
    event: Event
    published_at: int


class Incoming(NamedTuple):
    """One message that the restored store does not know. `acknowledged`: its offset was committed."""

    arrival: Arrival
    time: datetime
    published_at: int
    acknowledged: bool
    from_partner: bool = False


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Own events whose cause is not available: a request, a deadline, or a message that the bus dropped."""

    events: tuple[Own, ...]


@dataclass(frozen=True, slots=True)
class Redo:
    """A message and its resulting events. It is handled only for its data; the recorded decision stands."""

    incoming: Incoming
    events: tuple[Own, ...]


@dataclass(frozen=True, slots=True)
class Learn:
    """A message that led to nothing, or to events that the bus no longer holds: handled only for its data."""

    incoming: Incoming


Step = TakeBack | Redo | Learn


class Horizon(NamedTuple):
    """How far back the service's own topic reaches. `time` is None if the topic is empty."""

    time: datetime | None
    published_at: int

    def hides(self, incoming: Incoming) -> bool:
        """Return whether the events of a message may have left the bus.

        A partner can send any time. For partners, and where there is no time to compare with, the time of
        publishing counts.
        """
        if self.time is None or incoming.from_partner:
            return incoming.published_at < self.published_at
        return incoming.time < self.time


@dataclass
class Plan:
    """The plan for one child: steps in order, then messages to deliver as usual."""

    steps: list[Step] = field(default_factory=list)
    deliver: list[Incoming] = field(default_factory=list)


def plan(
    own: Sequence[Own],
    incoming: Sequence[Incoming],
    *,
    answered: frozenset[UUID] = frozenset(),
    horizon: Horizon | None = None,
    held_up: bool = False,
) -> Plan:
    """Return the plan for a child.

    `own` are its lost events in order of publishing; `incoming` are the unknown messages, in order within
    each topic. `answered` are the causes of own events that cannot be taken back. `horizon` is None while the
    service's topic still has its first event. `held_up`: the child has a parked event, so later ones may have
    waited behind it and must do so again.
    """
    made = Plan()
    waiting = {one.arrival.message_id: one for one in incoming}
    causes = {one.entry.causation_id for one in own}
    for cause, group in groupby(own, key=lambda one: one.entry.causation_id):
        events = tuple(group)
        found = waiting.pop(cause, None)
        if found is None:
            made.steps.append(TakeBack(events))
            continue
        for earlier in _before(found, incoming):
            message = earlier.arrival.message_id
            if earlier.arrival.event is not None and message in waiting and message not in causes:
                del waiting[message]
                made.steps.append(Learn(earlier))
        made.steps.append(Redo(found, events))
    last = max(((one.time, one.published_at) for one in own), default=None)
    for left in waiting.values():
        if left.arrival.event is None:
            made.deliver.append(left)  # it has no usable data: it is parked, as at any delivery
            continue
        forgotten = left.arrival.message_id in answered or (horizon is not None and horizon.hides(left))
        handled = last is not None and not held_up and _was_handled_before(left, last)
        if forgotten or handled:
            made.steps.append(Learn(left))
        else:
            made.deliver.append(left)
    return made


def headless(
    own: Sequence[Own],
    known: Mapping[UUID, int],
    *,
    rests_on: Callable[[Event], UUID | None] = lambda _: None,
) -> set[UUID]:
    """Return the aggregates with a gap in their history that neither the journal nor the bus can fill.

    Includes aggregates that depend on one of these. `known` has the number of events in the journal by
    aggregate; a missing aggregate has none.
    """
    reached = dict(known)
    broken: set[UUID] = set()
    for one in own:
        subject = one.entry.subject
        if one.entry.sequence != reached.get(subject, 0) + 1:
            broken.add(subject)
        reached[subject] = one.entry.sequence
    absent = broken - known.keys()
    rests = {one.entry.subject: rests_on(one.event) for one in own}
    return broken | {
        subject
        for subject, other in rests.items()
        if other is not None and (other in absent or other not in reached)
    }


def _before(found: Incoming, incoming: Sequence[Incoming]) -> list[Incoming]:
    """Return the messages before this one in its topic: a topic is handled in order."""
    same = [one for one in incoming if one.arrival.record.topic == found.arrival.record.topic]
    return same[: same.index(found)]


def _was_handled_before(left: Incoming, last: tuple[datetime, int]) -> bool:
    """Return whether a message was handled before the last own event of its child.

    A message whose offset was never committed may not have been handled at all.
    """
    return left.acknowledged and (left.time, left.published_at) < last
