"""Escalations: whoever does not look at an alert is reminded in time, then others are told, and none early.

The hours are those of England's policy pack. Nobody in this feed is away, and no day of it is a holiday.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from tests.chaos.evidence import Entry, Evidence
from tests.chaos.ledger import Ledger

STEPS: Mapping[str, Sequence[tuple[float, str]]] = {
    "urgent": ((4, "reminder"), (8, "team_manager"), (16, "duty_inbox")),
    "soon": ((16, "reminder"), (40, "team_manager")),
    "routine": (),
}
"""By urgency, the working hours after which somebody is told, and who."""

LONDON = ZoneInfo("Europe/London")
OPENS, CLOSES, SATURDAY = time(9), time(17), 5
OVER = frozenset({"alert.acknowledged.v1", "alert.settled.v1"})
"""After these nothing escalates."""

A_MOMENT = timedelta(seconds=1)


def escalations_missed(_ledger: Ledger, evidence: Evidence) -> list[str]:
    """Return a sentence for each step that was left out, came too early, or told nobody."""
    histories: defaultdict[UUID, list[Entry]] = defaultdict(list)
    told: defaultdict[str, set[str]] = defaultdict(set)
    for entry in evidence.journals.get("notify", ()):
        if entry.type.startswith("alert.") or entry.type == "notification.escalated.v1":
            histories[entry.subject].append(entry)
        if entry.type == "alert.raised.v2":
            told[entry.data["cause_id"]].add(entry.data["role"])
    found = []
    for alert_id, history in histories.items():
        history.sort(key=lambda entry: entry.sequence)
        words = [*_wrong(history, told, evidence.now), *_told_nobody(history, histories)]
        found += [f"alert {alert_id}: {each}" for each in words]
    return found


def worked(since: datetime, until: datetime) -> timedelta:
    """Return how much working time lies between two moments."""
    passed = timedelta()
    day = since.astimezone(LONDON).date()
    while day <= until.astimezone(LONDON).date():
        if day.weekday() < SATURDAY:
            opens = max(since, datetime.combine(day, OPENS, LONDON))
            closes = min(until, datetime.combine(day, CLOSES, LONDON))
            passed += max(closes - opens, timedelta())
        day += timedelta(days=1)
    return passed


def _wrong(history: Sequence[Entry], told: Mapping[str, set[str]], now: datetime) -> Iterator[str]:
    """Yield what is wrong with one alert's events, given in order, at the moment `now`."""
    if history[0].type != "alert.raised.v2":
        yield f"begins with {history[0].type}"
        return
    raised = history[0].data
    steps = () if raised.get("escalates") or raised["role"] == "referrer" else STEPS[raised["urgency"]]
    step, since, waits = 0, datetime.fromisoformat(raised["raised_at"]), True
    for entry in history[1:]:
        match entry.type:
            case "alert.reassigned.v1":
                step, since = 0, datetime.fromisoformat(entry.data["reassigned_at"])
            case "notification.escalated.v1":
                moment = datetime.fromisoformat(entry.data["escalated_at"])
                if step >= len(steps) or not waits:
                    yield f"step {entry.data['step']} that nothing asks for"
                elif worked(since, moment) + A_MOMENT < _pause(steps, step):
                    yield f"step {entry.data['step']} came at {moment}, too soon after {since}"
                elif steps[entry.data["step"] - 1][1] != entry.data["to"]:
                    yield f"step {entry.data['step']} went to the {entry.data['to']}"
                step, since = entry.data["step"], moment
            case other if other in OVER:
                waits = False
    reached = told[raised["cause_id"]] | {raised["role"]}
    left = [to for _, to in steps[step:] if to == "reminder" or to not in reached]
    if waits and left and worked(since, now) > _pause(steps, step) + A_MOMENT:
        yield f"nobody has seen it since {since}, and no {left[0]} was told"


def _pause(steps: Sequence[tuple[float, str]], step: int) -> timedelta:
    """Return how much working time lies between a step and the one before it."""
    return timedelta(hours=steps[step][0] - (steps[step - 1][0] if step else 0))


def _told_nobody(history: Sequence[Entry], histories: Mapping[UUID, Sequence[Entry]]) -> Iterator[str]:
    """An escalation names the alert by which somebody is told, and that alert has one that names it."""
    for entry in history:
        if entry.type == "notification.escalated.v1":
            teller = histories.get(UUID(entry.data["told_by"]))
            if not teller or teller[0].data.get("recipient_id") != entry.data["recipient_id"]:
                yield f"step {entry.data['step']} has told nobody"
    raised = history[0]
    if raised.data.get("escalates"):
        unseen = histories.get(UUID(raised.data["escalates"]), ())
        tellers = {each.data["told_by"] for each in unseen if each.type == "notification.escalated.v1"}
        if str(raised.subject) not in tellers:
            yield "escalates another that does not say so"
