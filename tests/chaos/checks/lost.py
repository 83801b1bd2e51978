"""Lost: somebody was told that it is safe, and it is not there."""

from collections import Counter
from collections.abc import Iterator
from uuid import UUID, uuid5

from schemas.headers import MESSAGE_IDS
from schemas.topics import PARTNER, TOPICS, published_by
from tests.chaos.checks.thresholds import unalerted
from tests.chaos.evidence import Evidence, Published
from tests.chaos.ledger import Ledger

HANDLED = {
    "referral": (),
    "assessment": ("referral.accepted.v1",),
    "placement": (
        "threshold.met.v1",
        "plan.reviewed.v1",
        "case.closed.v1",
        "deadline.overdue.v1",
    ),
    "notify": (
        "referral.received.v1",
        "referral.accepted.v1",
        "referral.closed.v1",
        "assessment.started.v1",
        "lead_professional.assigned.v1",
        "case.closed.v1",
        "deadline.scheduled.v1",
        "deadline.due_soon.v1",
        "deadline.due.v1",
        "deadline.overdue.v1",
        "deadline.met.v1",
        "deadline.paused.v1",
        "deadline.extended.v1",
        "deadline.waived.v1",
        "assessment.completed.v1",
        "threshold.met.v1",
        "threshold.not_met.v1",
        "plan.reviewed.v1",
        "placement.requested.v1",
        "notification.failed.v1",
        "event.parked.v1",
    ),
}
"""What each service must have taken in of what this feed leads to: notify all that others publish."""

READERS = {topic.name: topic.readers for topic in TOPICS}


def lost(ledger: Ledger, evidence: Evidence) -> list[str]:
    """Return a sentence for everything that was promised and is gone."""
    return [
        *ledger.contradicted,
        *_referrals(ledger, evidence),
        *_placements(ledger, evidence),
        *_alerts(evidence),
        *unalerted(evidence),
        *_unpublished(evidence),
        *_unread(evidence),
        *_parked_though_sound(evidence),
    ]


def _referrals(ledger: Ledger, evidence: Evidence) -> Iterator[str]:
    """A referral that was acknowledged is there, under the id that was named, in the state decided on."""
    found = {referral.child_id: referral for referral in evidence.referrals}
    cases = {case.referral_id for case in evidence.cases}
    for child_id in ledger.referred:
        referral = found.get(child_id)
        if referral is None:
            yield f"child {child_id}: the acknowledged referral is not there"
            continue
        named = ledger.referral_ids.get(child_id, referral.referral_id)
        if named != referral.referral_id:
            yield f"child {child_id}: the referral {named} of the answer is not there"
        expected = ledger.decided.get(child_id)
        if expected is None and child_id not in ledger.in_doubt:
            expected = "received"
        if expected is not None and referral.status != expected:
            yield f"referral {referral.referral_id} is {referral.status}, it was told to be {expected}"
        if referral.status == "accepted" and referral.referral_id not in cases:
            yield f"referral {referral.referral_id} was accepted and has no case"


def _placements(ledger: Ledger, evidence: Evidence) -> Iterator[str]:
    """A placement that was acknowledged is there, for a case of its child."""
    asked_for = {placement.child_id: placement.case_id for placement in evidence.placements}
    children = {case.case_id: case.child_id for case in evidence.cases}
    for child_id in ledger.placed:
        if child_id not in asked_for:
            yield f"child {child_id}: the acknowledged placement is not there"
        elif children.get(asked_for[child_id]) != child_id:
            yield f"child {child_id}: the placement hangs on another child's case"


def _alerts(evidence: Evidence) -> Iterator[str]:
    """Each case's lead professional has been told, and what the journal says was raised is in the inbox."""
    raised = [entry for entry in evidence.journals.get("notify", ()) if entry.type == "alert.raised.v2"]
    told = {
        entry.data["about"]
        for entry in raised
        if (entry.data["kind"], entry.data["role"]) == ("lead_professional.assigned", "lead_professional")
    }
    for case in evidence.cases:
        if str(case.case_id) not in told:
            yield f"case {case.case_id}: its lead professional was not told"
    shown = {row.alert_id for row in evidence.alerts}
    for entry in raised:
        if entry.subject not in shown:
            yield f"alert {entry.subject} was raised and is in no inbox"


def _unpublished(evidence: Evidence) -> Iterator[str]:
    """What has left a service's outbox is on its topic; when all is over, nothing is left in one."""
    for service, entries in evidence.journals.items():
        topic = published_by(service).name
        there = {record.event_id for record in evidence.records if record.topic == topic}
        waiting = evidence.pending.get(service, frozenset())
        for entry in entries:
            if str(entry.event_id) not in there:
                where = "is still in the outbox" if entry.position in waiting else "left the outbox"
                yield f"{service}: {entry.type} {entry.event_id} {where} and is not on {topic}"


def _unread(evidence: Evidence) -> Iterator[str]:
    """What is on a topic has reached every service that handles it: its inbox, or its dead letters."""
    places = {service: {letter.place for letter in letters} for service, letters in evidence.letters.items()}
    parked = {
        service: {letter.message_id for letter in letters} for service, letters in evidence.letters.items()
    }
    seen: Counter[tuple[str, UUID]] = Counter()
    for record in evidence.records:
        message_id = _message_id(record)
        for service in READERS[record.topic]:
            # Nobody but referral looks at what the feed's partners send, poison of no type included.
            if not (
                service == "referral" if record.topic == PARTNER.name else record.type in HANDLED[service]
            ):
                continue
            if record.place in places.get(service, ()):
                continue
            if message_id is not None and (
                message_id in evidence.inboxes.get(service, ()) or message_id in parked.get(service, ())
            ):
                continue
            if message_id is not None:
                seen[service, message_id] += 1
                if seen[service, message_id] > 1:
                    continue  # the same event once more: one loss
            yield f"{service} has not taken in {record.type} at {record.place}"


def _message_id(record: Published) -> UUID | None:
    if record.source is None or record.event_id is None:
        return None
    return uuid5(UUID(MESSAGE_IDS), f"{record.source}\n{record.event_id}")


def _parked_though_sound(evidence: Evidence) -> Iterator[str]:
    """The feed's poison cannot be read; whatever else was set aside failed for a reason of our own."""
    for service, letters in evidence.letters.items():
        for letter in letters:
            if letter.reason in {"failed", "rejected", "waiting"} and letter.state in {"parked", "waiting"}:
                yield f"{service} set aside {letter.message_id} at {letter.place}: {letter.reason}"
