"""Offsets: a topic is a log. What stood at an offset stands there for whoever reads it later."""

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.evidence import Evidence, Published
from tests.chaos.ledger import Ledger

Place = tuple[str, int]


def offset_violations(_ledger: Ledger, evidence: Evidence) -> list[str]:
    """Return a sentence for each poll that skipped or went back, and each offset that changed or is gone.

    A broker that was wiped is another one: only what was seen on the present one is compared.
    """
    logs: defaultdict[Place, list[Published]] = defaultdict(list)
    for record in evidence.records:
        logs[record.topic, record.partition].append(record)
    return [*evidence.wrong_polls, *_unordered(logs), *_changed(logs, evidence)]


def _unordered(logs: dict[Place, list[Published]]) -> Iterator[str]:
    for place, log in logs.items():
        for expected, record in enumerate(log, start=log[0].offset):
            if record.offset != expected:
                yield f"{place}: the recount read {record.offset} where {expected} comes next"
                break


def _changed(logs: dict[Place, list[Published]], evidence: Evidence) -> Iterator[str]:
    for place, seen in evidence.seen.items():
        now = {record.offset: record.digest for record in logs.get(place, ())}
        for offset, digest in enumerate(seen):
            if not digest:
                continue  # skipped, which is told already
            if offset not in now:
                yield f"{place}: offset {offset} was read and is gone"
            elif now[offset] != digest:
                yield f"{place}: offset {offset} was read with another value"
