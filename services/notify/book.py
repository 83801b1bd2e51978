"""The children's people and the alerts that one batch touches."""

from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

from schemas.events import Event
from services.notify.model import Alert, People
from services.notify.pack import NotifyPack
from services.notify.policy import AlertEvent, evolve


@dataclass
class NotifyBook:
    """People by child, alerts by id, and the council's policy."""

    pack: NotifyPack
    people: dict[UUID, People] = field(default_factory=dict)
    alerts: dict[UUID, Alert] = field(default_factory=dict)
    changed_referrers: set[UUID] = field(default_factory=set)
    """The children whose referrer is another one now."""
    changed_cases: dict[UUID, UUID] = field(default_factory=dict)
    """The child by the id of each case that is new or different."""
    changed_alerts: set[UUID] = field(default_factory=set)

    def people_of(self, child_id: UUID) -> People:
        """Return who is around a child; nobody when nothing has been heard of the child."""
        return self.people.get(child_id) or People(child_id)

    def keep(self, people: People) -> None:
        """Take in what an event has taught about a child's people."""
        known = self.people_of(people.child_id)
        self.people[people.child_id] = people
        if people.referrer != known.referrer:
            self.changed_referrers.add(people.child_id)
        self.changed_cases |= {
            case.case_id: people.child_id for case in people.cases if case not in known.cases
        }

    def alert(self, alert_id: UUID) -> Alert:
        """Return an alert; an unknown one is absent."""
        return self.alerts.get(alert_id) or Alert(alert_id)

    def apply(self, event: Event) -> int:
        """Let the event's alert evolve; return its new version."""
        alert = evolve(self.alert(event.subject), cast("AlertEvent", event))
        self.alerts[alert.alert_id] = alert
        self.changed_alerts.add(alert.alert_id)
        return alert.version
