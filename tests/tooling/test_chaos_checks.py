"""The recount of `make chaos`: what is sound passes, and every planted mistake is reported."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest

from tests.chaos.checks import CHECKS
from tests.chaos.checks.escalations import worked
from tests.chaos.evidence import (
    Alert,
    Case,
    CaseHeardOf,
    DeadlineRow,
    Delivery,
    Entry,
    Evidence,
    Letter,
    Mail,
    Placement,
    Published,
    Referral,
    Update,
)
from tests.chaos.feed import NAMESPACE, message_id
from tests.chaos.ledger import Ledger

MONDAY = datetime(2026, 6, 1, 9, tzinfo=UTC)
TUESDAY, WEDNESDAY = datetime(2026, 6, 2, tzinfo=UTC), datetime(2026, 6, 3, tzinfo=UTC)
TOPICS = {
    "referral": "referral-events",
    "assessment": "assessment-events",
    "placement": "placement-events",
    "notify": "notify-events",
}

Change = Callable[[Evidence], Evidence]


def named(name: str) -> UUID:
    """An id that a test can tell apart."""
    return uuid5(NAMESPACE, name)


def named_event(wire_type: str, subject: str, sequence: int) -> UUID:
    """The id of an event that a test can tell apart."""
    return named(f"{wire_type}/{subject}/{sequence}")


def caused_by(service: str, wire_type: str, subject: str, sequence: int) -> UUID:
    """The id under which services know an event of this service."""
    return message_id(f"/leadline/{service}", str(named_event(wire_type, subject, sequence)))


def event(
    position: int, wire_type: str, subject: str, sequence: int, *, cause: UUID | None = None, **data: Any
) -> Entry:
    """A journal entry about the child Ada."""
    identity = named_event(wire_type, subject, sequence)
    return Entry(
        position,
        identity,
        wire_type,
        named(subject),
        sequence,
        named("Ada"),
        cause or named("cause"),
        data,
        identity.bytes,
    )


def alert(
    subject: str,
    cause: UUID,
    *,
    about: str,
    kind: str,
    role: str,
    raised_at: datetime,
    urgency: str = "urgent",
    **more: Any,
) -> Entry:
    """An alert to whoever has a role."""
    return event(
        0,
        "alert.raised.v2",
        subject,
        1,
        cause=cause,
        **{"cause_id": str(cause)} | more,
        about=str(named(about)),
        kind=kind,
        role=role,
        recipient_id=f"W-{role}",
        urgency=urgency,
        raised_at=raised_at.isoformat(),
    )


def escalated(sequence: int, to: str, role: str, told_by: str, at: datetime) -> Entry:
    """A step of the alert that the triage is due, which has two events for each."""
    return event(
        0,
        "notification.escalated.v1",
        "due",
        sequence,
        cause=named("due"),
        alert_id=str(named("due")),
        step=sequence - 1,
        to=to,
        role=role,
        recipient_id=f"W-{role}",
        told_by=str(named(told_by)),
        escalated_at=at.isoformat(),
    )


def settled(subject: str, sequence: int) -> Entry:
    """What an alert asked for has happened."""
    return event(0, "alert.settled.v1", subject, sequence, cause=MET)


def queued(subject: str, about: str, role: str, *, held_until: datetime | None = None) -> Entry:
    """An alert is to go out by email."""
    return event(
        0,
        "notification.queued.v1",
        subject,
        1,
        alert_id=str(named(about)),
        recipient_id=f"W-{role}",
        channel="email",
        held_until=None if held_until is None else held_until.isoformat(),
    )


def sent(subject: str, *, within: str | None = None) -> Entry:
    """A delivery has gone, in a message of its own unless it says `within` which."""
    return event(0, "notification.sent.v1", subject, 2, message_id=str(named(within or subject)))


def delivered(subject: str, about: str, role: str, state: str, **more: Any) -> Delivery:
    """The row of an email of two events."""
    fields = {"message_id": named(subject)} | more
    return Delivery(named(subject), named(about), f"W-{role}", "email", 2, state, **fields)


def record(service: str, offset: int, entry: Entry) -> Published:
    """The entry on the bus."""
    return Published(
        TOPICS[service],
        0,
        offset,
        str(entry.key),
        f"/leadline/{service}",
        str(entry.event_id),
        entry.type,
        str(entry.subject),
        entry.sequence,
        entry.digest,
    )


SCHEDULED: dict[str, Any] = {
    "due_soon_at": TUESDAY.isoformat(),
    "due_from": TUESDAY.isoformat(),
    "due_at": WEDNESDAY.isoformat(),
}
LATER: dict[str, Any] = {name: (MONDAY + timedelta(days=60)).isoformat() for name in SCHEDULED}


DUE = caused_by("referral", "deadline.due.v1", "triage", 2)
OVERDUE = caused_by("referral", "deadline.overdue.v1", "triage", 3)
MET = caused_by("referral", "deadline.met.v1", "triage", 4)
ASSIGNED = caused_by("assessment", "lead_professional.assigned.v1", "case", 2)
PLANNED = caused_by("assessment", "threshold.met.v1", "case", 3)
TRIAGE: dict[str, Any] = {"kind": "triage_decision", "about": str(named("referral"))}
ON_TIME: dict[str, Any] = {"about": "referral", "kind": "deadline.due:triage_decision", "raised_at": TUESDAY}
LATE: dict[str, Any] = {
    "about": "referral",
    "kind": "deadline.overdue:triage_decision",
    "raised_at": WEDNESDAY,
}
OF_THE_CASE: dict[str, Any] = {
    "about": "case",
    "role": "lead_professional",
    "urgency": "soon",
    "raised_at": WEDNESDAY,
}
NOON, EVENING = TUESDAY + timedelta(hours=12), TUESDAY + timedelta(hours=16)
"""Four and eight working hours after the alert of Tuesday night: London is an hour ahead."""
MORNING = WEDNESDAY + timedelta(hours=6, minutes=30)


def told_by_notify() -> list[Entry]:
    """All that follows for the lead, the duty inbox and the manager.

    What was due was settled after two steps. What was late was settled before the manager's email went. The
    lead was told at night: both of what waited for the morning came in one email.
    """
    entries = [
        alert("due", DUE, role="duty_inbox", **ON_TIME),
        queued("mail due", "due", "duty_inbox"),
        sent("mail due"),
        escalated(2, "reminder", "duty_inbox", "due", NOON),
        queued("mail reminder", "due", "duty_inbox"),
        sent("mail reminder"),
        alert(
            "unseen",
            named("due"),
            role="team_manager",
            cause_id=str(DUE),
            escalates=str(named("due")),
            **ON_TIME | {"raised_at": EVENING},
        ),
        escalated(3, "team_manager", "team_manager", "unseen", EVENING),
        queued("mail unseen", "unseen", "team_manager"),
        sent("mail unseen"),
        alert("late", OVERDUE, role="duty_inbox", **LATE),
        queued("mail late", "late", "duty_inbox"),
        sent("mail late"),
        alert("late too", OVERDUE, role="team_manager", **LATE),
        queued("mail late too", "late too", "team_manager"),
        alert("told", ASSIGNED, kind="lead_professional.assigned", **OF_THE_CASE),
        queued("mail told", "told", "lead_professional", held_until=MORNING),
        alert("plan", PLANNED, kind="threshold.met", **OF_THE_CASE),
        queued("mail plan", "plan", "lead_professional", held_until=MORNING),
        settled("due", 4),
        settled("unseen", 2),
        settled("late", 2),
        settled("late too", 2),
        event(0, "notification.withdrawn.v1", "mail late too", 2, reason="settled"),
        sent("mail told"),
        sent("mail plan", within="mail told"),
    ]
    return [replace(entry, position=number) for number, entry in enumerate(entries, 1)]


ALERTS = [
    Alert(named("due"), 4, "W-duty_inbox", "open", settled=True),
    Alert(named("unseen"), 2, "W-team_manager", "open", settled=True),
    Alert(named("late"), 2, "W-duty_inbox", "open", settled=True),
    Alert(named("late too"), 2, "W-team_manager", "open", settled=True),
    Alert(named("told"), 1, "W-lead_professional", "open", settled=False),
    Alert(named("plan"), 1, "W-lead_professional", "open", settled=False),
]

DELIVERIES = [
    delivered("mail due", "due", "duty_inbox", "sent"),
    delivered("mail reminder", "due", "duty_inbox", "sent"),
    delivered("mail unseen", "unseen", "team_manager", "sent"),
    delivered("mail late", "late", "duty_inbox", "sent"),
    delivered("mail late too", "late too", "team_manager", "not_needed"),
    delivered("mail told", "told", "lead_professional", "sent", held_until=MORNING),
    delivered(
        "mail plan",
        "plan",
        "lead_professional",
        "sent",
        message_id=named("mail told"),
        held_until=MORNING,
    ),
]

MAILS = [
    Mail(named("mail due"), "W-duty_inbox", frozenset({named("due")})),
    Mail(named("mail reminder"), "W-duty_inbox", frozenset({named("due")})),
    Mail(named("mail unseen"), "W-team_manager", frozenset({named("unseen")})),
    Mail(named("mail late"), "W-duty_inbox", frozenset({named("late")})),
    Mail(named("mail told"), "W-lead_professional", frozenset({named("told"), named("plan")})),
]


def sound_journals() -> dict[str, list[Entry]]:
    """Ada was referred, triage was late, then she was accepted, has a lead who was told, and was placed."""
    accepted = caused_by("referral", "referral.accepted.v1", "referral", 2)
    return {
        "referral": [
            event(1, "referral.received.v1", "referral", 1, agency_id="school"),
            event(2, "deadline.scheduled.v1", "triage", 1, **SCHEDULED),
            event(3, "deadline.due.v1", "triage", 2, raised_at=TUESDAY.isoformat(), **TRIAGE),
            event(4, "deadline.overdue.v1", "triage", 3, raised_at=WEDNESDAY.isoformat(), **TRIAGE),
            event(5, "referral.accepted.v1", "referral", 2),
            event(6, "deadline.met.v1", "triage", 4),
        ],
        "assessment": [
            event(1, "assessment.started.v1", "case", 1, cause=accepted, referral_id=str(named("referral"))),
            event(2, "lead_professional.assigned.v1", "case", 2, cause=accepted),
            event(3, "deadline.scheduled.v1", "assess", 1, **LATER),
            event(4, "threshold.met.v1", "case", 3, level=4),
        ],
        "placement": [event(1, "placement.requested.v1", "placement", 1)],
        "notify": told_by_notify(),
    }


def sound(notify: list[Entry] | None = None) -> Evidence:
    """All that Ada's journals lead to, everywhere; with another journal of notify's, if one is given."""
    journals = sound_journals() | ({} if notify is None else {"notify": notify})
    own = [
        record(service, offset, entry)
        for service, entries in journals.items()
        for offset, entry in enumerate(entries)
    ]
    partner = Published("partner-events", 0, 0, str(named("Ada")), "/p", "m-1", "partner.referral_made.v1")
    ids = frozenset(
        message_id(each.source, each.event_id) for each in (*own, partner) if each.source and each.event_id
    )
    steps = ("received", "accepted", "lead_professional_assigned")
    return Evidence(
        now=WEDNESDAY + timedelta(hours=9),
        over=WEDNESDAY,
        referrals=[Referral(named("referral"), named("Ada"), 2, "accepted")],
        cases=[Case(named("case"), named("referral"), named("Ada"), 3, "assessing", "W-1")],
        alerts=ALERTS,
        journals=journals,
        pending={},
        inboxes=dict.fromkeys(("referral", "assessment", "placement", "notify"), ids),
        letters={},
        deadlines={
            "referral": [DeadlineRow(named("triage"), named("referral"), 4, "met")],
            "assessment": [DeadlineRow(named("assess"), named("case"), 1, "scheduled")],
        },
        records=[partner, *own],
        placements=[Placement(named("placement"), named("Ada"), named("case"), 1)],
        heard_of=[CaseHeardOf(named("case"), "open", "W-1")],
        referrers=frozenset({named("Ada")}),
        known_levels={named("case"): 4},
        deliveries=DELIVERIES,
        mails=MAILS,
        chronology=frozenset(
            message_id(f"/leadline/{service}", str(entry.event_id))
            for service, entries in journals.items()
            for entry in entries
            if service != "notify"
        ),
        updates=[
            Update("school", number, named("referral"), step) for number, step in enumerate(steps, start=1)
        ],
        seen={("referral-events", 0): [entry.digest for entry in journals["referral"]]},
    )


def promised() -> Ledger:
    """What Ada's school and police were told."""
    return Ledger(
        referred={named("Ada")},
        referral_ids={named("Ada"): named("referral")},
        decided={named("Ada"): "accepted"},
        in_doubt={named("Ada")},
        placed={named("Ada")},
    )


def found(evidence: Evidence, ledger: Ledger | None = None) -> dict[str, int]:
    """The checks that report something, with how much."""
    counts = {name: len(check(ledger or promised(), evidence)) for name, check in CHECKS.items()}
    return {name: count for name, count in counts.items() if count}


def with_journal(service: str, change: Callable[[list[Entry]], list[Entry]]) -> Change:
    """Change one service's journal."""
    return lambda evidence: replace(
        evidence, journals={**evidence.journals, service: change(list(evidence.journals[service]))}
    )


def with_records(change: Callable[[list[Published]], list[Published]]) -> Change:
    """Change what is on the bus."""
    return lambda evidence: replace(evidence, records=change(list(evidence.records)))


def without(wire_type: str) -> Callable[[list[Published]], list[Published]]:
    """Leave out what has a type."""
    return lambda records: [each for each in records if each.type != wire_type]


def forgotten_by(service: str, source: str, event_id: str) -> Change:
    """Take a message out of one inbox."""

    def change(evidence: Evidence) -> Evidence:
        ids = evidence.inboxes[service] - {message_id(source, event_id)}
        return replace(evidence, inboxes={**evidence.inboxes, service: ids})

    return change


def told(change: Callable[[list[Entry]], list[Entry]]) -> Change:
    """Change what notify has told."""
    return with_journal("notify", change)


def never(wire_type: str, subject: str | None = None, sequence: int | None = None) -> Change:
    """Take events out of notify's journal: of a type, about one thing, with one number, as far as stated."""

    def is_meant(entry: Entry) -> bool:
        about = subject is None or entry.subject == named(subject)
        return entry.type == wire_type and about and sequence in {None, entry.sequence}

    return told(lambda entries: [entry for entry in entries if not is_meant(entry)])


def also(*more: Entry) -> Change:
    """Put events at the end of notify's journal."""
    return told(lambda entries: [*entries, *more])


def otherwise(wire_type: str, subject: str, **data: Any) -> Change:
    """Let one of notify's events say something else."""
    return told(
        lambda entries: [
            replace(entry, data={**entry.data, **data})
            if (entry.type, entry.subject) == (wire_type, named(subject))
            else entry
            for entry in entries
        ]
    )


def both(*changes: Change) -> Change:
    """Change one thing after the other."""

    def change(evidence: Evidence) -> Evidence:
        for each in changes:
            evidence = each(evidence)
        return evidence

    return change


def with_row(delivery: str, **fields: Any) -> Change:
    """Change the row of a delivery."""
    return lambda evidence: replace(
        evidence,
        deliveries=[
            replace(row, **fields) if row.delivery_id == named(delivery) else row
            for row in evidence.deliveries
        ],
    )


def without_row(delivery: str) -> Change:
    """Take the row of a delivery away."""
    return lambda evidence: replace(
        evidence, deliveries=[row for row in evidence.deliveries if row.delivery_id != named(delivery)]
    )


def with_alert(subject: str, **fields: Any) -> Change:
    """Change the row of an alert."""
    return lambda evidence: replace(
        evidence,
        alerts=[replace(row, **fields) if row.alert_id == named(subject) else row for row in evidence.alerts],
    )


def with_mail(mail: str, **fields: Any) -> Change:
    """Change what has arrived."""
    return lambda evidence: replace(
        evidence,
        mails=[
            replace(each, **fields) if each.message_id == named(mail) else each for each in evidence.mails
        ],
    )


def told_again(entries: list[Entry]) -> list[Entry]:
    """A second time, with another id."""
    return [*entries, replace(entries[0], position=99, event_id=named("x"), subject=named("y"))]


def moved(records: list[Published]) -> list[Published]:
    """The acceptance before the receipt."""
    receipt = next(at for at, each in enumerate(records) if each.type == "referral.received.v1")
    acceptance = next(at for at, each in enumerate(records) if each.type == "referral.accepted.v1")
    records[receipt], records[acceptance] = records[acceptance], records[receipt]
    return records


ACCEPTED = str(named("referral.accepted.v1/referral/2"))

PLANTED: dict[str, tuple[str, Change]] = {
    "an acknowledged referral is gone": ("lost", lambda it: replace(it, referrals=[])),
    "a referral fell back to an earlier state": (
        "lost",
        lambda it: replace(it, referrals=[replace(it.referrals[0], status="closed")]),
    ),
    "the answer named another referral": (
        "lost",
        lambda it: replace(
            it,
            referrals=[replace(it.referrals[0], referral_id=named("other"))],
            cases=[replace(it.cases[0], referral_id=named("other"))],
        ),
    ),
    "an accepted referral has no case": ("lost", lambda it: replace(it, cases=[])),
    "an event left the outbox and is not on the topic": ("lost", with_records(without("deadline.met.v1"))),
    "an event is still in the outbox": (
        "lost",
        lambda it: replace(
            with_records(without("deadline.met.v1"))(it), pending={"referral": frozenset({6})}
        ),
    ),
    "a partner's message is in no inbox": ("lost", forgotten_by("referral", "/p", "m-1")),
    "an acceptance was skipped by assessment": (
        "lost",
        forgotten_by("assessment", "/leadline/referral", ACCEPTED),
    ),
    "an acceptance was skipped by notify": ("lost", forgotten_by("notify", "/leadline/referral", ACCEPTED)),
    "the lead was not told": ("lost", with_journal("notify", lambda _: [])),
    "only the agency was told who leads": ("lost", otherwise("alert.raised.v2", "told", role="referrer")),
    "an alert is in no inbox": ("lost", lambda it: replace(it, alerts=[])),
    "a sound event was set aside": (
        "lost",
        lambda it: replace(
            it, letters={"notify": [Letter(named("l"), "parked", "failed", ("referral-events", 0, 0))]}
        ),
    ),
    "a child has two referrals": (
        "applied_twice",
        lambda it: replace(it, referrals=[*it.referrals, it.referrals[0]]),
    ),
    "a referral has two cases": (
        "applied_twice",
        lambda it: replace(it, cases=[*it.cases, replace(it.cases[0], case_id=named("two"), version=0)]),
    ),
    "an event is in the journal twice": (
        "applied_twice",
        with_journal("referral", lambda entries: [*entries, replace(entries[3], position=9)]),
    ),
    "an aggregate has a gap": (
        "applied_twice",
        with_journal(
            "referral", lambda entries: [replace(e, sequence=5) if e.position == 6 else e for e in entries]
        ),
    ),
    "a row is ahead of its journal": (
        "applied_twice",
        lambda it: replace(it, referrals=[replace(it.referrals[0], version=3)]),
    ),
    "a message was set aside twice": (
        "applied_twice",
        lambda it: replace(
            it,
            letters={"referral": [Letter(named("l"), "parked", "malformed", ("partner-events", 0, 0))] * 2},
        ),
    ),
    "an alert's row is ahead of its events": ("applied_twice", with_alert("told", version=2)),
    "a delivery's row is ahead of its events": ("applied_twice", with_row("mail due", version=3)),
    "an agency was told the same twice": (
        "applied_twice",
        lambda it: replace(it, updates=[*it.updates, replace(it.updates[0], position=4)]),
    ),
    "an agency's list has a gap": ("applied_twice", lambda it: replace(it, updates=it.updates[1:])),
    "a recipient was told twice": ("alerts_doubled", told(told_again)),
    "an open alert spoke for the same once more": (
        "alerts_doubled",
        also(
            event(
                99, "alert.repeated.v1", "late", 3, cause=MET, about=str(named("referral")), cause_id=str(MET)
            )
        ),
    ),
    "a recipient was told of one cause as two things": (
        "alerts_doubled",
        also(
            alert("twice", OVERDUE, role="duty_inbox", **LATE | {"kind": "recipient.missing", "about": "x"})
        ),
    ),
    "an event was published before the one it follows": ("order_violations", with_records(moved)),
    "an event was never published first": (
        "order_violations",
        with_records(without("referral.received.v1")),
    ),
    "two events share a number": (
        "order_violations",
        with_records(lambda records: [*records, replace(records[1], offset=9, event_id="another")]),
    ),
    "a key is in two partitions": (
        "order_violations",
        with_records(lambda records: [*records, replace(records[1], partition=1)]),
    ),
    "an event was published that never happened": (
        "aborted_reads",
        with_journal("referral", lambda entries: entries[:-1]),
    ),
    "an event was published with other words than it was kept with": (
        "aborted_reads",
        with_records(lambda records: [*records[:-1], replace(records[-1], digest=b"other")]),
    ),
    "a deadline passed in silence": (
        "deadlines_missed",
        with_journal("assessment", lambda e: [*e[:2], replace(e[2], data=SCHEDULED)]),
    ),
    "a deadline was raised before its time": (
        "deadlines_missed",
        with_journal(
            "referral",
            lambda e: [*e[:3], replace(e[3], data={**TRIAGE, "raised_at": TUESDAY.isoformat()}), *e[4:]],
        ),
    ),
    "a deadline was raised twice": (
        "deadlines_missed",
        with_journal("referral", lambda e: [*e[:4], replace(e[3], sequence=4), *e[4:]]),
    ),
    "a case has no lead": (
        "net_violations",
        lambda it: replace(it, cases=[replace(it.cases[0], lead=None)]),
    ),
    "no deadline runs for an open case": (
        "net_violations",
        lambda it: replace(it, deadlines={"referral": it.deadlines["referral"]}),
    ),
    "the acknowledged placement is gone": ("lost", lambda it: replace(it, placements=[])),
    "the placement hangs on another child's case": (
        "lost",
        lambda it: replace(it, placements=[replace(it.placements[0], case_id=named("other"))]),
    ),
    "a manager was not alerted of what is late": (
        "lost",
        never("alert.raised.v2", "late too"),
    ),
    "an offset was read with another value before": (
        "offset_violations",
        lambda it: replace(it, seen={("referral-events", 0): [b"another"]}),
    ),
    "an offset that was read is gone": ("offset_violations", with_records(without("deadline.met.v1"))),
    "an offset is missing in between": ("offset_violations", with_records(without("deadline.overdue.v1"))),
    "a poll went back": ("offset_violations", lambda it: replace(it, wrong_polls=["went back"])),
    "nobody was reminded": (
        "escalations_missed",
        both(never("notification.escalated.v1"), never("alert.settled.v1", "due")),
    ),
    "the manager was not told": (
        "escalations_missed",
        both(never("notification.escalated.v1", sequence=3), never("alert.settled.v1", "due")),
    ),
    "a reminder came too soon": (
        "escalations_missed",
        otherwise("notification.escalated.v1", "due", escalated_at=TUESDAY.isoformat()),
    ),
    "a settled alert escalated": (
        "escalations_missed",
        also(escalated(5, "duty_inbox", "duty_inbox", "due", WEDNESDAY)),
    ),
    "a step went to somebody else": (
        "escalations_missed",
        otherwise("notification.escalated.v1", "due", to="duty_inbox"),
    ),
    "an escalation told nobody": ("escalations_missed", never("alert.raised.v2", "unseen")),
    "an alert escalates another that does not say so": (
        "escalations_missed",
        never("notification.escalated.v1", sequence=3),
    ),
    "an alert was never raised": ("escalations_missed", never("alert.raised.v2", "late")),
    "an urgent alert has no email": (
        "delivery_violations",
        both(
            never("notification.queued.v1", "mail due"),
            never("notification.sent.v1", "mail due"),
            without_row("mail due"),
        ),
    ),
    "a reminder was sent that nothing asks for": (
        "delivery_violations",
        never("notification.escalated.v1", sequence=2),
    ),
    "a routine alert has an email": (
        "delivery_violations",
        otherwise("alert.raised.v2", "told", urgency="routine"),
    ),
    "an urgent alert was held": (
        "delivery_violations",
        both(
            otherwise("notification.queued.v1", "mail due", held_until=MORNING.isoformat()),
            with_row("mail due", held_until=MORNING),
        ),
    ),
    "a delivery goes on a channel that is not there": (
        "delivery_violations",
        otherwise("notification.queued.v1", "mail due", channel="sms"),
    ),
    "an email was given up": (
        "delivery_violations",
        both(
            never("notification.sent.v1", "mail due"),
            also(event(99, "notification.failed.v1", "mail due", 2)),
            with_row("mail due", state="failed"),
        ),
    ),
    "an email was recorded as sent twice": (
        "delivery_violations",
        also(replace(sent("mail due"), sequence=3)),
    ),
    "an email counts as sent and no event says so": (
        "delivery_violations",
        never("notification.sent.v1", "mail due"),
    ),
    "a delivery has events and no row": ("delivery_violations", without_row("mail due")),
    "a delivery has a row and no event": (
        "delivery_violations",
        both(never("notification.queued.v1", "mail due"), never("notification.sent.v1", "mail due")),
    ),
    "an email was taken back for nothing": (
        "delivery_violations",
        never("alert.settled.v1", "late too"),
    ),
    "an email was sent and taken back": (
        "delivery_violations",
        also(event(99, "notification.withdrawn.v1", "mail late", 3, reason="settled")),
    ),
    "a delivery is for another alert than was queued": (
        "delivery_violations",
        with_row("mail due", alert_id=named("late")),
    ),
    "a delivery went with another message": (
        "delivery_violations",
        with_row("mail due", message_id=named("mail late")),
    ),
    "an email is still queued": (
        "delivery_violations",
        both(never("notification.sent.v1", "mail due"), with_row("mail due", state="queued")),
    ),
    "nobody took up what a dead sender had claimed": (
        "delivery_violations",
        lambda it: replace(
            both(
                never("notification.sent.v1", "mail due"),
                with_row("mail due", state="queued", claimed_until=TUESDAY),
            )(it),
            mail_stopped=True,
        ),
    ),
    "an email is still held": (
        "delivery_violations",
        both(never("notification.sent.v1", "mail told"), with_row("mail told", state="held")),
    ),
    "an email counts as sent and did not arrive": ("mail_violations", lambda it: replace(it, mails=[])),
    "an email went to somebody else": ("mail_violations", with_mail("mail due", recipient="W-9")),
    "a copy went to somebody else": (
        "mail_violations",
        lambda it: replace(it, mails=[*it.mails, replace(it.mails[0], recipient="W-9")]),
    ),
    "an email belongs to no delivery": (
        "mail_violations",
        lambda it: replace(it, mails=[*it.mails, replace(it.mails[0], message_id=named("nothing"))]),
    ),
    "an email names nothing": (
        "mail_violations",
        lambda it: replace(it, mails=[*it.mails, replace(it.mails[0], message_id=None)]),
    ),
    "an email tells of another alert": (
        "mail_violations",
        with_mail("mail due", alerts=frozenset({named("late")})),
    ),
    "a digest leaves an alert out": (
        "mail_violations",
        with_mail("mail told", alerts=frozenset({named("told")})),
    ),
    "an email that was taken back has arrived": (
        "mail_violations",
        lambda it: replace(
            it,
            mails=[*it.mails, Mail(named("mail late too"), "W-team_manager", frozenset({named("late too")}))],
        ),
    ),
    "an alert has a row and no event": (
        "disagreements",
        lambda it: replace(it, alerts=[*it.alerts, replace(it.alerts[0], alert_id=named("another"))]),
    ),
    "a placement has an event and no row": ("disagreements", lambda it: replace(it, placements=[])),
    "an effect has a cause that was never claimed": (
        "disagreements",
        forgotten_by("assessment", "/leadline/referral", ACCEPTED),
    ),
    "an effect has a cause that never happened": (
        "disagreements",
        with_journal("referral", lambda entries: [e for e in entries if e.type != "referral.accepted.v1"]),
    ),
    "an escalation has another cause than what it escalates": (
        "disagreements",
        otherwise("alert.raised.v2", "unseen", cause_id=str(OVERDUE)),
    ),
    "an escalation of an alert that never was": ("disagreements", never("alert.raised.v2", "due")),
    "an alert names another cause than it has": (
        "disagreements",
        otherwise("alert.raised.v2", "late", cause_id=str(DUE)),
    ),
    "an alert is with somebody else": ("disagreements", with_alert("told", recipient="W-9")),
    "an alert was acknowledged and no event says so": (
        "disagreements",
        with_alert("told", status="acknowledged"),
    ),
    "an alert is settled and no event says so": ("disagreements", with_alert("told", settled=True)),
    "the chronology lacks an event": (
        "disagreements",
        lambda it: replace(it, chronology=frozenset(list(it.chronology)[1:])),
    ),
    "the chronology holds what never happened": (
        "disagreements",
        lambda it: replace(it, chronology=it.chronology | {named("nothing")}),
    ),
    "an agency does not hear who leads": (
        "disagreements",
        lambda it: replace(it, updates=it.updates[:2]),
    ),
    "an agency hears of another's referral": (
        "disagreements",
        lambda it: replace(it, updates=[replace(each, agency_id="police") for each in it.updates]),
    ),
    "notify holds another lead": (
        "disagreements",
        lambda it: replace(it, heard_of=[replace(it.heard_of[0], lead="W-2")]),
    ),
    "notify has not heard of a case": ("disagreements", lambda it: replace(it, heard_of=[])),
    "notify holds an open case for closed": (
        "disagreements",
        lambda it: replace(it, heard_of=[replace(it.heard_of[0], status="closed", lead=None)]),
    ),
    "notify does not know who referred": ("disagreements", lambda it: replace(it, referrers=frozenset())),
    "placement holds another level": (
        "disagreements",
        lambda it: replace(it, known_levels={named("case"): 3}),
    ),
    "no deadline runs for an undecided referral": (
        "net_violations",
        lambda it: replace(it, referrals=[replace(it.referrals[0], status="received")]),
    ),
}


def test_a_sound_run_has_no_finding() -> None:
    """What happened once, in order and in time, is nothing to report."""
    assert found(sound()) == {}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_reported(mistake: str) -> None:
    """Each by the check whose business it is."""
    check, plant = PLANTED[mistake]
    assert found(plant(sound())).get(check, 0) >= 1


def test_the_same_event_published_again_is_no_violation() -> None:
    """After a crash the relay sends what it had sent, and inboxes drop it."""
    sent = [
        record("referral", 6 + number, entry) for number, entry in enumerate(sound_journals()["referral"])
    ]
    again = with_records(lambda records: [*records, *sent[:3]])
    assert found(again(sound())) == {}


def test_an_e_mail_may_arrive_twice() -> None:
    """At least once is what is promised: a copy has the same Message-ID."""
    evidence = sound()
    assert found(replace(evidence, mails=[*evidence.mails, evidence.mails[0], evidence.mails[-1]])) == {}


def test_an_e_mail_may_wait_when_there_were_too_many() -> None:
    """The mail server was stopped. It may have gone once: its sender died before it could record that."""
    it = sound([entry for entry in told_by_notify() if entry.event_id != sent("mail due").event_id])
    later = WEDNESDAY + timedelta(hours=1)
    waits = with_row("mail due", state="queued", version=1, claimed_until=later)
    evidence = replace(waits(it), mail_stopped=True)
    assert found(evidence) == {}
    assert found(replace(evidence, mails=evidence.mails[1:])) == {}


def test_what_quiet_hours_hold_may_wait() -> None:
    """Its time has not come when all is over; each is still a message of its own."""
    later = WEDNESDAY + timedelta(days=1)
    mails = {"mail told": "told", "mail plan": "plan"}
    gone = {sent(mail).event_id for mail in mails}
    evidence = sound([entry for entry in told_by_notify() if entry.event_id not in gone])
    for mail in mails:
        put_off = otherwise("notification.queued.v1", mail, held_until=later.isoformat())
        held = with_row(mail, state="held", version=1, held_until=later, message_id=named(mail))
        evidence = both(put_off, held)(evidence)
    assert found(replace(evidence, mails=evidence.mails[:-1])) == {}


def test_working_time_leaves_out_nights_and_weekends() -> None:
    """From Friday afternoon to Monday morning in London, also where the clocks change in between."""
    friday, monday = datetime(2026, 6, 5, 15, tzinfo=UTC), datetime(2026, 6, 8, 9, 30, tzinfo=UTC)
    assert worked(friday, monday) == timedelta(hours=1 + 1.5)
    before, after = datetime(2026, 3, 27, 16, tzinfo=UTC), datetime(2026, 3, 30, 9, tzinfo=UTC)
    assert worked(before, after) == timedelta(hours=1 + 1)
    assert worked(after, before) == timedelta()


def test_what_was_seen_on_a_broker_that_was_wiped_binds_nobody() -> None:
    """Its offsets are another log's; nothing is compared."""
    assert found(replace(sound(), seen={})) == {}


def test_poison_that_was_set_aside_is_taken_in() -> None:
    """It has no id, so that its place must tell."""
    poison = Published("partner-events", 0, 1, None, None, None, None)
    on_the_bus = with_records(lambda records: [*records, poison])(sound())
    assert found(on_the_bus) == {"lost": 1}
    letter = Letter(named("l"), "parked", "malformed", poison.place)
    assert found(replace(on_the_bus, letters={"referral": [letter]})) == {}


def test_what_was_contradicted_counts_as_lost() -> None:
    """A partner that is refused what is right has nowhere to go."""
    ledger = promised()
    ledger.contradicted.append("409 for decide-x")
    assert found(sound(), ledger) == {"lost": 1}


def test_a_decision_without_an_answer_may_count_or_not() -> None:
    """Nobody was told either way; without a decision the referral must be undecided."""
    ledger = promised()
    ledger.decided.clear()
    assert found(sound(), ledger) == {}
    ledger.in_doubt.clear()
    assert found(sound(), ledger) == {"lost": 1}
