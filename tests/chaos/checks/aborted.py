"""Aborted reads: the bus told of something that was then rolled back. Whoever read it believes it still."""

from tests.chaos.evidence import Evidence
from tests.chaos.ledger import Ledger


def aborted_reads(_ledger: Ledger, evidence: Evidence) -> list[str]:
    """Return a sentence for each event on a service's topic that its journal does not hold just so.

    An event that is tried again after a roll-back keeps its id: its first version shows by its other words.
    """
    kept = {
        (f"/leadline/{service}", str(entry.event_id)): entry
        for service, entries in evidence.journals.items()
        for entry in entries
    }
    ours = {f"/leadline/{service}" for service in evidence.journals}
    found = []
    for record in evidence.records:
        if record.source not in ours or record.event_id is None:
            continue
        entry = kept.get((record.source, record.event_id))
        if entry is None:
            found.append(f"{record.type} at {record.place} is not in the journal of {record.source}")
        elif entry.digest != record.digest:
            found.append(f"{record.type} at {record.place} says something else than the journal's event")
    return found
