"""A child lives in one place at a time: finds the episodes that contradict this."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Stay:
    """One episode of one child as the newest return knows it."""

    started_on: date
    ended_on: date | None
    where: str
    """The file and line that report it, for people."""


def overlapping(stays: Iterable[Stay]) -> list[tuple[Stay, Stay]]:
    """Return the stays of one child that begin before an earlier one has ended, each with that earlier one.

    The earlier first day is believed, because later returns repeat it. A refused stay is not compared with
    later ones. An end and a beginning on the same day do not overlap; a stay without an end is open-ended.
    """
    found = []
    current: Stay | None = None
    for stay in sorted(stays, key=lambda stay: stay.started_on):
        if current is not None and (current.ended_on is None or stay.started_on < current.ended_on):
            found.append((stay, current))
        else:
            current = stay
    return found
