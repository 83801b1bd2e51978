"""Deadlines as events. Every service publishes these on its own topic, for its own deadlines."""

from typing import Literal
from uuid import UUID

from schemas.events.base import Code, Event, Moment


class _Deadline(Event):
    deadline_id: UUID
    about: UUID
    """The aggregate that must do something: a referral, a case, a placement."""
    case_id: UUID | None = None
    kind: Code
    """Which deadline of the policy pack, for example `triage_decision`."""
    due_at: Moment
    """The first moment that is late: the end of the last day, London time."""


class DeadlineScheduled(_Deadline, name="deadline.scheduled", subject="deadline_id"):
    """Something must happen by a moment. Scheduling the same deadline again moves it."""

    trigger_at: Moment
    due_soon_at: Moment
    due_from: Moment
    """When `deadline.due` is raised: the start of the last day, London time."""
    rule: Code
    """The policy pack's rule, for example `1:working_days:next_day`."""


class DeadlineDueSoon(_Deadline, name="deadline.due_soon", subject="deadline_id"):
    """The deadline comes near."""

    raised_at: Moment


class DeadlineDue(_Deadline, name="deadline.due", subject="deadline_id"):
    """The deadline is today."""

    raised_at: Moment


class DeadlineOverdue(_Deadline, name="deadline.overdue", subject="deadline_id"):
    """The deadline has passed. Nothing is blocked: somebody must act or give a reason."""

    raised_at: Moment


class DeadlineMet(_Deadline, name="deadline.met", subject="deadline_id"):
    """What was due has happened."""

    met_at: Moment
    late: bool


class DeadlinePaused(_Deadline, name="deadline.paused", subject="deadline_id"):
    """The clock stands still until the deadline is scheduled again."""

    reason: Code
    paused_at: Moment


class DeadlineExtended(_Deadline, name="deadline.extended", subject="deadline_id"):
    """More time was given, with a reason; `due_at` is the new date."""

    due_soon_at: Moment
    due_from: Moment
    reason: Code
    extended_by: Code
    extended_at: Moment


class DeadlineWaived(_Deadline, name="deadline.waived", subject="deadline_id"):
    """The deadline no longer applies: by whose decision and why."""

    reason: Literal["case_closed", "placement_ended", "superseded", "manager_decision"]
    waived_by: Code
    waived_at: Moment
