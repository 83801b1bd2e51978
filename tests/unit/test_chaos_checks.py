"""The recount of `make chaos`: what is sound passes, and every planted mistake is reported."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest

from tests.chaos.checks import CHECKS
from tests.chaos.evidence import (
    Case,
    CaseHeardOf,
    DeadlineRow,
    Entry,
    Evidence,
    Letter,
    Mail,
    Placement,
    Published,
    Referral,
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


def alert(position: int, subject: str, cause: UUID, *, about: str, kind: str, role: str) -> Entry:
    """An urgent alert to whoever has a role."""
    return event(
        position,
        "alert.raised.v1",
        subject,
        1,
        cause=cause,
        about=str(named(about)),
        kind=kind,
        role=role,
        recipient_id=f"W-{role}",
        urgency="urgent",
    )


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
TRIAGE: dict[str, Any] = {"kind": "triage_decision", "about": str(named("referral"))}
LATE = "deadline.overdue:triage_decision"


def sound_journals() -> dict[str, list[Entry]]:
    """Ada was referred, triage was late, then she was accepted, has a lead who was told, and was placed."""
    accepted = caused_by("referral", "referral.accepted.v1", "referral", 2)
    assigned = caused_by("assessment", "lead_professional.assigned.v1", "case", 2)
    return {
        "referral": [
            event(1, "referral.received.v1", "referral", 1),
            event(2, "deadline.scheduled.v1", "triage", 1, **SCHEDULED),
            event(3, "deadline.due.v1", "triage", 2, raised_at=TUESDAY.isoformat(), **TRIAGE),
            event(4, "deadline.overdue.v1", "triage", 3, raised_at=WEDNESDAY.isoformat(), **TRIAGE),
            event(5, "referral.accepted.v1", "referral", 2),
            event(6, "deadline.met.v1", "triage", 4),
        ],
        "assessment": [
            event(1, "assessment.started.v1", "case", 1, cause=accepted),
            event(2, "lead_professional.assigned.v1", "case", 2, cause=accepted),
            event(3, "deadline.scheduled.v1", "assess", 1, **LATER),
            event(4, "threshold.met.v1", "case", 3, level=4),
        ],
        "placement": [event(1, "placement.requested.v1", "placement", 1)],
        "notify": [
            alert(
                1, "told", assigned, about="case", kind="lead_professional.assigned", role="lead_professional"
            ),
            alert(2, "due", DUE, about="referral", kind="deadline.due:triage_decision", role="duty_inbox"),
            alert(3, "late", OVERDUE, about="referral", kind=LATE, role="duty_inbox"),
            alert(4, "late too", OVERDUE, about="referral", kind=LATE, role="team_manager"),
        ],
    }


def sound() -> Evidence:
    """All that Ada's journals lead to, everywhere."""
    journals = sound_journals()
    own = [
        record(service, offset, entry)
        for service, entries in journals.items()
        for offset, entry in enumerate(entries)
    ]
    partner = Published("partner-events", 0, 0, str(named("Ada")), "/p", "m-1", "partner.referral_made.v1")
    ids = frozenset(
        message_id(each.source, each.event_id) for each in (*own, partner) if each.source and each.event_id
    )
    alerts = [entry.subject for entry in journals["notify"]]
    return Evidence(
        now=WEDNESDAY + timedelta(hours=9),
        referrals=[Referral(named("referral"), named("Ada"), 2, "accepted")],
        cases=[Case(named("case"), named("referral"), named("Ada"), 3, "assessing", "W-1")],
        alerts=alerts,
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
        e_mails={**dict.fromkeys(alerts, "sent"), named("late"): "queued"},
        mails=[
            Mail(entry.subject, entry.data["recipient_id"])
            for entry in journals["notify"]
            if entry.subject != named("late")
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


def raised_late(records: list[Entry]) -> list[Entry]:
    """A second time, with another id."""
    return [*records, replace(records[0], position=9, event_id=named("x"), subject=named("y"))]


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
    "a recipient was told twice": ("alerts_doubled", with_journal("notify", raised_late)),
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
        with_journal("notify", lambda entries: entries[:3]),
    ),
    "an offset was read with another value before": (
        "offset_violations",
        lambda it: replace(it, seen={("referral-events", 0): [b"another"]}),
    ),
    "an offset that was read is gone": ("offset_violations", with_records(without("deadline.met.v1"))),
    "an offset is missing in between": ("offset_violations", with_records(without("deadline.overdue.v1"))),
    "a poll went back": ("offset_violations", lambda it: replace(it, wrong_polls=["went back"])),
    "an e-mail counts as sent and did not arrive": ("mail_violations", lambda it: replace(it, mails=[])),
    "an urgent alert has no e-mail": (
        "mail_violations",
        lambda it: replace(
            it, e_mails={alert_id: state for alert_id, state in it.e_mails.items() if state == "sent"}
        ),
    ),
    "an e-mail was given up": (
        "mail_violations",
        lambda it: replace(it, e_mails={**it.e_mails, named("late"): "refused"}),
    ),
    "an e-mail went to somebody else": (
        "mail_violations",
        lambda it: replace(it, mails=[*it.mails, Mail(named("told"), "W-9")]),
    ),
    "an e-mail tells of no alert": (
        "mail_violations",
        lambda it: replace(it, mails=[*it.mails, Mail(named("nothing"), "W-9")]),
    ),
    "an e-mail names nothing": (
        "mail_violations",
        lambda it: replace(it, mails=[*it.mails, Mail(None, "W-9")]),
    ),
    "a routine alert has an e-mail": (
        "mail_violations",
        with_journal("notify", lambda e: [replace(e[0], data={**e[0].data, "urgency": "routine"}), *e[1:]]),
    ),
    "an alert has a row and no event": (
        "disagreements",
        lambda it: replace(it, alerts=[*it.alerts, named("another")]),
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
    assert found(replace(evidence, mails=[*evidence.mails, evidence.mails[0]])) == {}


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
