"""What `referral-events` really carries: for each accepted referral several events that assessment skips."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from random import Random
from uuid import UUID, uuid5

from schemas.events import (
    DeadlineDue,
    DeadlineMet,
    DeadlineOverdue,
    DeadlineScheduled,
    Event,
    ReferralClosed,
    ReferralReceived,
    ReferralRedirected,
)
from schemas.events.base import dataschema_uri
from schemas.events.codes import AgencyKind
from services.kernel.envelope import Envelope, encode
from tests.bench.backlog import RULES, SOURCE, START, Message, Referral, message

PER_100_ACCEPTED: dict[type[Event], int] = {
    ReferralReceived: 168,
    DeadlineScheduled: 168,
    DeadlineMet: 136,
    DeadlineDue: 64,
    ReferralRedirected: 28,
    ReferralClosed: 8,
    DeadlineOverdue: 4,
}
"""Counted in the referral service's journal after a demo of the simulated county (seed 42)."""

DUE_AT = START + timedelta(days=1)


def mixed(referrals: Sequence[Referral], *, seed: int = 42) -> list[Message]:
    """Return the referrals' messages among the others that belong to them, in the county's mix."""
    chance = Random(seed)
    messages = []
    for referral in referrals:
        for event_class, per_hundred in PER_100_ACCEPTED.items():
            count = per_hundred // 100 + (chance.random() < per_hundred % 100 / 100)
            messages += [_message(_event(event_class, referral), number) for number in range(count)]
        messages.append(message(referral))
    return messages


def _message(event: Event, number: int) -> Message:
    event_id = str(uuid5(event.subject, f"{event.wire_type}/{number}"))
    return encode(
        Envelope(
            id=event_id,
            source=SOURCE,
            type=event.wire_type,
            time=START,
            data=event.encode(),
            subject=str(event.subject),
            key=str(event.child_id),
            dataschema=dataschema_uri(type(event)),
            sequence=1,
            correlationid=event_id,
            causationid=event_id,
        )
    )


def _event(event_class: type[Event], referral: Referral) -> Event:
    return event_class.model_validate(dict(_fields(referral)))


def _fields(referral: Referral) -> Iterator[tuple[str, object]]:
    """Yield every field that one of these events may need; each takes those that are its own."""
    yield "child_id", referral.child_id
    yield "referral_id", referral.referral_id
    yield "agency", AgencyKind.SCHOOL
    yield "agency_id", "school-0123"
    yield "locality", referral.locality
    yield "concerns", referral.concerns
    yield "received_at", referral.received_at
    yield "channel", "http"
    yield "decided_at", START
    yield "decided_by", "W-0101"
    yield "recommended", "redirect"
    yield "policy_version", "cambridgeshire-2026.1"
    yield "rules", RULES
    yield "to", "early_help"
    yield "reason", "no_further_action"
    yield "deadline_id", UUID(int=referral.referral_id.int ^ 1)
    yield "about", referral.referral_id
    yield "kind", "triage_decision"
    yield "due_at", DUE_AT
    yield "trigger_at", referral.received_at
    yield "due_soon_at", START
    yield "due_from", START
    yield "rule", "1:working_days:next_day"
    yield "raised_at", START
    yield "met_at", START
    yield "late", False
