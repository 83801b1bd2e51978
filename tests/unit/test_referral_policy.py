"""The rules of triage, with no database, no broker and no clock."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from schemas import events as e
from schemas.events.codes import AgencyKind, Concern
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.deadlines.policy import Meet, Schedule
from services.kernel.deadlines.rules import DeadlineDates as Dates
from services.kernel.pack.model import load_pack
from services.kernel.processing.service import Produced
from services.referral.model import DecideReferral, Outcome, ReceiveReferral, Referral
from services.referral.pack import ReferralPack
from services.referral.policy import decide_receipt, decide_triage, evolve
from tests.builders import AGENCY, CHILD, LOCALITY, REFERRAL, referral_accepted, referral_received
from tests.deciding import Rules, like

FRIDAY = datetime(2026, 9, 11, 15, 30, tzinfo=UTC)
PACK = load_pack(Path("deploy/policies/cambridgeshire.yaml"), ReferralPack)
RISK = referral_received(concerns=(Concern.ABUSE_OR_NEGLECT,), immediate_risk=True)


def decide(referral: Referral, asked: ReceiveReferral | DecideReferral) -> Sequence[Produced]:
    """Decide on a Friday, under Cambridgeshire's pack."""
    if isinstance(asked, DecideReferral):
        return decide_triage(referral, asked, pack=PACK, now=FRIDAY)
    return decide_receipt(
        asked,
        referral_id=REFERRAL,
        channel="http",
        pack=PACK,
        calendar=WorkingCalendar(),
        now=FRIDAY,
    )


given = Rules(Referral(REFERRAL), evolve, decide).given


def triage(outcome: Outcome | None = None, *, override_reason: str | None = None) -> DecideReferral:
    """Return a duty worker's decision; without an outcome it follows the advice."""
    return DecideReferral(
        referral_id=REFERRAL, decided_by="W-1", outcome=outcome, override_reason=override_reason
    )


def test_a_referral_on_friday_is_to_be_decided_by_the_end_of_monday() -> None:
    """One working day, counted from the next day; midnight in London is 23:00 UTC."""
    refer = ReceiveReferral(
        child_id=CHILD,
        agency=AgencyKind.SCHOOL,
        agency_id=AGENCY,
        locality=LOCALITY,
        concerns=(Concern.FAMILY_DYSFUNCTION,),
    )
    end_of_monday = like(Dates, due_at=datetime(2026, 9, 14, 23, 0, tzinfo=UTC))
    given().when(refer).then(referral_received(at=FRIDAY), like(Schedule, dates=end_of_monday))


def test_immediate_risk_is_advised_to_be_accepted() -> None:
    """A child who may be suffering significant harm is never advised to be redirected."""
    given(RISK).when(triage()).then(like(e.ReferralAccepted, recommended="accept"), like(Meet))


def test_information_only_is_advised_to_be_closed() -> None:
    """Sharing information opens no case."""
    given(referral_received(information_only=True)).when(triage()).then(
        like(e.ReferralClosed, reason="information_only"), like(Meet)
    )


def test_deciding_against_the_advice_needs_a_reason() -> None:
    """The system explains and never blocks: with a reason, a person may decide otherwise."""
    given(RISK).when(triage("close")).then_refused("override_reason")
    given(RISK).when(triage("close", override_reason="already-known-elsewhere")).then(
        like(e.ReferralClosed, override_reason="already-known-elsewhere"), like(Meet)
    )


def test_a_decision_carries_the_policy_version_and_the_rule_in_words() -> None:
    """Every decision says under which policy and why."""
    decision, _ = given(referral_received()).when(triage()).produced
    assert isinstance(decision, e.ReferralAccepted | e.ReferralRedirected | e.ReferralClosed)
    assert decision.policy_version == PACK.pack.version
    assert decision.rules[0].words


def test_a_referral_is_decided_once() -> None:
    """A second decision is refused with the state that the referral is in."""
    given(referral_received(), referral_accepted()).when(triage()).then_refused("already accepted")


def test_an_unknown_referral_is_not_found() -> None:
    """The caller is told to check the id."""
    given().when(triage()).then_refused("check the id", missing=True)
