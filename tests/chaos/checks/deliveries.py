"""Deliveries: whatever should leave the inbox has one, and each has the history that its row tells of."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from tests.chaos.evidence import Delivery, Entry, Evidence
from tests.chaos.ledger import Ledger

MAILED = frozenset({"soon", "urgent"})
"""What is more than routine goes out by email, under England's policy pack."""

QUEUED = "notification.queued.v1"
ABSENT, WAITING = "absent", "waiting"
AFTER: Mapping[tuple[str, str], str] = {
    (ABSENT, QUEUED): WAITING,
    (WAITING, "notification.sent.v1"): "sent",
    (WAITING, "notification.withdrawn.v1"): "not_needed",
    (WAITING, "needless"): "not_needed",
    ("sent", "notification.acknowledged.v1"): "sent",
}
"""What may follow, by where a delivery stands: each of them once.

This run's mail server refuses nothing and sends no receipts. `needless` is an acknowledgement that came
before the email went.
"""

TAKEN_BACK: Mapping[str, str] = {
    "settled": "alert.settled.v1",
    "reassigned": "alert.reassigned.v1",
    "needless": "alert.acknowledged.v1",
}
"""By the reason why an email did not go, what must have become of its alert."""


def delivery_violations(_ledger: Ledger, evidence: Evidence) -> list[str]:
    """Return a sentence for each delivery that is missing, one too many, stuck, or not as its events say."""
    notify = evidence.journals.get("notify", ())
    return [*_wanted(notify), *_histories(notify, evidence)]


def _wanted(notify: Sequence[Entry]) -> Iterator[str]:
    """Everybody gets one email about each alert, one more for each reminder, and none that is routine."""
    urgencies: dict[UUID, str] = {}
    wanted: Counter[tuple[UUID, str]] = Counter()
    queued: Counter[tuple[UUID, str]] = Counter()
    for entry in notify:
        data = entry.data
        match entry.type:
            case "alert.raised.v2":
                urgencies[entry.subject] = data["urgency"]
                to = data["recipient_id"]
            case "alert.reassigned.v1":
                to = data["to_id"]
            case "notification.escalated.v1" if data["to"] == "reminder":
                to = data["recipient_id"]
            case "notification.queued.v1":
                queued[UUID(data["alert_id"]), data["recipient_id"]] += 1
                if data["channel"] != "email":
                    yield f"delivery {entry.subject} goes by {data['channel']}, which this run does not have"
                if data.get("held_until") and urgencies.get(UUID(data["alert_id"])) == "urgent":
                    yield f"delivery {entry.subject} is urgent and is held"
                continue
            case _:
                continue
        if urgencies.get(entry.subject) in MAILED:
            wanted[entry.subject, to] += 1
    for alert_id, recipient in wanted.keys() | queued.keys():
        should, has = wanted[alert_id, recipient], queued[alert_id, recipient]
        if should != has:
            yield f"alert {alert_id}: {has} emails were queued for {recipient}, it should be {should}"


def _histories(notify: Sequence[Entry], evidence: Evidence) -> Iterator[str]:
    """What was told of a delivery is what its row says; what is over is over."""
    histories: defaultdict[UUID, list[Entry]] = defaultdict(list)
    became: set[tuple[UUID, str]] = set()
    for entry in notify:
        if entry.type.startswith("notification.") and entry.type != "notification.escalated.v1":
            histories[entry.subject].append(entry)
        elif entry.type.startswith("alert."):
            became.add((entry.subject, entry.type))
    rows = {row.delivery_id: row for row in evidence.deliveries}
    for delivery_id in rows.keys() - histories.keys():
        yield f"delivery {delivery_id} has a row and no event"
    for delivery_id, history in histories.items():
        history.sort(key=lambda entry: entry.sequence)
        row = rows.get(delivery_id)
        if row is None:
            yield f"delivery {delivery_id} has events and no row"
            continue
        wrong = (*_wrong(history, row), *_stuck(row, evidence), *_groundless(history, row, became))
        yield from (f"delivery {delivery_id}: {words}" for words in wrong)


def _wrong(history: Sequence[Entry], row: Delivery) -> Iterator[str]:
    """Yield what is wrong with one delivery's events, given in order, and its row."""
    state = ABSENT
    for entry in history:
        what = "needless" if entry.data.get("needless") else entry.type
        if (state, what) not in AFTER:
            yield f"{what} when it was {state}"
            return
        state = AFTER[state, what]
        if entry.type == "notification.sent.v1" and UUID(entry.data["message_id"]) != row.message_id:
            yield "was sent with another message than its row says"
    first = history[0].data
    if (UUID(first["alert_id"]), first["recipient_id"]) != (row.alert_id, row.recipient):
        yield "was queued for another alert or recipient than its row says"
    held = first.get("held_until")
    if row.held_until != (datetime.fromisoformat(held) if held else None):
        yield f"was held until {held}, its row says {row.held_until}"
    waits = {"queued", "held"} if held else {"queued"}
    if row.state not in (waits if state == WAITING else {state}):
        yield f"is {row.state}, its events say {state}"


def _stuck(row: Delivery, evidence: Evidence) -> Iterator[str]:
    """Yield why a delivery that has not gone should have: all is over, and the mailer had time."""
    until = row.held_until
    if row.state == "held" and (until is None or until <= evidence.now):
        yield f"is still held, and should have gone at {until}"
    if row.state == "queued":
        if not evidence.mail_stopped:
            yield "is still queued, though nothing kept the mailer from it"
        if row.claimed_until is not None and evidence.over and row.claimed_until < evidence.over:
            yield f"was claimed until {row.claimed_until}, and nobody took it up again"


def _groundless(history: Sequence[Entry], row: Delivery, became: set[tuple[UUID, str]]) -> Iterator[str]:
    for entry in history:
        reason = "needless" if entry.data.get("needless") else entry.data.get("reason")
        if reason is not None and (row.alert_id, TAKEN_BACK[reason]) not in became:
            yield f"was taken back as {reason}, which its alert is not"
