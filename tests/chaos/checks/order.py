"""Order: whoever reads a topic sees each aggregate's events in the order in which they happened."""

from collections.abc import Iterable

from tests.chaos.evidence import Evidence, Published
from tests.chaos.ledger import Ledger


def order_violations(_ledger: Ledger, evidence: Evidence) -> list[str]:
    """Return a sentence for each event that came too early, in the wrong place, or as another one.

    An event that was published before may come again, with its own id: that happens after a crash and is
    harmless. The first time, it comes right after the one before it.
    """
    return in_order(record for record in evidence.records if record.sequence is not None)


def in_order(records: Iterable[Published]) -> list[str]:
    """Return what is wrong with records that are given in the order of their partitions."""
    found: list[str] = []
    numbered: dict[tuple[str, str | None], dict[int, str | None]] = {}
    partitions: dict[tuple[str, str | None], int] = {}
    for record in records:
        known = numbered.setdefault((record.topic, record.subject), {})
        assert record.sequence is not None
        what = f"{record.type} of {record.subject} at {record.place}"
        if partitions.setdefault((record.topic, record.key), record.partition) != record.partition:
            found.append(f"{what}: another partition than the other events of its key")
        if record.sequence in known:
            if known[record.sequence] != record.event_id:
                found.append(f"{what}: number {record.sequence} is another event's")
            continue
        if record.sequence != len(known) + 1:
            found.append(f"{what}: number {record.sequence} comes after {max(known, default=0)}")
        known[record.sequence] = record.event_id
    return found
