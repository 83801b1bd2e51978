"""The rules of triage: pure functions from state and command to events."""

from dataclasses import replace
from datetime import datetime
from typing import Literal, TypedDict
from uuid import UUID

from schemas import events as e
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.deadlines.policy import Meet, Schedule
from services.kernel.deadlines.rules import schedule
from services.kernel.messages.faults import Refused
from services.kernel.processing.service import Produced
from services.referral.conditions import ReferralFacts
from services.referral.model import DecideReferral, Intake, Outcome, Referral
from services.referral.pack import ReferralPack, TriageAdvice

TRIAGE = "triage_decision"
"""Acknowledge the referrer and decide within one working day (docs/domain.md, deadline 1)."""

ReferralEvent = e.ReferralReceived | e.ReferralAccepted | e.ReferralRedirected | e.ReferralClosed


class _OfDecision(TypedDict):
    """The fields common to the events of all decisions on a referral."""

    referral_id: UUID
    child_id: UUID
    agency_id: str
    locality: str
    decided_at: datetime
    decided_by: str
    recommended: Outcome
    override_reason: str | None
    policy_version: str
    rules: tuple[e.RuleFired, ...]


def decide_receipt(
    intake: Intake,
    *,
    referral_id: UUID,
    channel: Literal["http", "bus"],
    pack: ReferralPack,
    calendar: WorkingCalendar,
    now: datetime,
) -> list[Produced]:
    """Receive a referral and start the clock for the decision on it."""
    rule = pack.deadlines.triage_decision
    return [
        e.ReferralReceived(
            **dict(intake),
            referral_id=referral_id,
            received_at=now,
            channel=channel,
        ),
        Schedule(
            about=referral_id,
            child_id=intake.child_id,
            kind=TRIAGE,
            rule=rule.code,
            trigger_at=now,
            dates=schedule(rule, now, calendar),
        ),
    ]


def advise(intake: Intake, pack: ReferralPack) -> TriageAdvice:
    """Return what the council's pack advises for a referral. A person decides."""
    return pack.triage.advise(
        ReferralFacts(
            agency=intake.agency,
            concerns=intake.concerns,
            immediate_risk=intake.immediate_risk,
            information_only=intake.information_only,
        )
    )


def decide_triage(
    referral: Referral, command: DecideReferral, *, pack: ReferralPack, now: datetime
) -> list[Produced]:
    """Accept, redirect or close a referral, once.

    Raises Refused for an unknown or decided referral, and for an outcome against the pack's advice that
    gives no reason.
    """
    if referral.intake is None or referral.received_at is None:
        raise Refused(f"There is no referral {referral.referral_id}: check the id.", missing=True)
    if referral.status != "received":
        raise Refused(f"This referral is already {referral.status}: send new facts as a new referral.")
    intake = referral.intake
    advice = advise(intake, pack)
    outcome = command.outcome or advice.recommend
    if outcome != advice.recommend and command.override_reason is None:
        raise Refused(
            f"The policy advice is to {advice.recommend} ({advice.words}):"
            f" give an override_reason to {outcome}."
        )
    common = _OfDecision(
        referral_id=referral.referral_id,
        child_id=intake.child_id,
        agency_id=intake.agency_id,
        locality=intake.locality,
        decided_at=now,
        decided_by=command.decided_by,
        recommended=advice.recommend,
        override_reason=command.override_reason if outcome != advice.recommend else None,
        policy_version=pack.pack.version,
        rules=(advice.fired,),
    )
    decision: ReferralEvent
    match outcome:
        case "accept":
            decision = e.ReferralAccepted(
                **common,
                family_id=intake.family_id,
                concerns=intake.concerns,
                indicated_level=advice.level,
                received_at=referral.received_at,
            )
        case "redirect":
            decision = e.ReferralRedirected(**common, to="early_help")
        case _:
            reason = command.close_reason or advice.reason or "no_further_action"
            decision = e.ReferralClosed(**common, reason=reason)
    return [decision, Meet(referral.referral_id, TRIAGE, now)]


def evolve(referral: Referral, event: ReferralEvent) -> Referral:
    """Return the referral after one of its events."""
    referral = replace(referral, version=referral.version + 1)
    match event:
        case e.ReferralReceived():
            return replace(
                referral, status="received", intake=Intake.of(event), received_at=event.received_at
            )
        case e.ReferralAccepted():
            return _decided(replace(referral, status="accepted"), event)
        case e.ReferralRedirected():
            return _decided(replace(referral, status="redirected"), event)
        case e.ReferralClosed():
            return _decided(replace(referral, status="closed"), event)


def _decided(
    referral: Referral, event: e.ReferralAccepted | e.ReferralRedirected | e.ReferralClosed
) -> Referral:
    return replace(referral, decided_at=event.decided_at, decided_by=event.decided_by)
