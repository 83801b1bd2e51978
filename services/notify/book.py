"""The people around children, the alerts and the deliveries that one batch touches."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast
from uuid import UUID

from schemas import events as e
from schemas.events import Event
from services.kernel.processing.service import Unpublished
from services.notify.alerts import escalation, lifecycle
from services.notify.alerts.council import Council
from services.notify.alerts.lifecycle import AlertEvent
from services.notify.alerts.model import Alert, People
from services.notify.alerts.people import learn
from services.notify.delivery import model as deliveries
from services.notify.delivery.model import ChannelEvent, Delivery, DeliveryEvent
from services.notify.preferences.model import ChoosePreference, ChooseQuietHours, DeclareAbsence, EndAbsence


@dataclass(frozen=True, slots=True)
class PeopleLearnt(Unpublished):
    """The people around a child, after an event."""

    people: People

    def change(self, book: "NotifyBook") -> None:
        """Keep the people."""
        book.keep(self.people)


@dataclass(frozen=True, slots=True)
class Arranged(Unpublished):
    """One setting that a person made, when, and its id."""

    command: ChoosePreference | ChooseQuietHours | DeclareAbsence | EndAbsence
    at: datetime
    identity: UUID

    def change(self, book: "NotifyBook") -> None:
        """Keep it for the store to write."""
        book.arranged.append(self)


@dataclass
class NotifyBook:
    """People by child, alerts and deliveries by id, and the council's state."""

    council: Council
    people: dict[UUID, People] = field(default_factory=dict)
    alerts: dict[UUID, Alert] = field(default_factory=dict)
    deliveries: dict[UUID, Delivery] = field(default_factory=dict)
    arranged: list[Arranged] = field(default_factory=list)
    """The settings that people made in this batch."""
    changed_referrers: set[UUID] = field(default_factory=set)
    """The children whose referrer has changed."""
    changed_officers: set[UUID] = field(default_factory=set)
    changed_key_workers: set[UUID] = field(default_factory=set)
    changed_cases: dict[UUID, UUID] = field(default_factory=dict)
    """Child by case id, for each new or changed case."""
    changed_alerts: set[UUID] = field(default_factory=set)
    """Existing alerts that have changed."""
    fresh_alerts: set[UUID] = field(default_factory=set)
    changed_deliveries: set[UUID] = field(default_factory=set)
    fresh_deliveries: set[UUID] = field(default_factory=set)
    _by_child: defaultdict[UUID, set[UUID]] = field(default_factory=lambda: defaultdict(set))
    _by_alert: defaultdict[UUID, set[UUID]] = field(default_factory=lambda: defaultdict(set))

    def people_of(self, child_id: UUID) -> People:
        """Return the people around a child; none when nothing is known about the child."""
        return self.people.get(child_id) or People(child_id)

    def keep(self, people: People) -> None:
        """Keep the people around a child, as learnt from an event."""
        known = self.people_of(people.child_id)
        self.people[people.child_id] = people
        if people.referrer != known.referrer:
            self.changed_referrers.add(people.child_id)
        if people.reviewing_officer != known.reviewing_officer:
            self.changed_officers.add(people.child_id)
        self.changed_cases |= {
            case.case_id: people.child_id for case in people.cases if case not in known.cases
        }

    def know(self, alerts: Sequence[Alert] = (), deliveries: Sequence[Delivery] = ()) -> None:
        """Add what the store holds."""
        for alert in alerts:
            self.alerts[alert.alert_id] = alert
            self._by_child[alert.facts.child_id].add(alert.alert_id)
        for delivery in deliveries:
            self.deliveries[delivery.delivery_id] = delivery
            if delivery.alert_id is not None:
                self._by_alert[delivery.alert_id].add(delivery.delivery_id)

    def alert(self, alert_id: UUID) -> Alert:
        """Return an alert; an absent one when it is unknown."""
        return self.alerts.get(alert_id) or Alert(alert_id)

    def open_alerts_of(self, child_id: UUID) -> list[Alert]:
        """Return the child's open alerts that this batch knows, in the order of their ids."""
        known = [self.alerts[each] for each in sorted(self._by_child.get(child_id, ()))]
        return [alert for alert in known if alert.status == "open"]

    def escalations_of(self, alert_id: UUID) -> list[Alert]:
        """Return the alerts that escalated this one to others."""
        return [
            alert
            for _, alert in sorted(self.alerts.items())
            if alert.raised is not None and alert.raised.escalates == alert_id
        ]

    def deliveries_of(self, alert_id: UUID) -> list[Delivery]:
        """Return an alert's deliveries that this batch knows, in the order of their ids."""
        return [self.deliveries[each] for each in sorted(self._by_alert.get(alert_id, ()))]

    def apply(self, event: Event) -> int:
        """Let the alert, the delivery or the child's people evolve; return the new version."""
        if isinstance(event, e.KeyWorkerAssigned):
            people = learn(self.people_of(event.child_id), event)
            assert people.key_worker is not None  # noqa: S101 - it was just learnt
            self.people[event.child_id] = people
            self.changed_key_workers.add(event.child_id)
            return people.key_worker.version
        if isinstance(event, DeliveryEvent | ChannelEvent):
            return self._deliver(event)
        return self._alert(cast("AlertEvent", event))

    def stop_escalating(self, alert_id: UUID) -> None:
        """Stop an alert's escalation: someone who can act knows of it, or no step is left."""
        alert = self.alerts[alert_id]
        if alert.next_escalation_at is not None:
            self._changed(replace(alert, next_escalation_at=None))

    def _deliver(self, event: DeliveryEvent | ChannelEvent) -> int:
        known = self.deliveries.get(event.delivery_id) or Delivery(event.delivery_id)
        delivery = deliveries.evolve(known, event)
        self.know(deliveries=[delivery])
        if isinstance(event, e.NotificationQueued):
            self.fresh_deliveries.add(event.delivery_id)
        elif event.delivery_id not in self.fresh_deliveries:
            self.changed_deliveries.add(event.delivery_id)
        return delivery.version

    def _alert(self, event: AlertEvent) -> int:
        alert = lifecycle.evolve(self.alert(event.alert_id), event)
        if isinstance(event, e.AlertRaised):
            self.fresh_alerts.add(alert.alert_id)
        alert = replace(alert, next_escalation_at=self._next_escalation(alert, event))
        self._changed(alert)
        if isinstance(event, e.AlertAcknowledged) and alert.facts.escalates in self.alerts:
            # The person who was told of the silence has reacted: the chain ends, the alert stays to be seen.
            self.stop_escalating(alert.facts.escalates)
        return alert.version

    def _next_escalation(self, alert: Alert, event: AlertEvent) -> datetime | None:
        match event:
            case e.AlertRaised():
                since = event.raised_at
            case e.AlertReassigned():
                since = event.reassigned_at
            case e.NotificationEscalated():
                since = event.escalated_at
            case e.AlertSnoozed():
                later = alert.next_escalation_at
                return None if later is None else max(later, event.snoozed_until)
            case e.AlertRepeated():
                return alert.next_escalation_at
            case e.AlertAcknowledged() | e.AlertSettled():
                return None
        if alert.settled_at is not None:
            return None
        pack = self.council.pack
        return escalation.next_at(alert.facts, alert.step, since, pack=pack, calendar=pack.working_calendar)

    def _changed(self, alert: Alert) -> None:
        self.know(alerts=[alert])
        if alert.alert_id not in self.fresh_alerts:
            self.changed_alerts.add(alert.alert_id)
