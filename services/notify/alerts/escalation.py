"""Escalates alerts that nobody acknowledges, and moves open alerts to a new lead. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from schemas import events as e
from schemas.events import AlertRaised, AlertReassigned, Event, NotificationEscalated
from schemas.events.codes import Role
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.messages.ids import derived
from services.kernel.processing.service import Context
from services.notify.alerts.council import Council
from services.notify.alerts.model import Address, Alert, People
from services.notify.alerts.recipients import duty_inbox, find_recipient
from services.notify.alerts.stand_ins import reach
from services.notify.pack.model import NotifyPack
from services.notify.pack.notifications import EscalationStep
from services.notify.preferences.hours import after_working_hours

NOT_OURS = frozenset({Role.REFERRER})
"""Roles outside the council: they get no reminders."""


def steps_of(alert: AlertRaised, pack: NotifyPack) -> Sequence[EscalationStep]:
    """Return an alert's escalation steps; none for one that is itself an escalation."""
    if alert.role in NOT_OURS or alert.escalates is not None:
        return ()
    return pack.notifications.by_urgency[alert.urgency].escalation


def next_at(
    alert: AlertRaised, step: int, since: datetime, *, pack: NotifyPack, calendar: WorkingCalendar
) -> datetime | None:
    """Return when an alert escalates next, after `step` steps, the last of them at `since`.

    None: no step is left. A late step does not bring the following ones forward.
    """
    steps = steps_of(alert, pack)
    if step >= len(steps):
        return None
    before = steps[step - 1].after_working_hours if step else 0.0
    day = pack.notifications.working_day
    return after_working_hours(
        since,
        steps[step].after_working_hours - before,
        begins=day.begins,
        ends=day.ends,
        calendar=calendar,
    )


def alert_ids(alert: AlertRaised, recipient_id: str) -> dict[Role, UUID]:
    """Return the ids, by role, that an alert of the same cause to this recipient would have."""
    return {role: derived(alert.cause_id, f"alert/{role}/{recipient_id}") for role in Role}


def candidates(alert: Alert, people: People, *, council: Council, now: datetime) -> list[Address]:
    """Return all whom the remaining steps would alert."""
    steps = steps_of(alert.facts, council.pack)[alert.step :]
    return [_whom(step, alert.facts, people, council, now=now) for step in steps]


def decide_escalation(
    alert: Alert, people: People, *, told: Mapping[UUID, Alert], council: Council, context: Context
) -> list[Event]:
    """Return the next step of an alert that was not acknowledged in time; nothing when there is none.

    `told` holds the alerts of the same cause to the `candidates`. A candidate who has one is skipped. If one
    of those is acknowledged, escalation ends: someone who can act knows.
    """
    facts = alert.facts
    if alert.status != "open":
        return []
    steps = steps_of(facts, council.pack)
    for index in range(alert.step, len(steps)):
        step = steps[index]
        if step.to == "reminder":
            return [
                _escalated(alert, index + 1, step, facts.role, facts.recipient_id, facts.alert_id, context)
            ]
        address = _whom(step, facts, people, council, now=context.now)
        if address.recipient_id == facts.recipient_id:
            continue
        known = [told[each] for each in alert_ids(facts, address.recipient_id).values() if each in told]
        if any(each.status == "acknowledged" for each in known):
            return []
        if known:
            continue
        alert_id = alert_ids(facts, address.recipient_id)[address.role]
        raised = facts.model_copy(
            update={
                "alert_id": alert_id,
                "recipient_id": address.recipient_id,
                "role": address.role,
                "stands_in_for": address.stands_in_for,
                "escalates": facts.alert_id,
                "template": "escalation",
                "next_step": step.next_step,
                "raised_at": context.now,
            }
        )
        told_now = _escalated(alert, index + 1, step, address.role, address.recipient_id, alert_id, context)
        return [raised, told_now]
    return []


def decide_following(
    alerts: Iterable[Alert],
    event: e.LeadProfessionalAssigned,
    people: People,
    *,
    council: Council,
    now: datetime,
) -> list[AlertReassigned]:
    """Move a case's open alerts to its new lead professional.

    They come from the former lead, and from the duty inbox where the case had no lead. Settled alerts stay,
    because they ask for nothing. Alerts about the assignment itself stay too: each lead gets their own.
    """
    lead = people.find_case(event.case_id)
    if lead is None or lead.lead_professional_id is None:
        return []  # closed meanwhile
    address = reach(Role.LEAD_PROFESSIONAL, lead.lead_professional_id, event, people, council, now=now)
    known = list(alerts)
    moved = [
        _moved(alert, address, "new_lead_professional", now)
        for alert in known
        if alert.status == "open"
        and alert.settled_at is None
        and alert.facts.kind != event.name
        and alert.facts.case_id == event.case_id
        and alert.facts.recipient_id != address.recipient_id
        and (alert.facts.role is Role.LEAD_PROFESSIONAL or _stood_in(alert.facts, council.pack))
    ]
    return without_copies(moved, known)


def decide_absence(
    alerts: Iterable[Alert],
    worker_id: str,
    people: Mapping[UUID, People],
    *,
    for_good: bool,
    council: Council,
    now: datetime,
) -> list[AlertReassigned]:
    """Move an absent worker's open alerts to their stand-in."""
    moved = []
    for alert in alerts:
        facts = alert.facts
        if alert.status != "open" or facts.recipient_id != worker_id:
            continue
        around = people.get(facts.child_id) or People(facts.child_id)
        address = reach(facts.role, worker_id, facts, around, council, now=now)
        if address.recipient_id != worker_id:
            moved.append(_moved(alert, address, "left" if for_good else "out_of_office", now))
    return moved


def without_copies(moved: Iterable[AlertReassigned], known: Sequence[Alert]) -> list[AlertReassigned]:
    """Return the moves that bring a cause to a recipient for the first time; other alerts stay.

    A manager who stands in for the lead already has the alerts that both received in the same words.
    """
    words = {alert.alert_id: (alert.facts.cause_id, alert.facts.says) for alert in known}
    told = {(words[alert.alert_id], alert.facts.recipient_id) for alert in known}
    first = []
    for each in moved:
        fresh = (words[each.alert_id], each.to_id)
        if fresh not in told:
            told.add(fresh)
            first.append(each)
    return first


def _whom(
    step: EscalationStep, facts: AlertRaised, people: People, council: Council, *, now: datetime
) -> Address:
    match step.to:
        case "team_manager":
            # An alert is an event with a case and a team: the people who answer for those now are asked.
            manager = find_recipient(Role.TEAM_MANAGER, facts, people, council.pack)
            assert manager is not None  # noqa: S101 - the county has one
            return reach(Role.TEAM_MANAGER, manager, facts, people, council, now=now)
        case "duty_inbox":
            return Address(Role.DUTY_INBOX, duty_inbox(facts, people, council.pack))
        case "reminder":
            return Address(facts.role, facts.recipient_id)


def _stood_in(facts: AlertRaised, pack: NotifyPack) -> bool:
    """Return whether the duty inbox has an alert meant for the lead professional."""
    if facts.role is not Role.DUTY_INBOX or facts.escalates is not None:
        return False
    name, _, deadline = facts.kind.partition(":")
    roles = {role for rule in pack.alerts_for(name, deadline or None) or () for role in rule.to}
    return Role.LEAD_PROFESSIONAL in roles and Role.DUTY_INBOX not in roles


def _moved(
    alert: Alert,
    address: Address,
    reason: Literal["new_lead_professional", "out_of_office", "left"],
    now: datetime,
) -> AlertReassigned:
    return AlertReassigned(
        child_id=alert.facts.child_id,
        alert_id=alert.alert_id,
        from_id=alert.facts.recipient_id,
        to_id=address.recipient_id,
        role=address.role,
        reason=reason,
        reassigned_at=now,
    )


def _escalated(
    alert: Alert,
    number: int,
    step: EscalationStep,
    role: Role,
    recipient_id: str,
    told_by: UUID,
    context: Context,
) -> NotificationEscalated:
    return NotificationEscalated(
        child_id=alert.facts.child_id,
        alert_id=alert.alert_id,
        case_id=alert.facts.case_id,
        step=number,
        to=step.to,
        role=role,
        recipient_id=recipient_id,
        told_by=told_by,
        escalated_at=context.now,
    )
