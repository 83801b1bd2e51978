"""The rules of triage, with no database, no broker and no clock."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from schemas import events as e
from schemas.events.codes import AgencyKind, Concern
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.deadlines.policy import Meet, Schedule
from services.kernel.messages.faults import Refused
from services.kernel.pack.model import load_pack
from services.referral.model import DecideReferral, Intake, Referral
from services.referral.pack import ReferralPack
from services.referral.policy import decide_receipt, decide_triage, evolve

FRIDAY = datetime(2026, 9, 11, 15, 30, tzinfo=UTC)
REFERRAL = UUID(int=1)
CHILD = UUID(int=2)
PACK = load_pack(Path("deploy/policies/cambridgeshire.yaml"), ReferralPack)


def intake(*concerns: Concern, immediate_risk: bool = False, information_only: bool = False) -> Intake:
    return Intake(
        child_id=CHILD,
        agency=AgencyKind.SCHOOL,
        agency_id="school-1",
        locality=PACK.localities[0].code,
        concerns=concerns or (Concern.FAMILY_DYSFUNCTION,),
        immediate_risk=immediate_risk,
        information_only=information_only,
    )


def received(facts: Intake) -> Referral:
    referral = Referral(REFERRAL)
    for event in receipt(facts):
        if isinstance(event, e.ReferralReceived):
            referral = evolve(referral, event)
    return referral


def receipt(facts: Intake) -> list[object]:
    return list(
        decide_receipt(
            facts, referral_id=REFERRAL, channel="http", pack=PACK, calendar=WorkingCalendar(), now=FRIDAY
        )
    )


def decide(referral: Referral, **command: str) -> list[object]:
    return list(
        decide_triage(
            referral,
            DecideReferral.model_validate({"referral_id": REFERRAL, "decided_by": "W-1", **command}),
            pack=PACK,
            now=FRIDAY,
        )
    )


def test_a_referral_on_friday_is_to_be_decided_by_the_end_of_monday() -> None:
    """One working day, counted from the next day ; midnight in London is 23:00 UTC."""
    (scheduled,) = [item for item in receipt(intake()) if isinstance(item, Schedule)]
    assert scheduled.dates.due_at == datetime(2026, 9, 14, 23, 0, tzinfo=UTC)


def test_immediate_risk_is_advised_to_be_accepted() -> None:
    """A child who may be suffering significant harm is never advised to be redirected."""
    decision, met = decide(received(intake(Concern.ABUSE_OR_NEGLECT, immediate_risk=True)))
    assert isinstance(decision, e.ReferralAccepted)
    assert decision.recommended == "accept"
    assert isinstance(met, Meet)


def test_information_only_is_advised_to_be_closed() -> None:
    """Sharing information opens no case."""
    decision, _ = decide(received(intake(information_only=True)))
    assert isinstance(decision, e.ReferralClosed)
    assert decision.reason == "information_only"


def test_deciding_against_the_advice_needs_a_reason() -> None:
    """The system explains and never blocks: with a reason, a person may decide otherwise."""
    referral = received(intake(Concern.ABUSE_OR_NEGLECT, immediate_risk=True))
    with pytest.raises(Refused, match="override_reason"):
        decide(referral, outcome="close")
    decision, _ = decide(referral, outcome="close", override_reason="already-known-elsewhere")
    assert isinstance(decision, e.ReferralClosed)
    assert decision.override_reason == "already-known-elsewhere"


def test_a_decision_carries_the_policy_version_and_the_rule_in_words() -> None:
    """Every decision says under which policy and why."""
    decision, _ = decide(received(intake()))
    assert isinstance(decision, e.ReferralAccepted | e.ReferralRedirected | e.ReferralClosed)
    assert decision.policy_version == PACK.pack.version
    assert decision.rules[0].words


def test_a_referral_is_decided_once() -> None:
    """A second decision is refused with the state that the referral is in."""
    referral = received(intake())
    decision = decide(referral)[0]
    assert isinstance(decision, e.ReferralAccepted | e.ReferralRedirected | e.ReferralClosed)
    with pytest.raises(Refused, match="already"):
        decide(evolve(referral, decision))


def test_an_unknown_referral_is_not_found() -> None:
    """The caller is told to check the id."""
    with pytest.raises(Refused, match="check the id") as refusal:
        decide(Referral(REFERRAL))
    assert refusal.value.missing
