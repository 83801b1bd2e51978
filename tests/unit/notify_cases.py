"""Builders for the rules of notify: a child in Ely whose case W-0601 leads, under Cambridgeshire's pack."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from schemas import events as e
from schemas.events import AlertRaised, Event
from schemas.events.codes import Channel, Role, Urgency
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.pack.model import load_pack
from services.kernel.processing.service import Context
from services.notify.alerts.council import Council
from services.notify.alerts.lifecycle import evolve
from services.notify.alerts.model import Alert, Case, People, Referrer
from services.notify.alerts.policy import decide_alerts
from services.notify.pack.model import AlertRule, NotifyPack
from services.notify.preferences.model import Arrangements, Delegation, QuietHours, Subscription

PACK = load_pack(Path(__file__).parents[2] / "deploy" / "policies" / "cambridgeshire.yaml", NotifyPack)
NOW = datetime(2026, 9, 7, 13, 5, tzinfo=UTC)
"""A Monday, 14:05 in London."""
CHILD, CASE, REFERRAL, PLACEMENT = (UUID(int=number) for number in range(1, 5))
LEAD, MANAGER, OTHER, DUTY = "W-0601", "W-0600", "W-0602", "duty-lt-ely"
ALL_CHANNELS = frozenset(Channel)


def at(moment: datetime = NOW, cause: int = 99) -> Context:
    """Return the context of a decision."""
    return Context(moment, UUID(int=cause), UUID(int=cause), WorkingCalendar())


def people(**changes: Any) -> People:
    """Return the child's people."""
    case = Case(CASE, NOW, "open", LEAD, "lt-ely", "ely")
    return replace(People(CHILD, Referrer("school-1", "ely", NOW), (case,)), **changes)


def overdue(kind: str = "assessment", **changes: Any) -> e.DeadlineOverdue:
    """Return an urgent event, told to the manager and the lead."""
    values: dict[str, Any] = {
        "child_id": CHILD,
        "deadline_id": UUID(int=50),
        "about": CASE,
        "case_id": CASE,
        "kind": kind,
        "due_at": datetime(2026, 9, 6, 23, 0, tzinfo=UTC),
        "raised_at": NOW,
    }
    return e.DeadlineOverdue(**values | changes)


def due_soon(**changes: Any) -> e.DeadlineDueSoon:
    """Return an event that is not urgent, told to the lead."""
    return e.DeadlineDueSoon(**overdue("plan_review").model_dump() | changes)


def reviewed(**changes: Any) -> e.PlanReviewed:
    """Return a routine event, told to the lead and the key worker."""
    values: dict[str, Any] = {
        "child_id": CHILD,
        "case_id": CASE,
        "outcome": "continue",
        "level": 2,
        "reviewed_at": NOW,
        "reviewed_by": LEAD,
    }
    return e.PlanReviewed(**values | changes)


def assigned(lead: str = LEAD, **changes: Any) -> e.LeadProfessionalAssigned:
    """Return the assignment of a lead professional."""
    values: dict[str, Any] = {
        "child_id": CHILD,
        "case_id": CASE,
        "lead_professional_id": lead,
        "team": "lt-ely",
        "locality": "ely",
        "reason": "least_weighted_caseload",
        "assigned_at": NOW,
    }
    return e.LeadProfessionalAssigned(**values | changes)


def away(
    worker: str = LEAD,
    to: str | None = None,
    *,
    start: datetime = NOW,
    end: datetime | None = None,
    number: int = 1,
) -> Delegation:
    """Return an absence; for good unless it ends."""
    return Delegation(UUID(int=700 + number), worker, to, start, end)


def arranged(
    *delegations: Delegation,
    preferences: dict[tuple[str, str, str], Any] | None = None,
    quiet: dict[str, QuietHours] | None = None,
    subscriptions: dict[str, tuple[Subscription, ...]] | None = None,
) -> Arrangements:
    """Return arrangements."""
    by_worker: dict[str, tuple[Delegation, ...]] = {}
    for each in delegations:
        by_worker[each.worker_id] = (*by_worker.get(each.worker_id, ()), each)
    return Arrangements(1, preferences or {}, quiet or {}, by_worker, subscriptions or {})


def council(arrangements: Arrangements | None = None, *, pack: NotifyPack = PACK) -> Council:
    """Return a council that has every channel."""
    return Council(pack, arrangements or Arrangements(), ALL_CHANNELS)


def pack_with(**changes: Any) -> NotifyPack:
    """Return the pack with sections replaced."""
    return NotifyPack.model_validate(PACK.model_dump() | changes)


def with_rules(*rules: AlertRule) -> NotifyPack:
    """Return the pack with these rules and no others."""
    return pack_with(alerts=[rule.model_dump() for rule in rules])


def rule_for(subject: str) -> AlertRule:
    """Return the pack's first rule for an event."""
    return next(rule for rule in PACK.alerts if rule.on == subject)


def alerts_of(
    event: Event,
    around: People | None = None,
    under: Council | None = None,
    context: Context | None = None,
) -> list[AlertRaised]:
    """Return the alerts that an event raises."""
    told = decide_alerts(around or people(), event, council=under or council(), context=context or at())
    return [alert for alert in told if isinstance(alert, AlertRaised)]


def fact(**changes: Any) -> AlertRaised:
    """Return an alert to the lead that is soon."""
    values: dict[str, Any] = {
        "child_id": CHILD,
        "alert_id": UUID(int=300),
        "cause_id": UUID(int=99),
        "recipient_id": LEAD,
        "role": Role.LEAD_PROFESSIONAL,
        "kind": "deadline.due_soon:plan_review",
        "urgency": Urgency.SOON,
        "about": CASE,
        "case_id": CASE,
        "team": "lt-ely",
        "template": "alert",
        "says": "Due soon.",
        "next_step": "Plan it.",
        "raised_at": NOW,
    }
    return AlertRaised(**values | changes)


def opened(raised: AlertRaised | None = None, **changes: Any) -> Alert:
    """Return an open alert."""
    told = raised or fact(**changes)
    return evolve(Alert(told.alert_id), told)
