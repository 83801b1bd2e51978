"""Who is told of what. Pure: the pack says which roles, the child's people say who that is."""

from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

from schemas import events as e
from schemas.events import AlertAcknowledged, AlertRaised, Event
from schemas.events.codes import Role, Urgency
from services.kernel.deadlines import DeadlineEvent
from services.kernel.faults import Refused
from services.kernel.organisation import Team
from services.kernel.service import Occasion
from services.notify.model import AcknowledgeAlert, Address, Alert, Case, People, Referrer
from services.notify.pack import AlertRule, NotifyPack
from services.notify.wording import day_words, last_day

MOST_URGENT_FIRST = (Urgency.URGENT, Urgency.SOON, Urgency.ROUTINE)

E_MAILED = frozenset({Urgency.SOON, Urgency.URGENT})
"""Alerts that also go by e-mail, at once; routine ones wait in the inbox."""

AlertEvent = AlertRaised | AlertAcknowledged


def learn(people: People, event: Event) -> People:
    """Return who is around the child after an event. Old news that arrives late changes nothing."""
    match event:
        case e.ReferralReceived() | e.ReferralAccepted():
            fresh = Referrer(event.agency_id, event.locality, event.received_at)
            known = people.referrer
            late = known is not None and known.referred_at > fresh.referred_at
            return people if late else replace(people, referrer=fresh)
        case e.AssessmentStarted():
            case = people.find_case(event.case_id) or Case(event.case_id, event.started_at)
            # The lead professional's team wins over the one that started: it may be another locality's.
            team, locality = case.team or event.team, case.locality or event.locality
            return _with(people, replace(case, opened_at=event.started_at, team=team, locality=locality))
        case e.LeadProfessionalAssigned():
            case = people.find_case(event.case_id) or Case(event.case_id, event.assigned_at)
            lead = event.lead_professional_id if case.status == "open" else None
            return _with(
                people, replace(case, lead_professional_id=lead, team=event.team, locality=event.locality)
            )
        case e.CaseClosed():
            case = people.find_case(event.case_id) or Case(event.case_id, event.closed_at)
            return _with(people, replace(case, status="closed", lead_professional_id=None))
    return people


def decide_alerts(people: People, event: Event, *, pack: NotifyPack, occasion: Occasion) -> list[AlertRaised]:
    """Return the alerts that an event raises: one for each recipient, whatever number of rules names them.

    `people` already knows the event. Where one recipient is named twice, the most urgent rule speaks, and
    of equally urgent ones the first. The pack's `silent` events and imported history raise none.
    """
    case = people.find_open_case(getattr(event, "case_id", None))
    told: dict[str, tuple[AlertRule, Role]] = {}
    for rule in sorted(_rules(event, pack), key=lambda rule: MOST_URGENT_FIRST.index(rule.urgency)):
        for address in addresses(rule, event, people, pack):
            told.setdefault(address.recipient_id, (rule, address.role))
    due_at = getattr(event, "due_at", None)
    return [
        AlertRaised(
            child_id=event.child_id,
            alert_id=occasion.id(f"alert/{role}/{recipient_id}"),
            recipient_id=recipient_id,
            role=role,
            kind=kind_of(event),
            urgency=rule.urgency,
            about=_about(event),
            case_id=getattr(event, "case_id", None) or (case.case_id if case is not None else None),
            due_at=due_at,
            says=rule.text(
                deadline=_deadline_words(event, pack),
                due_on=day_words(last_day(due_at)) if due_at is not None else "",
            ),
            next_step=rule.next_step,
            raised_at=occasion.now,
        )
        for recipient_id, (rule, role) in told.items()
    ]


def addresses(rule: AlertRule, event: Event, people: People, pack: NotifyPack) -> Iterator[Address]:
    """Yield whom a rule reaches. Where nobody has a role, the duty inbox is told: no alert is dropped.

    The one exception is the pack's own: `without_lead: null` tells nobody in place of a missing lead.
    """
    for role in rule.to:
        recipient_id = find_recipient(role, event, people, pack)
        if recipient_id is not None:
            yield Address(role, recipient_id)
            continue
        stand_in = rule.without_lead if role is Role.LEAD_PROFESSIONAL else Role.DUTY_INBOX
        if stand_in is None:
            continue
        recipient_id = find_recipient(stand_in, event, people, pack)
        if recipient_id is None:
            stand_in, recipient_id = Role.DUTY_INBOX, duty_inbox(event, people, pack)
        yield Address(stand_in, recipient_id)


def find_recipient(role: Role, event: Event, people: People, pack: NotifyPack) -> str | None:
    """Return who has a role for an event's child; None when nobody does."""
    match role:
        case Role.LEAD_PROFESSIONAL:
            if isinstance(event, e.LeadProfessionalAssigned | e.CaseClosed):
                return event.lead_professional_id
            case = people.find_open_case(getattr(event, "case_id", None))
            return None if case is None else case.lead_professional_id
        case Role.TEAM_MANAGER:
            team = _team(event, people, pack)
            return pack.county_duty.manager if team is None else team.manager
        case Role.REFERRER:
            agency_id: str | None = getattr(event, "agency_id", None)
            return agency_id or (people.referrer.agency_id if people.referrer is not None else None)
        case Role.DUTY_INBOX:
            return duty_inbox(event, people, pack)
        case Role.PLACEMENTS_OFFICER:
            return pack.county_duty.placements_officer
        case Role.OPERATIONS:
            return pack.county_duty.operations


def duty_inbox(event: Event, people: People, pack: NotifyPack) -> str:
    """Return the inbox that somebody always watches: the team's, or the county's when no team is known."""
    team = _team(event, people, pack)
    return pack.county_duty.duty_inbox if team is None else team.duty_inbox


def kind_of(event: Event) -> str:
    """Return what an alert is about, for example `deadline.overdue:assessment` or `referral.accepted`."""
    return f"{event.name}:{event.kind}" if isinstance(event, DeadlineEvent) else event.name


def decide_acknowledgement(
    alert: Alert, command: AcknowledgeAlert, *, occasion: Occasion
) -> list[AlertAcknowledged]:
    """Acknowledge an alert; one that is acknowledged already stays as it is, and nobody is refused."""
    if alert.status == "absent":
        sentence = f"There is no alert {command.alert_id}: look the id up in GET /alerts."
        raise Refused(sentence, missing=True)
    if alert.status == "acknowledged":
        return []
    return [
        AlertAcknowledged(
            child_id=alert.facts.child_id,
            alert_id=alert.alert_id,
            acknowledged_by=command.acknowledged_by,
            acknowledged_at=occasion.now,
        )
    ]


def evolve(alert: Alert, event: AlertEvent) -> Alert:
    """Return the alert after one of its events."""
    alert = replace(alert, version=alert.version + 1)
    match event:
        case AlertRaised():
            return replace(alert, status="open", raised=event)
        case AlertAcknowledged():
            return replace(
                alert,
                status="acknowledged",
                acknowledged_at=event.acknowledged_at,
                acknowledged_by=event.acknowledged_by,
            )


def unrouted(pack: NotifyPack, events: Iterator[type[Event]]) -> list[str]:
    """Return the names of events about which the pack says nothing, neither an alert nor silence."""
    kinds = {event: "*" if issubclass(event, DeadlineEvent) else None for event in events}
    return sorted(event.name for event, kind in kinds.items() if pack.alerts_for(event.name, kind) is None)


def _rules(event: Event, pack: NotifyPack) -> tuple[AlertRule, ...]:
    kind = event.kind if isinstance(event, DeadlineEvent) else None
    origin = getattr(event, "origin", "leadline")
    # None cannot come: app.py refuses a pack that says nothing about an event we read.
    return tuple(rule for rule in pack.alerts_for(event.name, kind) or () if origin in rule.origins)


def _team(event: Event, people: People, pack: NotifyPack) -> Team | None:
    """Return the team that answers for an event: the case's, else the event's, else the locality's."""
    case_id = getattr(event, "case_id", None)
    case = people.find_open_case(case_id) or people.find_case(case_id)
    teams = (case.team if case is not None else None, getattr(event, "team", None))
    localities = (
        case.locality if case is not None else None,
        getattr(event, "locality", None),
        people.referrer.locality if people.referrer is not None else None,
    )
    served = (pack.team_by_locality.get(locality or "") for locality in localities)
    named = (pack.team_by_code.get(team or "") for team in teams)
    return next((team for team in (*named, *served) if team is not None), None)


def _about(event: Event) -> UUID:
    return event.about if isinstance(event, DeadlineEvent) else event.subject


def _deadline_words(event: Event, pack: NotifyPack) -> str:
    if not isinstance(event, DeadlineEvent):
        return ""
    rule = pack.deadlines.by_kind.get(event.kind)
    return event.kind.replace("_", " ") if rule is None else rule.words


def _with(people: People, case: Case) -> People:
    others = tuple(other for other in people.cases if other.case_id != case.case_id)
    return replace(people, cases=(*others, case))
