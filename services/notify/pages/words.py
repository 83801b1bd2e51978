"""Alerts, events and rules as people read them. Ids, codes and dates only, and the pack's own words."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from schemas.events.codes import Channel, Role, Urgency
from services.kernel.deadlines.calendar import LONDON
from services.kernel.deadlines.wording import day_words, due_words, moment_words, sentence
from services.notify.alerts.model import Alert
from services.notify.chronology.queries import ChronologyEntry
from services.notify.wording import kind_words

WHY: Mapping[Role, str] = {
    Role.LEAD_PROFESSIONAL: "the lead professional of this case",
    Role.TEAM_MANAGER: "the manager of the team that answers for this case",
    Role.REFERRER: "the agency that referred this child",
    Role.DUTY_INBOX: "the duty inbox, which takes what is new and what nobody else is there for",
    Role.KEY_WORKER: "the child’s key worker",
    Role.REVIEWING_OFFICER: "the child’s independent reviewing officer",
    Role.COMMISSIONER: "the commissioner of placements for this county",
    Role.PLACEMENTS_OFFICER: "the placements officer of this county",
    Role.OPERATIONS: "the inbox of those who keep Leadline running",
}
"""A role in the case, worded as the end of a sentence about its holder."""
TAGS: Mapping[Urgency, str] = {Urgency.URGENT: "Urgent", Urgency.SOON: "Soon", Urgency.ROUTINE: "Routine"}
COLOURS: Mapping[Urgency, str] = {Urgency.URGENT: "red", Urgency.SOON: "yellow", Urgency.ROUTINE: "blue"}

CHANNELS: Mapping[Channel, str] = {
    Channel.EMAIL: "Email",
    Channel.SMS: "Text message",
    Channel.WEBHOOK: "Webhook",
    Channel.CHAT: "Chat",
}

STATES: Mapping[str, str] = {
    "held": "Held until",
    "queued": "Waiting since",
    "sent": "Sent",
    "delivered": "Delivered",
    "failed": "Failed",
    "not_needed": "Not needed",
}
"""The state of a delivery in words; its time is shown beside it."""
NAMES: Mapping[str, str] = {
    "agency": "Kind of agency",
    "about": "Reference",
    "due_at": "Due",
    "due_soon_at": "Due soon from",
    "trigger_at": "Counted from",
    "says": "What",
}
"""Facts that are called otherwise than their field."""
DONE = "Nothing more: mark it as seen."

_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}\S*")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NOT_SHOWN = frozenset(
    {
        "child_id",
        "cause_id",
        "delivery_id",
        "message_id",
        "deadline_id",
        "subscription_id",
        "told_by",
        "template",
    }
)
"""The child is what the page is about; the others tell machines what belongs together."""
_CODES = frozenset({"agency", "reason", "role", "outcome", "recommended", "to", "kind", "location", "origin"})
"""Facts whose codes read as words; ids and references stay as they are."""
_INBOXES = frozenset({Role.DUTY_INBOX, Role.OPERATIONS})


@dataclass(frozen=True, slots=True)
class Card:
    """One alert as its recipient reads it: who, what, by when, why me, what now."""

    alert_id: UUID
    child_id: UUID
    recipient_id: str
    heading: str
    reference: str
    case: str
    """The subject, by the part of its id that people recognise; emails name it in the same way."""
    full_id: UUID
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
    """Its history since, one sentence for each step."""
    open: bool
    settled: bool
    """Whether nothing is left to do but to mark it as seen: it is done, or a later alert says more."""
    acknowledged: str | None


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event as people read it."""

    message_id: UUID
    when: str
    day: date
    clock: str
    """The time of day, where the day stands above."""
    what: str
    kind: str
    source: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Parcel:
    """One delivery of an alert as people read it."""

    channel: str
    what: str
    to: str
    state: str
    at: str


def card(alert: Alert, *, now: datetime, to_its_recipient: bool = True) -> Card:
    """Return an alert in words, for its recipient or about them."""
    facts = alert.facts
    about = facts.case_id or facts.about
    reference = short(about)
    settled = alert.settled_at is not None
    return Card(
        alert_id=alert.alert_id,
        child_id=facts.child_id,
        recipient_id=facts.recipient_id,
        heading=kind_words(facts.kind).capitalize(),
        reference=reference,
        case=f"{'Reference' if facts.case_id is None else 'Case'} {reference}",
        full_id=about,
        says=facts.says or "",
        by_when=None if facts.due_at is None else sentence(due_words(facts.due_at)),
        late=facts.due_at is not None and facts.due_at <= now and not settled,
        why=" ".join(_why(alert, to_its_recipient=to_its_recipient)),
        next_step=DONE if settled else facts.next_step or "",
        raised=moment_words(facts.raised_at, now=now),
        urgency=facts.urgency.value,
        tag=TAGS[facts.urgency],
        colour=COLOURS[facts.urgency],
        notes=tuple(_notes(alert, now=now)),
        open=alert.status == "open",
        settled=settled,
        acknowledged=None
        if alert.acknowledged_at is None
        else f"Seen {moment_words(alert.acknowledged_at, now=now)} by {alert.acknowledged_by}",
    )


def line(entry: ChronologyEntry, *, now: datetime) -> EventLine:
    """Return an event in words: when, what, and the facts that it carries."""
    name = entry.type.rpartition(".v")[0] or entry.type
    kind = entry.data.get("kind") if name.startswith("deadline.") else None
    local = entry.occurred_at.astimezone(LONDON)
    return EventLine(
        message_id=entry.message_id,
        when=moment_words(entry.occurred_at, now=now),
        day=local.date(),
        clock=f"{local:%H:%M}",
        what=kind_words(f"{name}:{kind}" if kind else name).capitalize(),
        kind=name,
        source=entry.source.rpartition("/")[2],
        facts=tuple(facts_of(entry, now=now)),
    )


def facts_of(entry: ChronologyEntry, *, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield an event's facts by name, without what it does not say, what its title says, ids of messages."""
    data, is_deadline = entry.data, entry.type.startswith("deadline.")
    for name, value in data.items():
        if name in _NOT_SHOWN or (name == "kind" and is_deadline):
            continue
        if name == "about" and data.get("case_id") is not None:
            continue
        if name.endswith("_at") and _is_moment(value, entry.occurred_at):
            continue
        words = _fact_words(name, value, now=now)
        if words:
            yield _name_of(name, value), words


def value_words(value: Any, *, now: datetime) -> str:
    """Return a value of an event: moments, days and rules in words, lists joined, ids short."""
    match value:
        case None:
            return ""
        case datetime():
            local = value.astimezone(LONDON)
            return moment_words(value, now=now) if local.time() != time() else day_words(local.date())
        case bool():
            return "yes" if value else "no"
        case UUID():
            return short(value)
        case {"words": words}:
            return str(words)
        case {"domain": domain, "level": level}:
            return f"{plain(domain)} {level}"
        case dict():
            return ", ".join(f"{plain(name)} {value_words(each, now=now)}" for name, each in value.items())
        case list():
            return "; ".join(value_words(each, now=now) for each in value).replace(".; ", "; ")
        case str() if _MOMENT.fullmatch(value):
            return value_words(datetime.fromisoformat(value), now=now)
        case str() if _DAY.fullmatch(value):
            return day_words(date.fromisoformat(value))
        case str() if _ID.fullmatch(value):
            return value[:8]
        case _:
            return str(value)


def parcel(delivery: Mapping[str, Any], *, now: datetime) -> Parcel:
    """Return what has become of a delivery, and when."""
    state, reason = delivery["state"], delivery["reason"]
    because = f" ({plain(reason)})" if reason and state in {"failed", "not_needed"} else ""
    at = delivery["held_until"] if state == "held" else None
    at = at or delivery["delivered_at"] or delivery["sent_at"] or delivery["queued_at"]
    return Parcel(
        channel=CHANNELS[Channel(delivery["channel"])],
        what=plain(delivery["template"]).capitalize(),
        to=delivery["recipient_id"],
        state=f"{STATES[state]}{because}",
        at=sentence(moment_words(at, now=now)),
    )


def plain(code: str) -> str:
    """Return a code as words, for example `team manager` for `team_manager`."""
    return code.replace("_", " ")


def amount(limit: object, unit: str) -> str:
    """Return how long something is, for example `1 working day` for 1 and `working_days`."""
    words = plain(unit)
    return f"{limit} {words.removesuffix('s') if str(limit) == '1' else words}"


def short(about: UUID) -> str:
    """Return the part of an id that people recognise."""
    return str(about)[:8]


def subject_words(on: str) -> str:
    """Return what a rule of the pack or a preference is about; `*` stands for any deadline."""
    name, _, deadline = on.partition(":")
    return kind_words(f"{name}:any deadline" if deadline == "*" else on).capitalize()


def _name_of(name: str, value: Any) -> str:
    if name == "kind" and isinstance(value, str) and "." in value:
        return "About"
    return NAMES.get(name) or plain(name.removesuffix("_id")).capitalize()


def _fact_words(name: str, value: Any, *, now: datetime) -> str:
    match name, value:
        case "due_at", str():
            return due_words(datetime.fromisoformat(value))
        case (("kind" | "by"), str()) if "." in value:
            return kind_words(value)
        case "digest", False:
            return ""
        case "rule", str() if value.count(":") == 2:
            limit, unit, start = value.split(":")
            return f"{amount(limit, unit)}, counted from the {plain(start)}"
        case ("channel", str()) if value in set(Channel):
            return CHANNELS[Channel(value)]
        case _, str() if name in _CODES:
            return plain(value)
        case _:
            return value_words(value, now=now)


def _is_moment(value: Any, moment: datetime) -> bool:
    return (
        isinstance(value, str) and bool(_MOMENT.fullmatch(value)) and datetime.fromisoformat(value) == moment
    )


def _why(alert: Alert, *, to_its_recipient: bool) -> Iterator[str]:
    facts = alert.facts
    you_are = "You are" if to_its_recipient else f"{facts.recipient_id} is"
    if facts.stands_in_for is not None:
        you_stand = "You stand" if to_its_recipient else f"{facts.recipient_id} stands"
        yield f"{you_stand} in for {facts.stands_in_for}, who is away or has left."
    if facts.escalates is not None:
        yield "Nobody marked the alert before this one as seen in time."
    if to_its_recipient and facts.role in _INBOXES:
        you_are = "This is"
    yield f"{you_are} {WHY[facts.role]}."


def _notes(alert: Alert, *, now: datetime) -> Iterator[str]:
    if alert.settled_at is not None:
        since = moment_words(alert.settled_at, now=now)
        yield f"Nothing left to do since {since}: done, or a later alert says more."
    if alert.repeats and alert.repeated_at is not None:
        times = "once more" if alert.repeats == 1 else f"{alert.repeats} times more"
        yield f"The same has happened {times}, last {moment_words(alert.repeated_at, now=now)}."
    if alert.step:
        times = "once" if alert.step == 1 else f"{alert.step} times"
        yield f"Nobody marked it as seen in time: escalated {times}."
    if alert.snoozed_until is not None and alert.snoozed_until > now:
        yield f"Reminder set for {due_words(alert.snoozed_until)}."
