"""Doubled: one cause had its effect more than once."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from uuid import UUID

from tests.chaos.evidence import Entry, Evidence
from tests.chaos.ledger import Ledger

ONCE_PER_CHILD = (
    "referral.received.v1",
    "referral.accepted.v1",
    "referral.closed.v1",
    "assessment.started.v1",
    "placement.requested.v1",
)
"""The feed refers each child once and decides once; nobody is placed twice."""


def applied_twice(_ledger: Ledger, evidence: Evidence) -> list[str]:
    """Return a sentence for everything that happened more often than once, or with a gap in between."""
    return [
        *_rows(evidence),
        *_journals(evidence),
        *_versions(evidence),
        *_letters(evidence),
        *_updates(evidence),
    ]


def _rows(evidence: Evidence) -> Iterator[str]:
    referrals = Counter(referral.child_id for referral in evidence.referrals)
    cases = Counter(case.referral_id for case in evidence.cases)
    for child_id, count in referrals.items():
        if count > 1:
            yield f"child {child_id} was referred once and has {count} referrals"
    for referral_id, count in cases.items():
        if count > 1:
            yield f"referral {referral_id} has {count} cases"


def _journals(evidence: Evidence) -> Iterator[str]:
    for service, entries in evidence.journals.items():
        for event_id, count in Counter(entry.event_id for entry in entries).items():
            if count > 1:
                yield f"{service}: event {event_id} is in the journal {count} times"
        once = Counter((entry.type, entry.key) for entry in entries if entry.type in ONCE_PER_CHILD)
        for (wire_type, key), count in once.items():
            if count > 1:
                yield f"{service}: child {key} has {count} of {wire_type}"
        sequences: defaultdict[UUID, list[int]] = defaultdict(list)
        for entry in entries:
            sequences[entry.subject].append(entry.sequence)
        for subject, numbers in sequences.items():
            if sorted(numbers) != list(range(1, len(numbers) + 1)):
                yield f"{service}: {subject} is numbered {sorted(numbers)}"


def _versions(evidence: Evidence) -> Iterator[str]:
    """A row is as far as its journal says."""
    rows = {
        "referral": [(row.referral_id, row.version) for row in evidence.referrals],
        "assessment": [(row.case_id, row.version) for row in evidence.cases],
        "placement": [(row.placement_id, row.version) for row in evidence.placements],
        "notify": [
            *((row.alert_id, row.version) for row in evidence.alerts),
            *((row.delivery_id, row.version) for row in evidence.deliveries),
        ],
    }
    for service, entries in evidence.journals.items():
        counted = Counter(entry.subject for entry in entries)
        deadlines = [(row.deadline_id, row.version) for row in evidence.deadlines.get(service, ())]
        for subject, version in (*rows.get(service, ()), *deadlines):
            if counted[subject] != version:
                yield f"{service}: {subject} has version {version} and {counted[subject]} events"


def _letters(evidence: Evidence) -> Iterator[str]:
    for service, letters in evidence.letters.items():
        for message_id, count in Counter(letter.message_id for letter in letters).items():
            if count > 1:
                yield f"{service}: {message_id} was set aside {count} times"


def _updates(evidence: Evidence) -> Iterator[str]:
    """An agency is told each step of a referral once, and its list has no gap."""
    told = Counter((row.referral_id, row.state) for row in evidence.updates)
    for (referral_id, state), count in told.items():
        if count > 1:
            yield f"that referral {referral_id} is {state} was told {count} times"
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for row in evidence.updates:
        positions[row.agency_id].append(row.position)
    for agency_id, numbers in positions.items():
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            yield f"the updates of {agency_id} are not numbered from 1 to {len(numbers)}"


def alerts_doubled(_ledger: Ledger, evidence: Evidence) -> list[str]:
    """Return a sentence for each recipient who was told of one thing twice, or of one cause.

    Told twice is told twice, whatever ids the two alerts have: what counts is what they are about, and this
    feed schedules no deadline again. An open alert that was told the same once more speaks for both.
    """
    alerts: dict[UUID, Entry] = {}
    told: Counter[tuple[str, str, str]] = Counter()
    causes: Counter[tuple[str, str]] = Counter()
    for entry in evidence.journals.get("notify", ()):
        if entry.type == "alert.raised.v2":
            alerts[entry.subject] = entry
        elif entry.type != "alert.repeated.v1" or entry.subject not in alerts:
            continue
        first = alerts[entry.subject].data
        told[entry.data["about"], first["kind"], first["recipient_id"]] += 1
        causes[entry.data["cause_id"], first["recipient_id"]] += 1
    return [
        *(
            f"{recipient} was told {count} times of {kind} about {about}"
            for (about, kind, recipient), count in told.items()
            if count > 1
        ),
        *(
            f"{recipient} was told {count} times of what {cause} led to"
            for (cause, recipient), count in causes.items()
            if count > 1
        ),
    ]
