"""All that the notify service reacts to."""

from collections.abc import Sequence

from schemas import events as e
from schemas.events import Event
from services.kernel.service import Command, Handler, Occasion, Produced
from services.notify import policy
from services.notify.book import NotifyBook
from services.notify.model import AcknowledgeAlert
from services.notify.pack import NotifyPack


def on_news(book: NotifyBook, event: Event, occasion: Occasion) -> Sequence[Produced]:
    """Tell whom the policy pack names."""
    people = book.people_of(event.child_id)
    return policy.decide_alerts(people, event, pack=book.pack, occasion=occasion)


def on_news_of_people(book: NotifyBook, event: Event, occasion: Occasion) -> Sequence[Produced]:
    """Learn who is around the child, then tell whom the policy pack names."""
    people = policy.learn(book.people_of(event.child_id), event)
    alerts = policy.decide_alerts(people, event, pack=book.pack, occasion=occasion)
    # Last, when nothing can fail any more: an event that is parked has taught nothing.
    book.keep(people)
    return alerts


def acknowledge_alert(book: NotifyBook, command: AcknowledgeAlert, occasion: Occasion) -> Sequence[Produced]:
    """Mark an alert as seen."""
    alert = book.alert(command.alert_id)
    return policy.decide_acknowledgement(alert, command, occasion=occasion)


HANDLERS: dict[type[Event], Handler] = {
    e.ReferralReceived: on_news_of_people,
    e.ReferralAccepted: on_news_of_people,
    e.ReferralRedirected: on_news,
    e.ReferralClosed: on_news,
    e.AssessmentStarted: on_news_of_people,
    e.LeadProfessionalAssigned: on_news_of_people,
    e.AssessmentCompleted: on_news,
    e.ThresholdMet: on_news,
    e.ThresholdNotMet: on_news,
    e.PlanReviewed: on_news,
    e.CaseClosed: on_news_of_people,
    e.PlacementRequested: on_news,
    e.PlacementStarted: on_news,
    e.PlacementReviewed: on_news,
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
    e.EventParked: on_news,
}


def handlers_under(pack: NotifyPack) -> dict[type[Event], Handler]:
    """Return the handlers of events that teach us something or may alert somebody under this pack.

    The others are most of what a topic carries: left out here, they are skipped by their header, without
    being decoded or claimed.
    """
    return {
        event: handler
        for event, handler in HANDLERS.items()
        if handler is on_news_of_people or not pack.is_silent(event.name)
    }


COMMANDS: dict[type[Command], Handler] = {AcknowledgeAlert: acknowledge_alert}
