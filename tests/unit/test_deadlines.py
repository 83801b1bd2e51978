"""What a deadline's events make of it, and which of them time brings."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import pytest

from schemas import events as e
from services.kernel.deadlines.policy import STATE_AFTER, Deadline, DeadlineEvent, State, evolve, raise_due
from services.kernel.deadlines.rules import DeadlineDates as Dates

SOON = datetime(2026, 9, 7, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
DATES = Dates(due_soon_at=SOON, due_from=SOON + DAY, due_at=SOON + 2 * DAY)
LATER = Dates(due_soon_at=SOON + 7 * DAY, due_from=SOON + 8 * DAY, due_at=SOON + 9 * DAY)
ABOUT: Mapping[str, Any] = {
    "deadline_id": UUID(int=1),
    "about": UUID(int=2),
    "child_id": UUID(int=3),
    "case_id": UUID(int=4),
    "kind": "assessment",
}
COMMON: Mapping[str, Any] = {**ABOUT, "due_at": DATES.due_at}
SCHEDULED = e.DeadlineScheduled(
    **COMMON,
    trigger_at=SOON - DAY,
    due_soon_at=DATES.due_soon_at,
    due_from=DATES.due_from,
    rule="45:working_days:same_day",
)
EXTENDED = e.DeadlineExtended(
    **ABOUT,
    due_soon_at=LATER.due_soon_at,
    due_from=LATER.due_from,
    due_at=LATER.due_at,
    reason="illness",
    extended_by="W-1",
    extended_at=SOON,
)


def deadline(state: State = "scheduled") -> Deadline:
    """Return a deadline with every field set."""
    return Deadline(
        **ABOUT,
        version=5,
        state=state,
        rule="45:working_days:same_day",
        trigger_at=SOON - DAY,
        dates=DATES,
    )


def test_scheduling_fills_an_absent_deadline() -> None:
    """All that a deadline holds comes from the event that schedules it."""
    assert evolve(Deadline(UUID(int=1), version=4), SCHEDULED) == deadline()


def test_scheduling_again_replaces_the_dates_and_starts_anew() -> None:
    """A deadline that was overdue is scheduled again, with its history counted on."""
    earlier = replace(deadline("overdue"), dates=LATER, case_id=None, rule="another:rule", trigger_at=SOON)
    assert evolve(earlier, SCHEDULED) == replace(deadline(), version=6)


def test_an_extension_moves_the_dates_and_nothing_else() -> None:
    """More time makes a deadline scheduled again."""
    assert evolve(deadline("due"), EXTENDED) == replace(deadline(), version=6, dates=LATER)


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (e.DeadlineDueSoon(**COMMON, raised_at=SOON), "due_soon"),
        (e.DeadlineDue(**COMMON, raised_at=SOON), "due"),
        (e.DeadlineOverdue(**COMMON, raised_at=SOON), "overdue"),
        (e.DeadlineMet(**COMMON, met_at=SOON, late=False), "met"),
        (e.DeadlinePaused(**COMMON, reason="holiday", paused_at=SOON), "paused"),
        (e.DeadlineWaived(**COMMON, reason="superseded", waived_by="W-1", waived_at=SOON), "waived"),
    ],
)
def test_any_other_event_changes_the_state_alone(event: DeadlineEvent, state: State) -> None:
    """What the deadline is about, and its dates, stay as they are."""
    assert evolve(deadline(), event) == replace(deadline(state), version=6)


def test_every_event_of_a_deadline_leads_to_a_state() -> None:
    """An event that was added without saying where it leads is found here."""
    assert STATE_AFTER.keys() == set(get_args(DeadlineEvent))


@pytest.mark.parametrize(
    ("state", "next_at"),
    [
        ("scheduled", DATES.due_soon_at),
        ("due_soon", DATES.due_from),
        ("due", DATES.due_at),
        ("overdue", None),
        ("met", None),
        ("paused", None),
        ("waived", None),
    ],
)
def test_a_running_deadline_knows_when_time_will_change_it(state: State, next_at: datetime | None) -> None:
    """Nothing more is raised about a deadline that is overdue, settled or paused."""
    assert deadline(state).next_at == next_at


A_MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("state", "now", "raised"),
    [
        ("scheduled", DATES.due_soon_at - A_MOMENT, []),
        ("scheduled", DATES.due_soon_at, [e.DeadlineDueSoon]),
        ("scheduled", DATES.due_from, [e.DeadlineDue]),
        ("scheduled", DATES.due_at, [e.DeadlineDue, e.DeadlineOverdue]),
        ("due_soon", DATES.due_from - A_MOMENT, []),
        ("due_soon", DATES.due_from, [e.DeadlineDue]),
        ("due_soon", DATES.due_at, [e.DeadlineDue, e.DeadlineOverdue]),
        ("due", DATES.due_at - A_MOMENT, []),
        ("due", DATES.due_at, [e.DeadlineOverdue]),
        ("overdue", DATES.due_at + DAY, []),
        ("met", DATES.due_at, []),
        ("paused", DATES.due_at, []),
        ("waived", DATES.due_at, []),
    ],
)
def test_each_state_is_raised_when_its_moment_has_come_and_not_before(
    state: State, now: datetime, raised: list[type[DeadlineEvent]]
) -> None:
    """ "Due soon" is left out when the day itself has come; "due" and "overdue" never are."""
    assert [type(event) for event in raise_due(deadline(state), now=now)] == raised
