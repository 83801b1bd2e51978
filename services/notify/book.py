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
    changed_people: set[UUID] = field(default_factory=set)
    changed_alerts: set[UUID] = field(default_factory=set)

    def people_of(self, child_id: UUID) -> People:
        """Return who is around a child; nobody when nothing has been heard of the child."""
        return self.people.get(child_id) or People(child_id)

    def keep(self, people: People) -> None:
        """Take in what an event has taught about a child's people."""
        if people != self.people_of(people.child_id):
            self.people[people.child_id] = people
            self.changed_people.add(people.child_id)

    def alert(self, alert_id: UUID) -> Alert:
        """Return an alert; an unknown one is absent."""
        return self.alerts.get(alert_id) or Alert(alert_id)

    def apply(self, event: Event) -> int:
        """Let the event's alert evolve; return its new version."""
        alert = evolve(self.alert(event.subject), cast("AlertEvent", event))
        self.alerts[alert.alert_id] = alert
        self.changed_alerts.add(alert.alert_id)
        return alert.version
