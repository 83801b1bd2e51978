"""Updates to a referring agency about its own referrals, and nothing else. Pure.

Everything follows from a child's events, whatever the order in which they have been read: what is known
later adds updates and takes none back.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic_core import to_jsonable_python

from schemas import events as e
from schemas.events import Event
from services.kernel.messages.ids import derived
from services.kernel.pack.model import Section

State = Literal["received", "accepted", "redirected", "lead_professional_assigned", "closed"]

OF_CASES = (e.LeadProfessionalAssigned, e.CaseClosed)
"""Those that tell of a case and name no agency."""

TELLING: tuple[type[Event], ...] = (
    e.ReferralReceived,
    e.ReferralAccepted,
    e.ReferralRedirected,
    e.ReferralClosed,
    e.AssessmentStarted,
    e.LeadProfessionalAssigned,
    e.CaseClosed,
)
"""The events from which the updates follow."""

Decided = e.ReferralAccepted | e.ReferralRedirected | e.ReferralClosed


class ReferrerRules(Section):
    """A council's rules for updates to referring agencies."""

    lead_professional: Literal["id_and_team", "team", "nothing"]
    """How much they see of a lead professional; they always see that there is one."""

    def seen(self, assigned: e.LeadProfessionalAssigned) -> dict[str, str]:
        """Return the part of an update about a lead professional."""
        match self.lead_professional:
            case "id_and_team":
                return {"lead_professional_id": assigned.lead_professional_id, "team": assigned.team}
            case "team":
                return {"team": assigned.team}
            case "nothing":
                return {}


@dataclass(frozen=True, slots=True)
class Heard:
    """One event of a child, with its message id."""

    message_id: UUID
    event: Event


@dataclass(frozen=True, slots=True)
class Update:
    """One step of one referral, as the agency that made it may see it."""

    update_id: UUID
    agency_id: str
    referral_id: UUID
    agency_reference: str | None
    state: State
    occurred_at: datetime
    message_id: UUID
    """Of the event by which the agency learns it: who joins a case learns who leads it by the acceptance."""
    redirected_to: str | None = None
    lead_professional_id: str | None = None
    team: str | None = None

    def shown(self) -> dict[str, Any]:
        """Return the update as its agency sees it on every channel: never more than this."""
        lead = None if self.team is None else {"id": self.lead_professional_id, "team": self.team}
        shown: dict[str, Any] = to_jsonable_python(
            {
                "update_id": self.update_id,
                "referral_id": self.referral_id,
                "agency_reference": self.agency_reference,
                "state": self.state,
                "occurred_at": self.occurred_at,
                "redirected_to": self.redirected_to,
                "lead_professional": lead,
            }
        )
        return shown


@dataclass(frozen=True, slots=True)
class _CaseHeard:
    """One case as far as it is known from events."""

    referral_id: UUID | None
    opened_at: datetime | None
    leads: tuple[tuple[Heard, e.LeadProfessionalAssigned], ...]
    closed: tuple[Heard, e.CaseClosed] | None

    def was_open_at(self, moment: datetime) -> bool:
        """Return whether a referral that was accepted then joins this case."""
        began = self.opened_at is not None and self.opened_at <= moment
        return began and (self.closed is None or self.closed[1].closed_at > moment)


def updates(heard: Iterable[Heard], rules: ReferrerRules) -> list[Update]:
    """Return all that the agencies who referred one child have been told or are to be told, in order.

    Of a referral nothing comes before its receipt. An accepted one leads to a case of its own or joins the
    one that is open; from then on its agency hears of that case's lead professionals and of its end. Whose
    referral was redirected or closed hears nothing of what comes after it.
    """
    known = list(heard)
    cases = _cases(known)
    decisions = {
        each.event.referral_id: (each, each.event) for each in known if isinstance(each.event, Decided)
    }
    found: dict[UUID, Update] = {}
    for each in known:
        if isinstance(each.event, e.ReferralReceived):
            decision = decisions.get(each.event.referral_id)
            found |= {one.update_id: one for one in _of_referral(each, each.event, decision, cases, rules)}
    return sorted(found.values(), key=lambda one: (one.occurred_at, _RANK[one.state], one.update_id))


def agencies_concerned(story: Sequence[Heard], event: Event, rules: ReferrerRules) -> list[str] | None:
    """Return the agencies whose referrals an event of a case is about, after what was heard of the child.

    None where nothing is known of any referral that could have led to the case. The case itself says that
    the referral it began with was accepted: the acceptance may be read later, for it is on another topic.
    """
    before = [each for each in story if each.event is not event]
    known = {one.update_id for one in updates(before, rules)}
    fresh = updates([*before, Heard(derived(event.subject, f"{event.wire_type}/now"), event)], rules)
    agencies = {one.agency_id for one in fresh if one.update_id not in known}
    decided = {each.event.referral_id for each in before if isinstance(each.event, Decided)}
    began = {
        each.event.referral_id
        for each in before
        if isinstance(each.event, e.AssessmentStarted)
        and each.event.case_id == getattr(event, "case_id", None)
    }
    agencies |= {
        each.event.agency_id
        for each in before
        if isinstance(each.event, e.ReferralReceived) and each.event.referral_id in began - decided
    }
    return sorted(agencies) if agencies or decided else None


def retold(story: tuple[Heard, ...], event: Event) -> tuple[Heard, ...]:
    """Return a child's story with an event that has just been read, and whose message nobody asks for."""
    if not isinstance(event, TELLING) or any(each.event == event for each in story):
        return story
    return (*story, Heard(derived(event.subject, f"{event.wire_type}/{len(story)}"), event))


_RANK: Mapping[State, int] = {
    "received": 0,
    "accepted": 1,
    "redirected": 1,
    "lead_professional_assigned": 2,
    "closed": 3,
}


def _of_referral(
    receipt: Heard,
    received: e.ReferralReceived,
    decision: tuple[Heard, Decided] | None,
    cases: Mapping[UUID, _CaseHeard],
    rules: ReferrerRules,
) -> Iterator[Update]:
    def update(state: State, cause: Heard, at: datetime, **more: str) -> Update:
        return Update(
            derived(cause.message_id, f"{received.referral_id}/{state}"),
            received.agency_id,
            received.referral_id,
            received.agency_reference,
            state,
            at,
            cause.message_id,
            **more,
        )

    yield update("received", receipt, received.received_at)
    if decision is None:
        return
    cause, decided = decision
    if isinstance(decided, e.ReferralRedirected):
        yield update("redirected", cause, decided.decided_at, redirected_to=decided.to)
        return
    if isinstance(decided, e.ReferralClosed):
        yield update("closed", cause, decided.decided_at)
        return
    yield update("accepted", cause, decided.decided_at)
    case = _case_of(decided, cases)
    if case is None:
        return
    for lead, assigned in _leads_since(case, decided.decided_at):
        earlier = assigned.assigned_at < decided.decided_at
        yield update(
            "lead_professional_assigned",
            cause if earlier else lead,
            decided.decided_at if earlier else assigned.assigned_at,
            **rules.seen(assigned),
        )
    if case.closed is not None:
        end, closed = case.closed
        yield update("closed", end, closed.closed_at)


def _case_of(accepted: e.ReferralAccepted, cases: Mapping[UUID, _CaseHeard]) -> _CaseHeard | None:
    """Return the case that a referral has led to, or the one that was open when it was accepted."""
    own = [case for case in cases.values() if case.referral_id == accepted.referral_id]
    joined = [case for case in cases.values() if case.was_open_at(accepted.decided_at)]
    return next(iter([*own, *joined]), None)


def _leads_since(case: _CaseHeard, moment: datetime) -> Iterator[tuple[Heard, e.LeadProfessionalAssigned]]:
    """Yield the lead at a moment, and every later one."""
    for number, lead in enumerate(case.leads):
        following = case.leads[number + 1 :]
        if not following or following[0][1].assigned_at > moment:
            yield lead


def _cases(heard: Iterable[Heard]) -> dict[UUID, _CaseHeard]:
    cases: dict[UUID, _CaseHeard] = {}
    nothing = _CaseHeard(None, None, (), None)
    for each in heard:
        event = each.event
        if not isinstance(event, e.AssessmentStarted | e.LeadProfessionalAssigned | e.CaseClosed):
            continue
        known = cases.get(event.case_id, nothing)
        match event:
            case e.AssessmentStarted():
                known = _CaseHeard(event.referral_id, event.started_at, known.leads, known.closed)
            case e.LeadProfessionalAssigned():
                leads = sorted([*known.leads, (each, event)], key=lambda lead: lead[1].assigned_at)
                known = _CaseHeard(known.referral_id, known.opened_at, tuple(leads), known.closed)
            case e.CaseClosed():
                known = _CaseHeard(known.referral_id, known.opened_at, known.leads, (each, event))
        cases[event.case_id] = known
    return cases
