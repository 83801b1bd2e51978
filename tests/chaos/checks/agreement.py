"""Agreement: journals, inboxes and what services have learnt of each other tell the same."""

from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID, uuid5

from schemas.headers import MESSAGE_IDS
from tests.chaos.evidence import Entry, Evidence
from tests.chaos.ledger import Ledger

CAUSED = {"assessment": "assessment.started.v1", "notify": "alert.raised.v1"}
"""By service, events that only another event can cause."""

NAMESPACE = UUID(MESSAGE_IDS)


def disagreements(_ledger: Ledger, evidence: Evidence) -> list[str]:
    """Return a sentence for each row without its event, each effect without its cause, each stale copy."""
    return [*_rows(evidence), *_causes(evidence), *_cases_heard_of(evidence), *_levels(evidence)]


def _rows(evidence: Evidence) -> Iterator[str]:
    """What has a row has the event that made it, and the other way about."""
    rows: Mapping[tuple[str, str], Iterable[UUID]] = {
        ("referral", "referral.received.v1"): [row.referral_id for row in evidence.referrals],
        ("assessment", "assessment.started.v1"): [row.case_id for row in evidence.cases],
        ("placement", "placement.requested.v1"): [row.placement_id for row in evidence.placements],
        ("notify", "alert.raised.v1"): evidence.alerts,
    }
    for (service, wire_type), ids in rows.items():
        told = {entry.subject for entry in _events(evidence, service, wire_type)}
        there = set(ids)
        for missing in told - there:
            yield f"{service}: {missing} has {wire_type} and no row"
        for extra in there - told:
            yield f"{service}: {extra} has a row and no {wire_type}"


def _causes(evidence: Evidence) -> Iterator[str]:
    """What an event has caused, its service has claimed; and some journal holds the event."""
    published = {
        uuid5(NAMESPACE, f"/leadline/{service}\n{entry.event_id}")
        for service, journal in evidence.journals.items()
        for entry in journal
    }
    for service, wire_type in CAUSED.items():
        claimed = evidence.inboxes.get(service, frozenset())
        for entry in _events(evidence, service, wire_type):
            if entry.causation_id not in claimed:
                yield f"{service}: {wire_type} of {entry.subject} has a cause that was never claimed"
            if entry.causation_id not in published:
                yield f"{service}: {wire_type} of {entry.subject} has a cause that is in no journal"


def _cases_heard_of(evidence: Evidence) -> Iterator[str]:
    """What notify has learnt of a case is what assessment knows."""
    heard_of = {row.case_id: row for row in evidence.heard_of}
    for case in evidence.cases:
        row = heard_of.get(case.case_id)
        if row is None:
            yield f"notify has not heard of case {case.case_id}"
        elif (row.status == "closed") != (case.status == "closed"):
            yield f"notify holds case {case.case_id} for {row.status}, it is {case.status}"
        elif case.status != "closed" and row.lead != case.lead:
            yield f"notify holds {row.lead} for the lead of case {case.case_id}, it is {case.lead}"
    for entry in _events(evidence, "referral", "referral.received.v1"):
        if entry.key not in evidence.referrers:
            yield f"notify does not know who referred child {entry.key}"


def _levels(evidence: Evidence) -> Iterator[str]:
    """What placement has learnt of a case is what its threshold was; this feed reviews no plan."""
    for entry in _events(evidence, "assessment", "threshold.met.v1"):
        known = evidence.known_levels.get(entry.subject)
        if known != entry.data["level"]:
            level = entry.data["level"]
            yield f"placement holds {known} for the level of case {entry.subject}, it is {level}"


def _events(evidence: Evidence, service: str, wire_type: str) -> Iterator[Entry]:
    return (entry for entry in evidence.journals.get(service, ()) if entry.type == wire_type)
