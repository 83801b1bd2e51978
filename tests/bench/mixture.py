"""What the topics really carry: for each accepted referral all the events of a county's month about it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from random import Random
from uuid import UUID, uuid5

from schemas import events as e
from schemas.events import Event
from schemas.events.base import dataschema_uri
from schemas.events.codes import AgencyKind, Location, NeedDomain, PlacementKind
from schemas.topics import ASSESSMENT, DEADLINES, PLACEMENT, REFERRAL, Topic
from services.kernel.messages.envelope import Envelope, encode
from tests.bench.backlog import RULES, START, Message, Referral, event_of, message

ACCEPTED = 112
MONTH: Mapping[str, Mapping[type[Event], int]] = {
    REFERRAL.name: {
        e.ReferralReceived: 168,
        e.DeadlineScheduled: 168,
        e.DeadlineDue: 91,
        e.DeadlineOverdue: 6,
        e.ReferralAccepted: ACCEPTED,
        e.ReferralRedirected: 44,
        e.ReferralClosed: 6,
        e.DeadlineMet: 162,
    },
    ASSESSMENT.name: {
        e.AssessmentStarted: 107,
        e.LeadProfessionalAssigned: 107,
        e.DeadlineScheduled: 176,
        e.AssessmentCompleted: 66,
        e.ThresholdMet: 56,
        e.ThresholdNotMet: 10,
        e.DeadlineMet: 82,
        e.PlanReviewed: 16,
        e.CaseClosed: 13,
    },
    PLACEMENT.name: {
        e.PlacementRequested: 28,
        e.PlacementStarted: 27,
        e.DeadlineScheduled: 46,
        e.DeadlineDueSoon: 4,
        e.DeadlineDue: 4,
        e.PlacementReviewed: 6,
        e.DeadlineMet: 10,
        e.PlacementEnded: 13,
        e.DeadlineWaived: 13,
        e.ExitInterviewDue: 13,
        e.DeadlineOverdue: 4,
        e.ExitInterviewOverdue: 4,
        e.ExitInterviewCompleted: 4,
    },
}
"""Counted in the journals after a demo of the simulated county (30 days, seed 42), in a child's order."""

DUE_AT = START + timedelta(days=1)
LEADS = 40
"""So many lead professionals share the cases."""

MOMENTS = (
    "decided_at",
    "started_at",
    "assigned_at",
    "completed_at",
    "reviewed_at",
    "closed_at",
    "requested_at",
    "raised_at",
    "met_at",
    "waived_at",
)
DAYS = ("started_on", "reviewed_on", "ended_on", "held_on")
PEOPLE = ("decided_by", "completed_by", "reviewed_by", "requested_by", "held_by", "waived_by")

REASONS: Mapping[type[Event], str] = {
    e.ReferralClosed: "no_further_action",
    e.LeadProfessionalAssigned: "least_weighted_caseload",
    e.CaseClosed: "outcomes_met",
    e.PlacementEnded: "E8",
    e.DeadlineWaived: "placement_ended",
}


def mixed(referrals: Sequence[Referral], *, seed: int = 42) -> list[Message]:
    """Return the referrals' messages among the others of `referral-events`, in the county's mix."""
    return [made for made, _ in told(REFERRAL, referrals, team_of={}, seed=seed)]


def mixed_for(events: int) -> int:
    """Return of how many referrals about so many messages of `referral-events` come."""
    return round(events * ACCEPTED / sum(MONTH[REFERRAL.name].values()))


def told(
    topic: Topic, referrals: Sequence[Referral], *, team_of: Mapping[str, str], seed: int = 42
) -> list[tuple[Message, Event]]:
    """Return what one topic carries about the referrals: messages with their events, in the county's mix.

    `team_of` names the team of each locality. The order of a child's events is the one of life; each
    referral is accepted exactly once, the rest falls as a month's counts have it.
    """
    chance = Random(f"{seed} {topic.name}")
    found: list[tuple[Message, Event]] = []
    for referral in referrals:
        for event_class, count in MONTH[topic.name].items():
            if event_class is e.ReferralAccepted:
                found.append((message(referral), event_of(referral)))
                continue
            whole, rest = divmod(count, ACCEPTED)
            for number in range(whole + (chance.random() < rest / ACCEPTED)):
                event = _event(event_class, topic, referral, number, team_of.get(referral.locality, "none"))
                found.append((_message(event, topic, number), event))
    return found


def _message(event: Event, topic: Topic, number: int) -> Message:
    event_id = str(uuid5(event.subject, f"{topic.name}/{event.wire_type}/{number}"))
    return encode(
        Envelope(
            id=event_id,
            source=f"/leadline/{topic.owner}",
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


def _event(event_class: type[Event], topic: Topic, referral: Referral, number: int, team: str) -> Event:
    """Return an event of one referral's story: of all that may be known, it takes the fields it has."""
    case_id, placement_id = (uuid5(referral.referral_id, name) for name in ("case", "placement"))
    known: dict[str, object] = {
        "child_id": referral.child_id,
        "referral_id": referral.referral_id,
        "agency": AgencyKind.SCHOOL,
        "agency_id": "school-0123",
        "locality": referral.locality,
        "team": team,
        "concerns": referral.concerns,
        "received_at": referral.received_at,
        "channel": "http",
        "recommended": "redirect",
        "policy_version": "cambridgeshire-2026.1",
        "rules": RULES,
        "to": "early_help",
        "reason": REASONS.get(event_class),
        "case_id": case_id,
        "indicated_level": referral.level,
        "level": referral.level,
        "lead_professional_id": f"W-{case_id.int % LEADS:04d}",
        "needs": ({"domain": NeedDomain.SAFETY, "level": referral.level},),
        "outcome": "continue",
        "placement_id": placement_id,
        "kind": PlacementKind.INDEPENDENT_FOSTER,
        "need_group": NeedDomain.SAFETY,
        "location": Location.IN_COUNTY,
        "provider_id": "provider-01",
        "review_number": 1,
        "outcomes": (),
        "due_at": DUE_AT,
        **dict.fromkeys(MOMENTS, START),
        **dict.fromkeys(DAYS, START.date()),
        **dict.fromkeys(PEOPLE, "W-0101"),
    }
    if event_class in DEADLINES:
        known |= _deadline(event_class, topic, referral, number, case_id, placement_id)
    return event_class.model_validate(known)


def _deadline(
    event_class: type[Event],
    topic: Topic,
    referral: Referral,
    number: int,
    case_id: UUID,
    placement_id: UUID,
) -> dict[str, object]:
    """Return what only deadlines have: each topic's service has its own kinds, about its own aggregates."""
    about, kind = {
        REFERRAL.name: (referral.referral_id, "triage_decision"),
        ASSESSMENT.name: (case_id, "plan_review" if number else "assessment"),
        PLACEMENT.name: (placement_id, "placement_review_first"),
    }[topic.name]
    if topic is PLACEMENT and event_class is e.DeadlineOverdue:
        kind = "exit_interview"
    return {
        "deadline_id": uuid5(about, f"deadline/{kind}/{number}"),
        "about": about,
        "case_id": None if topic is REFERRAL else case_id,
        "kind": kind,
        "trigger_at": referral.received_at,
        "due_soon_at": START,
        "due_from": START,
        "rule": "1:working_days:next_day",
        "late": False,
    }
