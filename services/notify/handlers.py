"""Everything the notify service reacts to."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from schemas import events as e
from schemas.events import AlertRaised, AlertReassigned, Event
from services.kernel.messages.faults import Refused
from services.kernel.processing.service import Command, Context, Handler, Produced
from services.notify.alerts import lifecycle, policy, putting_off
from services.notify.alerts.escalation import decide_following
from services.notify.alerts.model import AcknowledgeAlert, AssignKeyWorker, People, SnoozeAlert
from services.notify.alerts.people import decide_key_worker, learn
from services.notify.book import Arranged, NotifyBook, PeopleLearnt
from services.notify.delivery.model import decide_proof, decide_withdrawal
from services.notify.delivery.policy import check_preference, decide_deliveries
from services.notify.pack.model import NotifyPack
from services.notify.preferences.model import ChoosePreference, ChooseQuietHours, DeclareAbsence, EndAbsence
from services.notify.referrers.policy import retold


def on_news(book: NotifyBook, event: Event, context: Context) -> Sequence[Produced]:
    """Alert the recipients that the policy pack names."""
    return _tell(book, book.people_of(event.child_id), event, context)


def on_news_of_people(book: NotifyBook, event: Event, context: Context) -> Sequence[Produced]:
    """Learn who is around the child, then alert the recipients that the policy pack names."""
    people = _taught(book, event)
    return [*_tell(book, people, event, context), PeopleLearnt(people)]


def on_lead_professional_assigned(
    book: NotifyBook, event: e.LeadProfessionalAssigned, context: Context
) -> Sequence[Produced]:
    """Learn who leads, move the case's open alerts to them, and alert the pack's recipients."""
    people = _taught(book, event)
    open_alerts = book.open_alerts_of(event.child_id)
    following = decide_following(open_alerts, event, people, council=book.council, now=context.now)
    return [
        *passed_on(book, following, context),
        *_tell(book, people, event, context),
        PeopleLearnt(people),
    ]


def acknowledge_alert(book: NotifyBook, command: AcknowledgeAlert, context: Context) -> Sequence[Produced]:
    """Mark an alert as seen, and its pending deliveries as no longer needed."""
    alert = book.alert(command.alert_id)
    escalated = book.escalations_of(command.alert_id)
    seen = lifecycle.decide_acknowledgement(alert, command, escalated=escalated, context=context)
    proofs = [proof for each in seen for proof in decide_proof(book.deliveries_of(each.alert_id), each)]
    return [*seen, *proofs]


def snooze_alert(book: NotifyBook, command: SnoozeAlert, context: Context) -> Sequence[Produced]:
    """Put an alert off."""
    alert = book.alert(command.alert_id)
    return putting_off.decide_snooze(alert, command, council=book.council, context=context)


def assign_key_worker(book: NotifyBook, command: AssignKeyWorker, context: Context) -> Sequence[Produced]:
    """Give a child a key worker, or remove the key worker."""
    people = book.people_of(command.child_id)
    return decide_key_worker(people, command, council=book.council, context=context)


def choose_preference(book: NotifyBook, command: ChoosePreference, context: Context) -> Sequence[Produced]:
    """Keep how alerts of a kind reach a worker."""
    check_preference(command, council=book.council)
    return [Arranged(command, context.now, context.cause)]


def choose_quiet_hours(book: NotifyBook, command: ChooseQuietHours, context: Context) -> Sequence[Produced]:
    """Keep a worker's quiet hours."""
    check_practitioner(command.worker_id, book.council.pack)
    return [Arranged(command, context.now, context.cause)]


def declare_absence(book: NotifyBook, command: DeclareAbsence, context: Context) -> Sequence[Produced]:
    """Keep an absence: its dates and the stand-in. Open alerts move when it begins."""
    check_practitioner(command.worker_id, book.council.pack)
    if command.to_id is not None:
        check_practitioner(command.to_id, book.council.pack)
    if command.to_id == command.worker_id:
        raise Refused("You cannot stand in for yourself: name somebody else, or nobody for the duty inbox.")
    if command.ends_at is not None and command.ends_at <= max(command.starts_at, context.now):
        raise Refused("An absence must end after it starts, and in the future.")
    return [Arranged(command, context.now, context.id("delegation"))]


def end_absence(_book: NotifyBook, command: EndAbsence, context: Context) -> Sequence[Produced]:
    """End an absence now; alerts that have moved stay where they are."""
    return [Arranged(command, context.now, command.delegation_id)]


def passed_on(book: NotifyBook, moved: Iterable[AlertReassigned], context: Context) -> list[Produced]:
    """Return the reassignments, what is not sent because of them, and what is sent instead.

    Many may come at once: those that are not urgent wait for the next digest of their new recipient.
    """
    produced: list[Produced] = []
    for each in moved:
        alert = book.alert(each.alert_id)
        fresh = alert.facts.model_copy(update={"recipient_id": each.to_id, "role": each.role})
        produced += [
            each,
            *decide_withdrawal(book.deliveries_of(each.alert_id), each),
            *decide_deliveries(fresh, council=book.council, context=context, turn=alert.version, gather=True),
        ]
    return produced


def _tell(book: NotifyBook, people: People, event: Event, context: Context) -> list[Produced]:
    still_open = book.open_alerts_of(event.child_id)
    settled = policy.decide_settlement(event, council=book.council, context=context, still_open=still_open)
    done = [
        withdrawn
        for each in settled
        for withdrawn in decide_withdrawal(book.deliveries_of(each.alert_id), each)
    ]
    alerts = policy.decide_alerts(people, event, council=book.council, context=context, still_open=still_open)
    fresh = [alert for alert in alerts if isinstance(alert, AlertRaised)]
    told = [
        queued
        for alert in fresh
        for queued in decide_deliveries(alert, council=book.council, context=context)
    ]
    return [*settled, *done, *alerts, *told]


def _taught(book: NotifyBook, event: Event) -> People:
    people = learn(book.people_of(event.child_id), event)
    return replace(people, story=retold(people.story, event))


def check_practitioner(worker_id: str, pack: NotifyPack) -> None:
    """Raise Refused for a worker who is not in the pack."""
    if worker_id not in pack.practitioner_ids:
        raise Refused(f"The policy pack knows no practitioner {worker_id}.", missing=True)


HANDLERS: dict[type[Event], Handler] = {
    e.ReferralReceived: on_news_of_people,
    e.ReferralAccepted: on_news_of_people,
    e.ReferralRedirected: on_news_of_people,
    e.ReferralClosed: on_news_of_people,
    e.AssessmentStarted: on_news_of_people,
    e.LeadProfessionalAssigned: on_lead_professional_assigned,
    e.AssessmentCompleted: on_news,
    e.ThresholdMet: on_news,
    e.ThresholdNotMet: on_news,
    e.PlanReviewed: on_news,
    e.CaseClosed: on_news_of_people,
    e.PlacementRequested: on_news,
    e.PlacementStarted: on_news,
    e.PlacementReviewed: on_news_of_people,
    e.PlacementEnded: on_news,
    e.ExitInterviewDue: on_news,
    e.ExitInterviewOverdue: on_news,
    e.ExitInterviewCompleted: on_news,
    e.LookedAfterReviewRecorded: on_news,
    e.MissingEpisodeRecorded: on_news,
    e.DeadlineScheduled: on_news,
    e.DeadlineDueSoon: on_news,
    e.DeadlineDue: on_news,
    e.DeadlineOverdue: on_news,
    e.DeadlineMet: on_news,
    e.DeadlinePaused: on_news,
    e.DeadlineExtended: on_news,
    e.DeadlineWaived: on_news,
    e.KeyWorkerAssigned: on_news,
    e.NotificationFailed: on_news,
    e.EventParked: on_news,
}

COMMANDS: dict[type[Command], Handler] = {
    AcknowledgeAlert: acknowledge_alert,
    SnoozeAlert: snooze_alert,
    AssignKeyWorker: assign_key_worker,
    ChoosePreference: choose_preference,
    ChooseQuietHours: choose_quiet_hours,
    DeclareAbsence: declare_absence,
    EndAbsence: end_absence,
}
