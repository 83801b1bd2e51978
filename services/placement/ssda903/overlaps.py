"""A child lives in one place at a time: which episodes contradict that."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Stay:
    """One episode of one child as the newest return knows it."""

    started_on: date
    ended_on: date | None
    where: str
    """The file and line that says so, for people."""


def overlapping(stays: Iterable[Stay]) -> list[tuple[Stay, Stay]]:
    """Return the stays of one child that begin before an earlier one has ended, each with that earlier one.

    The earlier first day is believed: it is the one that later returns repeat. A stay that is refused stands
    in nobody's way. An end and a beginning on one day do not overlap; a stay without an end never ends.
    """
    found = []
    current: Stay | None = None
    for stay in sorted(stays, key=lambda stay: stay.started_on):
        if current is not None and (current.ended_on is None or stay.started_on < current.ended_on):
            found.append((stay, current))
        else:
            current = stay
    return found
