"""Agreement: journals, inboxes and what services have learnt of each other tell the same."""

from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID, uuid5

from schemas.headers import MESSAGE_IDS
from tests.chaos.evidence import Entry, Evidence
from tests.chaos.ledger import Ledger

CAUSED = {
    "assessment": ("assessment.started.v1",),
    "notify": ("alert.raised.v2", "alert.repeated.v1", "alert.settled.v1"),
}
"""By service, events that only another event can cause; an escalation has the alert that nobody saw."""

TOLD = frozenset({"received", "accepted", "redirected", "closed", "lead_professional_assigned"})
"""What an agency hears of a referral; this feed closes no case."""

NAMESPACE = UUID(MESSAGE_IDS)


def disagreements(_ledger: Ledger, evidence: Evidence) -> list[str]:
    """Return a sentence for each row without its event, each effect without its cause, each stale copy."""
    return [
        *_rows(evidence),
        *_causes(evidence),
        *_alerts(evidence),
        *_cases_heard_of(evidence),
        *_chronology(evidence),
        *_updates(evidence),
        *_levels(evidence),
    ]


def _rows(evidence: Evidence) -> Iterator[str]:
    """What has a row has the event that made it, and the other way about."""
    rows: Mapping[tuple[str, str], Iterable[UUID]] = {
        ("referral", "referral.received.v1"): [row.referral_id for row in evidence.referrals],
        ("assessment", "assessment.started.v1"): [row.case_id for row in evidence.cases],
        ("placement", "placement.requested.v1"): [row.placement_id for row in evidence.placements],
        ("notify", "alert.raised.v2"): [row.alert_id for row in evidence.alerts],
        ("notify", "notification.queued.v1"): [row.delivery_id for row in evidence.deliveries],
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
        _message_id(service, entry) for service, journal in evidence.journals.items() for entry in journal
    }
    caused = (
        (service, entry)
        for service, wire_types in CAUSED.items()
        for wire_type in wire_types
        for entry in _events(evidence, service, wire_type)
    )
    alerts = {entry.subject: entry for entry in _events(evidence, "notify", "alert.raised.v2")}
    for service, entry in caused:
        what = f"{service}: {entry.type} of {entry.subject}"
        if unseen := entry.data.get("escalates"):
            before = alerts.get(UUID(unseen))
            if before is None or entry.causation_id != before.subject:
                yield f"{what} escalates an alert that was never raised"
            elif entry.data["cause_id"] != before.data["cause_id"]:
                yield f"{what} has another cause than the alert that it escalates"
            continue
        if entry.causation_id not in evidence.inboxes.get(service, frozenset()):
            yield f"{what} has a cause that was never claimed"
        if entry.causation_id not in published:
            yield f"{what} has a cause that is in no journal"
        if UUID(entry.data.get("cause_id", str(entry.causation_id))) != entry.causation_id:
            yield f"{what} names another cause than it has"


def _alerts(evidence: Evidence) -> Iterator[str]:
    """An alert is as its events say: whose it is, whether it was seen, whether it is settled."""
    whose: dict[UUID, str] = {}
    became: set[tuple[UUID, str]] = set()
    for entry in evidence.journals.get("notify", ()):
        match entry.type:
            case "alert.raised.v2":
                whose[entry.subject] = entry.data["recipient_id"]
            case "alert.reassigned.v1":
                whose[entry.subject] = entry.data["to_id"]
            case "alert.acknowledged.v1" | "alert.settled.v1":
                became.add((entry.subject, entry.type))
    for row in evidence.alerts:
        if row.recipient != whose.get(row.alert_id):
            yield f"alert {row.alert_id} is with {row.recipient}, its events say {whose.get(row.alert_id)}"
        if (row.status == "acknowledged") != ((row.alert_id, "alert.acknowledged.v1") in became):
            yield f"alert {row.alert_id} is {row.status}, which its events do not say"
        if row.settled != ((row.alert_id, "alert.settled.v1") in became):
            yield f"alert {row.alert_id}: its row and its events differ on whether it is settled"


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


def _chronology(evidence: Evidence) -> Iterator[str]:
    """A child's chronology holds what the other services have published, and nothing else of theirs."""
    theirs = {
        _message_id(service, entry): f"{entry.type} of {entry.subject}"
        for service, journal in evidence.journals.items()
        for entry in journal
        if service != "notify"
    }
    ours = {_message_id("notify", entry) for entry in evidence.journals.get("notify", ())}
    for message_id in theirs.keys() - evidence.chronology:
        yield f"the chronology lacks {theirs[message_id]}"
    for message_id in evidence.chronology - theirs.keys() - ours:
        yield f"the chronology holds {message_id}, which no journal does"


def _updates(evidence: Evidence) -> Iterator[str]:
    """The agency that made a referral is told what became of it, and of nobody else's."""
    received = _events(evidence, "referral", "referral.received.v1")
    agencies = {entry.subject: entry.data["agency_id"] for entry in received}
    began = _events(evidence, "assessment", "assessment.started.v1")
    referrals = {entry.subject: UUID(entry.data["referral_id"]) for entry in began}
    states = [
        (entry.subject, entry.type.removeprefix("referral.").removesuffix(".v1"))
        for entry in evidence.journals.get("referral", ())
    ]
    states += [
        (referrals.get(entry.subject, entry.subject), "lead_professional_assigned")
        for entry in _events(evidence, "assessment", "lead_professional.assigned.v1")
    ]
    expected = {(agencies.get(about), about, state) for about, state in states if state in TOLD}
    told = {(row.agency_id, row.referral_id, row.state) for row in evidence.updates}
    for agency_id, referral_id, state in expected - told:
        yield f"{agency_id} was not told that referral {referral_id} is {state}"
    for agency_id, referral_id, state in told - expected:
        yield f"{agency_id} was told that referral {referral_id} is {state}, which it is not"


def _levels(evidence: Evidence) -> Iterator[str]:
    """What placement has learnt of a case is what its threshold was; this feed reviews no plan."""
    for entry in _events(evidence, "assessment", "threshold.met.v1"):
        known = evidence.known_levels.get(entry.subject)
        if known != entry.data["level"]:
            level = entry.data["level"]
            yield f"placement holds {known} for the level of case {entry.subject}, it is {level}"


def _message_id(service: str, entry: Entry) -> UUID:
    return uuid5(NAMESPACE, f"/leadline/{service}\n{entry.event_id}")


def _events(evidence: Evidence, service: str, wire_type: str) -> Iterator[Entry]:
    return (entry for entry in evidence.journals.get(service, ()) if entry.type == wire_type)
