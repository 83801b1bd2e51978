"""The notify service's HTTP API. Its pages come from `pages`."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from schemas.events import Code, Event, Moment
from schemas.events.codes import Urgency
from services.kernel.base.examples import example
from services.kernel.base.settings import Settings
from services.kernel.messages.faults import Refused
from services.kernel.processing.commands import CommandExecutor, Respond
from services.kernel.processing.service import Command
from services.kernel.web.answers import Listed, kept
from services.kernel.web.api import ALWAYS, TO_COMMANDS, IdempotencyKey, Paging, problems
from services.kernel.web.bodies import BodyRoute
from services.kernel.web.site import Router
from services.notify.alerts.model import AcknowledgeAlert, SnoozeAlert
from services.notify.api import preferences as preferences_api
from services.notify.api import receipts as receipts_api
from services.notify.api import referrers as referrers_api
from services.notify.api.alerts import (
    ShownAlert,
    ShownAlertFigures,
    ShownAlertInFull,
    ShownRate,
    ShownRates,
    shown,
    shown_in_full,
)
from services.notify.book import NotifyBook
from services.notify.delivery.store import queue
from services.notify.pages import pages
from services.notify.queries import lists as reading
from services.notify.queries import rates
from services.notify.queries.lists import AlertFilter, Sort, State
from services.notify.store.batch import NotifyStore

__all__ = ["pages", "router", "router_under"]


class Acknowledgement(Command):
    """Who has seen an alert."""

    model_config = example({"acknowledged_by": "sw-014"})

    acknowledged_by: Code


class Snooze(Command):
    """Who puts an alert off, and until when."""

    model_config = example({"snoozed_by": "sw-014", "until": "2026-03-25T09:00:00Z"})

    snoozed_by: Code
    until: Moment


def router(executor: CommandExecutor[NotifyBook, NotifyStore]) -> APIRouter:
    """Return the routes of the notify service's API."""
    routes = APIRouter(route_class=BodyRoute, tags=["notify"], responses=ALWAYS)

    @routes.get("/alerts", summary="List alerts")
    async def listing(
        page: Paging,
        recipient: Annotated[Code | None, Query(description="Whose inbox.")] = None,
        state: State = "open",
        kind: Annotated[Code | None, Query(description="For example deadline.overdue:assessment.")] = None,
        urgency: Urgency | None = None,
        sort: Annotated[
            Sort, Query(description="Newest first, what is due first, or the most urgent first.")
        ] = "newest",
    ) -> Listed[ShownAlert]:
        chosen = AlertFilter(recipient, state, kind, urgency)
        cursors = reading.LIST[sort].cursors(chosen.parameters())
        after = page.after(cursors)
        async with executor.engine.connect() as connection:
            found = await reading.list_alerts(connection, chosen, sort=sort, limit=page.limit, after=after)
        return page.of(found.map(shown), cursors)

    @routes.get(
        "/alerts/figures", summary="Alerts by kind, urgency and status, deliveries by channel and state"
    )
    async def figures() -> ShownAlertFigures:
        async with executor.engine.connect() as connection:
            counted = await reading.figures(connection)
            deliveries = await queue.figures(connection)
        return ShownAlertFigures(**counted, total=counted["by_status"].total(), deliveries=deliveries)

    @routes.get("/alerts/rates", summary="Alerts per worker, week and kind")
    async def rates_of(
        weeks: Annotated[int, Query(ge=1, le=52, description="How many weeks back.")] = 4,
        worker: Annotated[list[Code] | None, Query(description="Of these workers alone.")] = None,
    ) -> ShownRates:
        now = executor.clock.now()
        since = executor.service.calendar.start_of_day(rates.monday_of(now) - timedelta(weeks=weeks - 1))
        async with executor.engine.connect() as connection:
            found = await rates.by_worker(
                connection, since=since, until=now + timedelta(microseconds=1), workers=worker
            )
        return ShownRates(items=ShownRate.each(found))

    @routes.get(
        "/alerts/{alert_id}", responses=problems(404), summary="One alert, its cause and its deliveries"
    )
    async def one(alert_id: UUID) -> ShownAlertInFull:
        async with executor.engine.connect() as connection:
            alert = await reading.find(connection, alert_id)
            if alert is None:
                raise Refused(f"There is no alert {alert_id}: look it up in GET /alerts.", missing=True)
            deliveries = await queue.of_alert(connection, alert_id)
        return shown_in_full(alert, deliveries)

    @routes.post(
        "/alerts/{alert_id}/acknowledgement",
        response_model=ShownAlert,
        responses=TO_COMMANDS,
        summary="Say that an alert was seen",
    )
    async def acknowledge(alert_id: UUID, seen: Acknowledgement, key: IdempotencyKey) -> Response:
        """Acknowledging twice is no error: the answer shows who was first."""
        command = AcknowledgeAlert(alert_id=alert_id, acknowledged_by=seen.acknowledged_by)
        return kept(await executor.execute(command, key=key, respond=answer_with(alert_id)))

    @routes.post(
        "/alerts/{alert_id}/snooze",
        response_model=ShownAlert,
        responses=TO_COMMANDS,
        summary="Put an alert off",
    )
    async def snooze(alert_id: UUID, asked: Snooze, key: IdempotencyKey) -> Response:
        """No longer than the council allows for its urgency; an acknowledged alert is left as it is."""
        command = SnoozeAlert(alert_id=alert_id, snoozed_by=asked.snoozed_by, until=asked.until)
        return kept(await executor.execute(command, key=key, respond=answer_with(alert_id)))

    preferences_api.add(routes, executor)
    referrers_api.add(routes, executor)
    return routes


def router_under(settings: Settings) -> Router:
    """Return `router` with what depends on the settings: receipts of GOV.UK Notify."""

    def configured(executor: CommandExecutor[NotifyBook, NotifyStore]) -> APIRouter:
        routes = router(executor)
        receipts_api.add(routes, executor, settings.govuk_notify_callback_token)
        return routes

    return configured


def answer_with(alert_id: UUID) -> Respond[NotifyBook]:
    """Return how a command about an alert is answered: with the alert after it."""

    def respond(book: NotifyBook, _events: Sequence[Event]) -> ShownAlert:
        return shown(book.alert(alert_id))

    return respond
