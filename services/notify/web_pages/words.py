"""Alerts, events and rules as people read them. Ids, codes and dates only, and the pack's own words."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from schemas.events.codes import Role, Urgency
from services.kernel.calendar import LONDON
from services.notify.chronicle import Entry
from services.notify.model import Alert
from services.notify.wording import day_words, due_words, kind_words, moment_words

WHY: Mapping[Role, str] = {
    Role.LEAD_PROFESSIONAL: "You are the lead professional of this case.",
    Role.TEAM_MANAGER: "You manage the team that answers for this case.",
    Role.REFERRER: "You referred this child.",
    Role.DUTY_INBOX: "The duty inbox answers for what no lead professional or referrer is known for.",
    Role.KEY_WORKER: "You are the child’s key worker.",
    Role.REVIEWING_OFFICER: "You are the child’s independent reviewing officer.",
    Role.COMMISSIONER: "You commission placements for this county.",
    Role.PLACEMENTS_OFFICER: "You look after placements in this county.",
    Role.OPERATIONS: "You keep Leadline running.",
}
TAGS: Mapping[Urgency, str] = {Urgency.URGENT: "Urgent", Urgency.SOON: "Soon", Urgency.ROUTINE: "Routine"}
COLOURS: Mapping[Urgency, str] = {Urgency.URGENT: "red", Urgency.SOON: "yellow", Urgency.ROUTINE: "blue"}

_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}\S*")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NOT_SHOWN = frozenset({"child_id"})
"""It is what the page is about."""


@dataclass(frozen=True, slots=True)
class Card:
    """One alert as its recipient reads it: who, what, by when, why me, what now."""

    alert_id: UUID
    child_id: UUID
    recipient_id: str
    heading: str
    reference: str
    case: str
    says: str
    by_when: str | None
    late: bool
    why: str
    next_step: str
    raised: str
    urgency: str
    tag: str
    colour: str
    notes: tuple[str, ...]
    """What has happened to it since, a sentence each."""
    open: bool
    acknowledged: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """One event as people read it."""

    message_id: UUID
    when: str
    day: date
    what: str
    kind: str
    source: str
    facts: tuple[tuple[str, str], ...]


def card(alert: Alert, *, now: datetime) -> Card:
    """Return an alert in words. A case is named by its id's first part: enough to recognise it."""
    facts = alert.facts
    return Card(
        alert_id=alert.alert_id,
        child_id=facts.child_id,
        recipient_id=facts.recipient_id,
        heading=kind_words(facts.kind).capitalize(),
        reference=str(facts.case_id or facts.about)[:8],
        case=f"Case {facts.case_id}" if facts.case_id is not None else f"Reference {facts.about}",
        says=facts.says or "",
        by_when=None if facts.due_at is None else due_words(facts.due_at),
        late=facts.due_at is not None and facts.due_at <= now and alert.settled_at is None,
        why=" ".join(_why(alert)),
        next_step=facts.next_step or "",
        raised=moment_words(facts.raised_at, now=now),
        urgency=facts.urgency.value,
        tag=TAGS[facts.urgency],
        colour=COLOURS[facts.urgency],
        notes=tuple(_notes(alert, now=now)),
        open=alert.status == "open",
        acknowledged=None
        if alert.acknowledged_at is None
        else f"Seen {moment_words(alert.acknowledged_at, now=now)} by {alert.acknowledged_by}",
    )


def line(entry: Entry, *, now: datetime) -> Line:
    """Return an event in words: when, what, and the facts that it carries."""
    name = entry.type.rpartition(".v")[0] or entry.type
    kind = entry.data.get("kind") if name.startswith("deadline.") else None
    return Line(
        message_id=entry.message_id,
        when=moment_words(entry.occurred_at, now=now),
        day=entry.occurred_at.astimezone(LONDON).date(),
        what=kind_words(f"{name}:{kind}" if kind else name).capitalize(),
        kind=name,
        source=entry.source.rpartition("/")[2],
        facts=tuple(facts_of(entry.data, now=now)),
    )


def facts_of(data: Mapping[str, Any], *, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield an event's facts by name; what it does not say is left out."""
    for name, value in data.items():
        words = "" if name in _NOT_SHOWN else value_words(value, now=now)
        if words:
            yield plain(name.removesuffix("_id")).capitalize(), words


def value_words(value: Any, *, now: datetime) -> str:
    """Return a value of an event: moments and days in English, lists joined, a rule by its words."""
    match value:
        case None:
            return ""
        case datetime():
            return moment_words(value, now=now)
        case bool():
            return "yes" if value else "no"
        case dict():
            return str(value.get("words") or ", ".join(f"{plain(k)} {v}" for k, v in value.items()))
        case list():
            return "; ".join(value_words(each, now=now) for each in value)
        case str() if _MOMENT.fullmatch(value):
            return moment_words(datetime.fromisoformat(value), now=now)
        case str() if _DAY.fullmatch(value):
            return day_words(date.fromisoformat(value))
        case _:
            return str(value)


def plain(code: str) -> str:
    """Return a code as words, for example `team manager` for `team_manager`."""
    return code.replace("_", " ")


def _why(alert: Alert) -> Iterator[str]:
    facts = alert.facts
    if facts.stands_in_for is not None:
        yield f"You stand in for {facts.stands_in_for}, who is away or has left."
    if facts.escalates is not None:
        yield "Nobody acknowledged the alert before this one in time."
    yield WHY[facts.role]


def _notes(alert: Alert, *, now: datetime) -> Iterator[str]:
    if alert.settled_at is not None:
        yield f"What it asks for has happened: {moment_words(alert.settled_at, now=now)}."
    if alert.repeats and alert.repeated_at is not None:
        times = "once more" if alert.repeats == 1 else f"{alert.repeats} times more"
        yield f"The same has happened {times}, last {moment_words(alert.repeated_at, now=now)}."
    if alert.step:
        times = "once" if alert.step == 1 else f"{alert.step} times"
        yield f"Nobody acknowledged it in time: escalated {times}."
    if alert.snoozed_until is not None and alert.snoozed_until > now:
        yield f"Put off until {due_words(alert.snoozed_until)}."
