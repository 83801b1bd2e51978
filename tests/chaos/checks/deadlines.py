"""Deadlines: each state whose time came was raised once, none before its time."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from tests.chaos.evidence import Entry, Evidence
from tests.chaos.ledger import Ledger

THRESHOLDS = {
    "deadline.due_soon.v1": "due_soon_at",
    "deadline.due.v1": "due_from",
    "deadline.overdue.v1": "due_at",
}
"""When each state may be raised, by the field of the schedule."""

AT_REST = ("deadline.met.v1", "deadline.waived.v1", "deadline.paused.v1")


def deadlines_missed(_ledger: Ledger, evidence: Evidence) -> list[str]:
    """Return a sentence for each state that is missing, doubled or too early."""
    found: list[str] = []
    for service, entries in evidence.journals.items():
        histories: defaultdict[UUID, list[Entry]] = defaultdict(list)
        for entry in entries:
            if entry.type.startswith("deadline."):
                histories[entry.subject].append(entry)
        for deadline_id, history in histories.items():
            ordered = sorted(history, key=lambda entry: entry.sequence)
            found += [f"{service}: deadline {deadline_id}: {words}" for words in wrong(ordered, evidence.now)]
        scheduled = set(histories)
        found += [
            f"{service}: deadline {row.deadline_id} was never scheduled"
            for row in evidence.deadlines.get(service, ())
            if row.deadline_id not in scheduled
        ]
    return found


def wrong(history: Sequence[Entry], now: datetime) -> Iterator[str]:
    """Yield what is wrong with one deadline's events, given in order, at the moment `now`."""
    dates: dict[str, datetime] = {}
    raised: Counter[str] = Counter()
    running = False
    for entry in history:
        if entry.type in {"deadline.scheduled.v1", "deadline.extended.v1"}:
            dates, raised, running = _dates(entry.data), Counter(), True
        elif entry.type in AT_REST:
            running = False
        elif entry.type in THRESHOLDS:
            raised[entry.type] += 1
            moment = dates.get(THRESHOLDS[entry.type])
            if moment is None:
                yield f"{entry.type} before it was scheduled"
            elif datetime.fromisoformat(entry.data["raised_at"]) < moment:
                yield f"{entry.type} at {entry.data['raised_at']}, before {moment}"
            if raised[entry.type] > 1:
                yield f"{entry.type} was raised {raised[entry.type]} times"
    if running:
        for wire_type in ("deadline.due.v1", "deadline.overdue.v1"):
            if dates[THRESHOLDS[wire_type]] <= now and not raised[wire_type]:
                yield f"{wire_type} was not raised"
        # A warning may be left out when the day itself has come.
        if dates["due_soon_at"] <= now < dates["due_from"] and not raised["deadline.due_soon.v1"]:
            yield "deadline.due_soon.v1 was not raised"


def _dates(data: Any) -> dict[str, datetime]:
    return {name: datetime.fromisoformat(data[name]) for name in ("due_soon_at", "due_from", "due_at")}
