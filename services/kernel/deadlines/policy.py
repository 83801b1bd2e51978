"""Deadlines as events: pure rules that turn an intent or the passing of time into events.

`scheduled → due soon → due → overdue → met | paused | extended | waived`. A deadline alerts and explains;
it never blocks work.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypedDict
from uuid import UUID

from schemas import events as e
from services.kernel.deadlines.rules import DeadlineDates as Dates
from services.kernel.messages.ids import derived

State = Literal["absent", "scheduled", "due_soon", "due", "overdue", "met", "paused", "waived"]
RUNNING: frozenset[str] = frozenset({"scheduled", "due_soon", "due", "overdue"})
SETTLED: frozenset[str] = frozenset({"absent", "met", "waived"})


@dataclass(frozen=True, slots=True)
class Deadline:
    """One deadline and its state. `version` counts its events."""

    deadline_id: UUID
    version: int = 0
    state: State = "absent"
    about: UUID | None = None
    child_id: UUID | None = None
    case_id: UUID | None = None
    kind: str = ""
    rule: str = ""
    trigger_at: datetime | None = None
    dates: Dates | None = None

    @property
    def next_at(self) -> datetime | None:
        """Return the moment at which time next changes this deadline; None if it never will."""
        if self.dates is None:
            return None
        if self.state == "scheduled":
            return self.dates.due_soon_at
        if self.state == "due_soon":
            return self.dates.due_from
        if self.state == "due":
            return self.dates.due_at
        return None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Intent: something must happen by a date. Scheduling again moves the date."""

    about: UUID
    child_id: UUID
    kind: str
    rule: str
    trigger_at: datetime
    dates: Dates
    case_id: UUID | None = None
    number: int = 1
    """The occurrence: the second review has a different deadline from the first."""


@dataclass(frozen=True, slots=True)
class Meet:
    """Intent: the required thing has happened."""

    about: UUID
    kind: str
    at: datetime
    number: int = 1


@dataclass(frozen=True, slots=True)
class Waive:
    """Intent: the deadline no longer applies."""

    about: UUID
    kind: str
    reason: Literal["case_closed", "placement_ended", "superseded", "manager_decision"]
    by: str
    number: int = 1


@dataclass(frozen=True, slots=True)
class Extend:
    """Intent: more time, with a reason."""

    about: UUID
    kind: str
    dates: Dates
    reason: str
    by: str
    number: int = 1


@dataclass(frozen=True, slots=True)
class Pause:
    """Intent: stop the clock until the deadline is scheduled again."""

    about: UUID
    kind: str
    reason: str
    number: int = 1


Intent = Schedule | Meet | Waive | Extend | Pause
DeadlineEvent = (
    e.DeadlineScheduled
    | e.DeadlineDueSoon
    | e.DeadlineDue
    | e.DeadlineOverdue
    | e.DeadlineMet
    | e.DeadlinePaused
    | e.DeadlineExtended
    | e.DeadlineWaived
)

STATE_AFTER: Mapping[type[DeadlineEvent], State] = {
    e.DeadlineScheduled: "scheduled",
    e.DeadlineExtended: "scheduled",
    e.DeadlineDueSoon: "due_soon",
    e.DeadlineDue: "due",
    e.DeadlineOverdue: "overdue",
    e.DeadlineMet: "met",
    e.DeadlinePaused: "paused",
    e.DeadlineWaived: "waived",
}
"""The state in which each event leaves a deadline."""


def deadline_id(about: UUID, kind: str, number: int = 1) -> UUID:
    """Return the id of a deadline: always the same for the same arguments."""
    return derived(about, f"deadline/{kind}/{number}")


def id_of(intent: Intent) -> UUID:
    """Return the id of the deadline that an intent concerns."""
    return deadline_id(intent.about, intent.kind, intent.number)


def decide(deadline: Deadline, intent: Intent, *, now: datetime) -> list[DeadlineEvent]:
    """Return the events of an intent on a deadline; none when it changes nothing."""
    if isinstance(intent, Schedule):
        return _schedule(deadline, intent)
    if deadline.state in SETTLED:
        return []
    match intent:
        case Meet():
            late = deadline.dates is not None and intent.at >= deadline.dates.due_at
            return [e.DeadlineMet(**_common(deadline), met_at=intent.at, late=late)]
        case Waive():
            return [
                e.DeadlineWaived(
                    **_common(deadline), reason=intent.reason, waived_by=intent.by, waived_at=now
                )
            ]
        case Pause():
            if deadline.state == "paused":
                return []
            return [e.DeadlinePaused(**_common(deadline), reason=intent.reason, paused_at=now)]
        case Extend():
            return [
                e.DeadlineExtended(
                    **_common(deadline, due_at=intent.dates.due_at),
                    due_soon_at=intent.dates.due_soon_at,
                    due_from=intent.dates.due_from,
                    reason=intent.reason,
                    extended_by=intent.by,
                    extended_at=now,
                )
            ]


def raise_due(deadline: Deadline, *, now: datetime) -> list[DeadlineEvent]:
    """Return the events for the states that time has brought.

    "Due soon" is left out once the day itself has come: a late warning is useless. "Due" and "overdue" are
    always raised, each once.
    """
    if deadline.dates is None or deadline.state not in RUNNING:
        return []
    common = _common(deadline)
    raised: list[DeadlineEvent] = []
    if deadline.state == "scheduled" and deadline.dates.due_soon_at <= now < deadline.dates.due_from:
        raised.append(e.DeadlineDueSoon(**common, raised_at=now))
    if deadline.state in {"scheduled", "due_soon"} and deadline.dates.due_from <= now:
        raised.append(e.DeadlineDue(**common, raised_at=now))
    if deadline.state != "overdue" and deadline.dates.due_at <= now:
        raised.append(e.DeadlineOverdue(**common, raised_at=now))
    return raised


def evolve(deadline: Deadline, event: DeadlineEvent) -> Deadline:
    """Return the deadline after one of its events."""
    if type(event) is e.DeadlineScheduled:
        return Deadline(
            deadline.deadline_id,
            deadline.version + 1,
            "scheduled",
            event.about,
            event.child_id,
            event.case_id,
            event.kind,
            event.rule,
            event.trigger_at,
            Dates(event.due_soon_at, event.due_from, event.due_at),
        )
    dates = deadline.dates
    if type(event) is e.DeadlineExtended:
        dates = Dates(event.due_soon_at, event.due_from, event.due_at)
    # Built once, by position, with a table of states: `replace` and a `match` took five times as long.
    return Deadline(
        deadline.deadline_id,
        deadline.version + 1,
        STATE_AFTER[type(event)],
        deadline.about,
        deadline.child_id,
        deadline.case_id,
        deadline.kind,
        deadline.rule,
        deadline.trigger_at,
        dates,
    )


def _schedule(deadline: Deadline, intent: Schedule) -> list[DeadlineEvent]:
    if deadline.dates == intent.dates and deadline.state in RUNNING:
        return []
    return [
        e.DeadlineScheduled(
            deadline_id=deadline.deadline_id,
            about=intent.about,
            child_id=intent.child_id,
            case_id=intent.case_id,
            kind=intent.kind,
            rule=intent.rule,
            trigger_at=intent.trigger_at,
            due_soon_at=intent.dates.due_soon_at,
            due_from=intent.dates.due_from,
            due_at=intent.dates.due_at,
        )
    ]


class _OfDeadline(TypedDict):
    """The fields that every event of a deadline publishes."""

    deadline_id: UUID
    about: UUID
    child_id: UUID
    case_id: UUID | None
    kind: str
    due_at: datetime


def _common(deadline: Deadline, *, due_at: datetime | None = None) -> _OfDeadline:
    """Return the fields, with the given `due_at`, if any, in place of the deadline's."""
    about, child_id, dates = deadline.about, deadline.child_id, deadline.dates
    if about is None or child_id is None or dates is None:
        message = f"deadline {deadline.deadline_id} does not exist yet: only its scheduling can be published"
        raise ValueError(message)
    return {
        "deadline_id": deadline.deadline_id,
        "about": about,
        "child_id": child_id,
        "case_id": deadline.case_id,
        "kind": deadline.kind,
        "due_at": dates.due_at if due_at is None else due_at,
    }
