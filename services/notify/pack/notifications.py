"""Channels and hours in a policy pack: when an alert leaves the inbox, and when it escalates."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field, model_validator

from schemas.events.codes import Channel, Urgency
from services.kernel.pack.model import Section, Words
from services.notify.preferences.hours import TimeOfDay
from services.notify.preferences.model import Digest, QuietHours

EscalatesTo = Literal["reminder", "team_manager", "duty_inbox"]


class EscalationStep(Section):
    """What happens when nobody has acknowledged an alert by then."""

    after_working_hours: float = Field(gt=0, le=1000)
    """Since the alert was raised, or reached its present recipient."""
    to: EscalatesTo
    next_step: Words
    """The next step of the person who is told then."""


class UrgencyRules(Section):
    """The channels of one urgency, and what follows when an alert is not acknowledged."""

    channels: tuple[Channel, ...]
    escalation: tuple[EscalationStep, ...]
    snooze_at_most_hours: float = Field(ge=0, le=1000)
    """How long an alert may be put off; 0: not at all."""

    @model_validator(mode="after")
    def _later_steps_come_later(self) -> Self:
        for earlier, later in pairwise(self.escalation):
            if later.after_working_hours <= earlier.after_working_hours:
                message = "each step of an escalation comes later than the one before it"
                raise ValueError(message)
        return self


class WorkingDay(Section):
    """The hours of a working day."""

    begins: TimeOfDay
    ends: TimeOfDay

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.ends <= self.begins:
            message = "a working day ends after it begins"
            raise ValueError(message)
        return self


class QuietDefault(Section):
    """Quiet hours and digest of people who have chosen nothing else."""

    quiet_from: TimeOfDay
    quiet_until: TimeOfDay
    digest: Digest
    digest_at: TimeOfDay


class NotificationRules(Section):
    """Channels, hours and escalation of a council."""

    working_day: WorkingDay
    quiet_hours: QuietDefault
    collapse_within_hours: float = Field(ge=0, le=1000)
    """The same again on the same case within so long is no new alert while the first one is open."""
    urgent: UrgencyRules
    soon: UrgencyRules
    routine: UrgencyRules

    @cached_property
    def by_urgency(self) -> Mapping[Urgency, UrgencyRules]:
        """The rules of each urgency."""
        return MappingProxyType(
            {Urgency.URGENT: self.urgent, Urgency.SOON: self.soon, Urgency.ROUTINE: self.routine}
        )

    @cached_property
    def default_hours(self) -> QuietHours:
        """The quiet hours of people who have chosen none."""
        given = self.quiet_hours
        return QuietHours(given.quiet_from, given.quiet_until, given.digest, given.digest_at)

    @cached_property
    def collapse_within(self) -> timedelta:
        """For how long a repetition is counted on the open alert instead of raising another."""
        return timedelta(hours=self.collapse_within_hours)

    @model_validator(mode="after")
    def _urgent_alerts_escalate(self) -> Self:
        if not self.urgent.escalation:
            message = "an urgent alert that nobody sees must reach somebody: give urgent an escalation"
            raise ValueError(message)
        return self
