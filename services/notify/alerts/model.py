"""Alerts and their recipients. Ids, codes and dates only: nothing here identifies a child by name."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from schemas.events import AlertRaised, Code, Moment
from schemas.events.codes import Role
from services.kernel.processing.service import Command
from services.notify.referrers.policy import Heard

AlertStatus = Literal["absent", "open", "acknowledged"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One recipient is alerted to one cause, once. `version` counts its events."""

    alert_id: UUID
    version: int = 0
    status: AlertStatus = "absent"
    raised: AlertRaised | None = None
    """The alert as it was raised, with its present recipient; None only while the alert is absent."""
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    repeats: int = 0
    """How often the cause recurred while the alert was open."""
    repeated_at: datetime | None = None
    step: int = 0
    """How many escalation steps were taken."""
    next_escalation_at: datetime | None = None
    snoozed_until: datetime | None = None
    settled_at: datetime | None = None
    """When what it asked for happened."""

    @property
    def facts(self) -> AlertRaised:
        """Return `raised`; ValueError when the alert was never raised."""
        if self.raised is None:
            message = f"alert {self.alert_id} was never raised"
            raise ValueError(message)
        return self.raised


@dataclass(frozen=True, slots=True)
class Referrer:
    """The agency that last referred a child, and where the child lives."""

    agency_id: str
    locality: str
    referred_at: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """A case as routing knows it. A closed case stays closed, whatever arrives late."""

    case_id: UUID
    opened_at: datetime
    status: Literal["open", "closed"] = "open"
    lead_professional_id: str | None = None
    team: str | None = None
    locality: str | None = None


@dataclass(frozen=True, slots=True)
class KeyWorker:
    """The child's key worker; none where `worker_id` is None. `version` counts the changes."""

    worker_id: str | None
    since: datetime
    version: int


@dataclass(frozen=True, slots=True)
class ReviewingOfficer:
    """The officer who held the looked-after child's last review, and when."""

    worker_id: str
    since: date


@dataclass(frozen=True, slots=True)
class People:
    """The people around one child: a projection of other services' events, plus the key worker."""

    child_id: UUID
    referrer: Referrer | None = None
    cases: tuple[Case, ...] = ()
    key_worker: KeyWorker | None = None
    reviewing_officer: ReviewingOfficer | None = None
    story: tuple[Heard, ...] = ()
    """The history of the child's referrals and cases; read only where an event is about a case."""

    def find_case(self, case_id: UUID | None) -> Case | None:
        """Return a case of this child, open or closed."""
        return next((case for case in self.cases if case.case_id == case_id), None)

    def find_open_case(self, case_id: UUID | None = None) -> Case | None:
        """Return this case if it is open, else the child's most recent open case."""
        named = self.find_case(case_id)
        if named is not None and named.status == "open":
            return named
        still_open = [case for case in self.cases if case.status == "open"]
        return max(still_open, key=lambda case: case.opened_at, default=None)


@dataclass(frozen=True, slots=True)
class Address:
    """One recipient and the role in which they are alerted."""

    role: Role
    recipient_id: str
    stands_in_for: str | None = None
    """The person who is away, for whom this recipient stands in."""
    vacant: bool = False
    """Whether nobody had the role, or its holder is away without a stand-in."""


class AcknowledgeAlert(Command):
    """Acknowledge an alert as seen."""

    alert_id: UUID
    acknowledged_by: Code


class SnoozeAlert(Command):
    """Put an alert off."""

    alert_id: UUID
    snoozed_by: Code
    until: Moment


class AssignKeyWorker(Command):
    """Give a child a key worker beside the lead professional, or remove the key worker."""

    child_id: UUID
    key_worker_id: Code | None
    assigned_by: Code
