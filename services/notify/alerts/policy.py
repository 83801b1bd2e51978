"""Who is alerted about what. Pure: `routing` finds recipients by role, `delivery/policy.py` the channels."""

from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from schemas.events import AlertRaised, AlertRepeated, AlertSettled, Event
from schemas.events.codes import Urgency
from services.kernel.deadlines.policy import DeadlineEvent
from services.kernel.deadlines.wording import day_words, last_day
from services.kernel.processing.service import Context
from services.notify.alerts.council import Council
from services.notify.alerts.model import Address, Alert, People
from services.notify.alerts.recipients import team_of
from services.notify.alerts.routing import addresses
from services.notify.pack.model import RECIPIENT_MISSING, AlertRule, NotifyPack

MOST_URGENT_FIRST = (Urgency.URGENT, Urgency.SOON, Urgency.ROUTINE)


def decide_alerts(
    people: People,
    event: Event,
    *,
    council: Council,
    context: Context,
    still_open: Iterable[Alert] = (),
) -> list[AlertRaised | AlertRepeated]:
    """Return the alerts that an event raises: one for each recipient, whatever number of rules names them.

    `people` already knows the event; `still_open` are the child's open alerts. Where one recipient is named
    twice, the most urgent rule speaks, and of equally urgent ones the first. What is open and says the same
    of the same case speaks for the new one as well. The pack's `silent` events and imported history raise
    none. Where a recipient was missing, a separate alert says so to somebody who can put it right.
    """
    told: dict[str, tuple[AlertRule, Address, str]] = {}
    vacant = False
    for rule in sorted(_rules(event, council.pack), key=lambda rule: MOST_URGENT_FIRST.index(rule.urgency)):
        for address in addresses(rule, event, people, council, now=context.now):
            told.setdefault(address.recipient_id, (rule, address, kind_of(event)))
            vacant |= address.vacant and rule.vacancy
    for rule in (council.pack.alerts_for(RECIPIENT_MISSING) or ()) if vacant else ():
        for address in addresses(rule, event, people, council, now=context.now):
            told.setdefault(address.recipient_id, (rule, address, RECIPIENT_MISSING))
    alerts = [
        _alert(rule, address, kind, event, people, council.pack, context)
        for rule, address, kind in told.values()
    ]
    open_now = list(still_open)
    return [_repetition(alert, open_now, council, context) or alert for alert in alerts]


def decide_settlement(
    event: Event, *, council: Council, context: Context, still_open: Iterable[Alert]
) -> list[AlertSettled]:
    """Settle the child's open alerts about the same thing, where the event leaves nothing to do."""
    kinds = set(settled_kinds(event, council.pack))
    return [
        AlertSettled(
            child_id=event.child_id,
            alert_id=alert.alert_id,
            by=event.name,
            settled_at=context.now,
        )
        for alert in still_open
        if alert.settled_at is None
        and alert.facts.kind in kinds
        and alert.facts.about == _about(event)
        and _settles(event, alert.facts, council.pack)
    ]


def settled_kinds(event: Event, pack: NotifyPack) -> Iterator[str]:
    """Yield the kinds of alerts that an event settles; a deadline's event settles only that deadline's."""
    return pack.settled_kinds(event.name, event.kind if isinstance(event, DeadlineEvent) else None)


def kind_of(event: Event) -> str:
    """Return what an alert is about, for example `deadline.overdue:assessment` or `referral.accepted`."""
    return f"{event.name}:{event.kind}" if isinstance(event, DeadlineEvent) else event.name


def unrouted(pack: NotifyPack, events: Iterator[type[Event]]) -> list[str]:
    """Return the names of events that the pack neither alerts on nor lists as silent."""
    kinds = {event: "*" if issubclass(event, DeadlineEvent) else None for event in events}
    said = {event.name: pack.alerts_for(event.name, kind) for event, kind in kinds.items()}
    said[RECIPIENT_MISSING] = pack.alerts_for(RECIPIENT_MISSING)
    return sorted(name for name, rules in said.items() if rules is None)


def _alert(
    rule: AlertRule,
    address: Address,
    kind: str,
    event: Event,
    people: People,
    pack: NotifyPack,
    context: Context,
) -> AlertRaised:
    case = people.find_open_case(getattr(event, "case_id", None))
    team = team_of(event, people, pack)
    due_at = getattr(event, "due_at", None)
    return AlertRaised(
        child_id=event.child_id,
        alert_id=context.id(f"alert/{address.role}/{address.recipient_id}"),
        cause_id=context.cause,
        recipient_id=address.recipient_id,
        role=address.role,
        stands_in_for=address.stands_in_for,
        kind=kind,
        urgency=rule.urgency,
        about=_about(event),
        case_id=getattr(event, "case_id", None) or (case.case_id if case is not None else None),
        team=None if team is None else team.code,
        due_at=due_at,
        template=rule.template,
        says=rule.text(
            deadline=_deadline_words(event, pack),
            due_on=day_words(last_day(due_at)) if due_at is not None else "",
        ),
        next_step=rule.next_step,
        raised_at=context.now,
    )


def _repetition(
    alert: AlertRaised, still_open: Sequence[Alert], council: Council, context: Context
) -> AlertRepeated | None:
    """Count a repetition on an open alert that says the same about the same case; None when there is none.

    Urgent alerts must also be about the same thing: another overdue visit of the case is not the same.
    """
    for known in still_open:
        facts = known.facts
        if (
            known.settled_at is None
            and facts.recipient_id == alert.recipient_id
            and facts.kind == alert.kind
            and (facts.case_id or facts.about) == (alert.case_id or alert.about)
            and (facts.about == alert.about or alert.urgency is not Urgency.URGENT)
            and context.now - facts.raised_at <= council.pack.notifications.collapse_within
        ):
            return AlertRepeated(
                child_id=alert.child_id,
                alert_id=known.alert_id,
                cause_id=context.cause,
                about=alert.about,
                due_at=alert.due_at,
                repeats=known.repeats + 1,
                repeated_at=context.now,
            )
    return None


def _rules(event: Event, pack: NotifyPack) -> tuple[AlertRule, ...]:
    kind = event.kind if isinstance(event, DeadlineEvent) else None
    origin = getattr(event, "origin", "leadline")
    # Never None: app.py refuses a pack that says nothing about an event we read.
    return tuple(rule for rule in pack.alerts_for(event.name, kind) or () if origin in rule.origins)


def _settles(event: Event, alert: AlertRaised, pack: NotifyPack) -> bool:
    """Return whether a rule for this recipient settles the alert: a referrer's receipt asks for nothing."""
    name, _, deadline = alert.kind.partition(":")
    rules = pack.alerts_for(name, deadline or None) or ()
    # No rule names a stand-in or the recipient of an escalation: then any rule counts.
    own = [rule for rule in rules if alert.role in rule.to] or rules
    return any(event.name in rule.settled_by for rule in own)


def _about(event: Event) -> UUID:
    return event.about if isinstance(event, DeadlineEvent) else event.subject


def _deadline_words(event: Event, pack: NotifyPack) -> str:
    if not isinstance(event, DeadlineEvent):
        return ""
    rule = pack.deadlines.by_kind.get(event.kind)
    return event.kind.replace("_", " ") if rule is None else rule.words
