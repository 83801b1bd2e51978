"""What the rules of notify look at: the child's people, what they arranged, and Cambridgeshire's pack."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from schemas.events import AlertRaised, Event
from schemas.events.codes import Channel
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.pack.model import load_pack
from services.kernel.processing.service import Context
from services.notify.alerts.council import Council
from services.notify.alerts.lifecycle import evolve
from services.notify.alerts.model import Alert, Case, People, Referrer
from services.notify.alerts.policy import decide_alerts
from services.notify.pack.model import AlertRule, NotifyPack
from services.notify.preferences.model import Arrangements, Delegation, QuietHours, Subscription
from tests.builders import CASE, CHILD, LEAD, alert_raised

PACK = load_pack(Path(__file__).parents[2] / "deploy" / "policies" / "cambridgeshire.yaml", NotifyPack)
NOW = datetime(2026, 9, 7, 13, 5, tzinfo=UTC)
"""A Monday, 14:05 in London."""
ALL_CHANNELS = frozenset(Channel)


def at(moment: datetime = NOW, cause: int = 99) -> Context:
    """Return the context of a decision."""
    return Context(moment, UUID(int=cause), UUID(int=cause), WorkingCalendar())


def people(**changes: Any) -> People:
    """Return the child's people."""
    case = Case(CASE, NOW, "open", LEAD, "lt-ely", "ely")
    return replace(People(CHILD, Referrer("school-1", "ely", NOW), (case,)), **changes)


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
    """Return an alert that was raised now; unless told otherwise to the lead, and not urgent."""
    return alert_raised(at=NOW, **changes)


def opened(raised: AlertRaised | None = None, **changes: Any) -> Alert:
    """Return an open alert."""
    told = raised or fact(**changes)
    return evolve(Alert(told.alert_id), told)
