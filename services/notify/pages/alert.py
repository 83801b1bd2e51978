"""The page of one alert: its event, the pack's rule, the deadline's history, the state of its messages."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from services.kernel.deadlines.wording import due_words
from services.kernel.pack.people import managed_by
from services.kernel.web.pages.answers import Forbidden
from services.kernel.web.pages.forms import field_of
from services.kernel.web.pages.shell import Visit
from services.notify.alerts.model import AcknowledgeAlert, Alert
from services.notify.chronology import queries as chronology_queries
from services.notify.chronology.queries import ChronologyEntry
from services.notify.delivery.store import queue
from services.notify.pack.model import AlertRule, NotifyPack
from services.notify.pages.context import PageContext, back_to, needs_inbox
from services.notify.pages.deeds import Deeds
from services.notify.pages.inbox import InboxId, chosen_before
from services.notify.pages.reminders import allowed, until
from services.notify.pages.words import amount, card, line, parcel, plain, subject_words
from services.notify.queries import lists as reading


@dataclass(frozen=True, slots=True)
class RuleShown:
    """A rule of the policy pack, worded as an answer to "why me"."""

    on: str
    to: str
    urgency: str
    version: str
    limit: str | None
    source: str | None


def add(routes: APIRouter, context: PageContext) -> None:
    """Add the page and its forms."""
    deeds = Deeds(context)

    @routes.get(
        "/inbox/{inbox_id:path}/alerts/{alert_id}", response_class=HTMLResponse, summary="Page: one alert"
    )
    async def single(request: Request, inbox_id: InboxId, alert_id: UUID) -> Response:
        visit = await context.visit(request)
        is_mine = inbox_id in visit.person.inboxes
        if not is_mine and inbox_id not in managed_by(context.pack, visit.person):
            raise Forbidden
        alert = await deeds.find(inbox_id, alert_id)
        return await _page(context, visit, alert, is_mine=is_mine)

    @routes.post(
        "/inbox/{inbox_id:path}/alerts/{alert_id}/acknowledge",
        response_class=HTMLResponse,
        summary="Form: mark an alert as seen",
    )
    async def acknowledge(request: Request, inbox_id: InboxId, alert_id: UUID) -> Response:
        """Mark an alert as seen and go back to the inbox; doing it twice is no error."""
        visit = await context.visit(request)
        needs_inbox(visit, inbox_id)
        chosen = chosen_before(await visit.form())
        await deeds.find(inbox_id, alert_id)
        command = AcknowledgeAlert(alert_id=alert_id, acknowledged_by=visit.person.person_id)
        await deeds.acknowledge(inbox_id, command)
        return back_to(inbox_id, chosen | {"done": 1})

    @routes.post(
        "/inbox/{inbox_id:path}/alerts/{alert_id}/put-off",
        response_class=HTMLResponse,
        summary="Form: put an alert off",
    )
    async def put_off(request: Request, inbox_id: InboxId, alert_id: UUID) -> Response:
        """Put an alert off and go back to the inbox. Raises Refused when it is for too long."""
        visit = await context.visit(request)
        needs_inbox(visit, inbox_id)
        form = await visit.form()
        moment = until(field_of(form, "for"), now=visit.now, pack=context.pack)
        await deeds.put_off(inbox_id, alert_id, by=visit.person.person_id, until=moment)
        return back_to(inbox_id, {"put_off": 1})


def rule_of(alert: Alert, pack: NotifyPack) -> AlertRule | None:
    """Return the rule under which an alert of this kind reaches this role today; None when there is none."""
    name, _, deadline = alert.facts.kind.partition(":")
    rules = pack.alerts_for(name, deadline or None) or ()
    fitting = [rule for rule in rules if rule.urgency is alert.facts.urgency]
    fitting.sort(key=lambda rule: alert.facts.role not in rule.to)
    return fitting[0] if fitting else None


def rule_shown(alert: Alert, pack: NotifyPack) -> RuleShown | None:
    """Return the rule in words, with the time limit that it speaks of and where that comes from."""
    rule = rule_of(alert, pack)
    if rule is None:
        return None
    limit = pack.deadlines.by_kind.get(alert.facts.kind.partition(":")[2])
    return RuleShown(
        on=subject_words(rule.on),
        to=" and the ".join(plain(role.value) for role in rule.to),
        urgency=rule.urgency.value,
        version=pack.pack.version,
        limit=None
        if limit is None
        else f"{limit.words}: {amount(limit.limit, limit.unit)} after {limit.starts}",
        source=None if limit is None else limit.source,
    )


async def _page(context: PageContext, visit: Visit, alert: Alert, *, is_mine: bool) -> Response:
    facts, now = alert.facts, visit.now
    cause, history, before = None, [], None
    async with context.executor.engine.connect() as connection:
        # A referring agency sees the alert alone: events say more than it may know.
        if visit.person.works_with_children:
            cause = await chronology_queries.find_cause(connection, facts.cause_id)
        if cause is not None and cause.type.startswith("deadline."):
            history = await chronology_queries.history_of(
                connection, child_id=facts.child_id, subject=cause.subject
            )
        if facts.escalates is not None:
            before = await reading.find(connection, facts.escalates)
        deliveries = await queue.of_alert(connection, alert.alert_id)
    rules = context.pack.notifications.by_urgency[facts.urgency]
    return context.page(
        visit,
        "alert.html",
        inbox=facts.recipient_id,
        card=card(alert, now=now, to_its_recipient=is_mine),
        is_mine=is_mine,
        cause=None if cause is None else line(cause, now=now),
        rule=rule_shown(alert, context.pack),
        history=[line(each, now=now) for each in _deadline(history)],
        before=None if before is None else card(before, now=now),
        may_open_before=before is not None
        and before.facts.recipient_id in {*visit.person.inboxes, *managed_by(context.pack, visit.person)},
        deliveries=[parcel(each, now=now) for each in deliveries],
        next_step_at=None if alert.next_escalation_at is None else due_words(alert.next_escalation_at),
        lengths=allowed(rules, now=now, pack=context.pack) if alert.status == "open" else [],
        works_with_children=visit.person.works_with_children,
    )


def _deadline(history: list[ChronologyEntry]) -> Iterator[ChronologyEntry]:
    return (each for each in history if each.type.startswith("deadline."))
