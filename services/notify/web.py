"""The notify service's HTTP API; its pages are in `inbox_pages`."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic_core import to_jsonable_python

from schemas.events import Code, Event
from schemas.events.codes import Urgency
from services.kernel.desk import Desk, Respond
from services.kernel.faults import Refused
from services.kernel.service import Command
from services.kernel.web import ALWAYS, TO_COMMANDS, IdempotencyKey, Paging, problems
from services.notify import inbox_pages, posting, reading
from services.notify.book import NotifyBook
from services.notify.model import AcknowledgeAlert, Alert
from services.notify.reading import AlertFilter, Sort, State


class Acknowledgement(Command):
    """Who has seen an alert."""

    acknowledged_by: Code


def router(desk: Desk[NotifyBook]) -> APIRouter:
    """Return the routes of the notify service: API and pages."""
    routes = APIRouter(tags=["notify"], responses=ALWAYS)

    @routes.get("/alerts", summary="List alerts")
    async def listing(
        page: Paging,
        recipient: Annotated[Code | None, Query(description="Whose inbox.")] = None,
        state: State = "open",
        kind: Annotated[Code | None, Query(description="For example deadline.overdue:assessment.")] = None,
        urgency: Urgency | None = None,
        sort: Annotated[Sort, Query(description="Newest first, or what is due first.")] = "newest",
    ) -> dict[str, Any]:
        chosen = AlertFilter(recipient, state, kind, urgency)
        async with desk.engine.connect() as connection:
            found, total = await reading.list_alerts(
                connection, chosen, sort=sort, limit=page.limit, offset=page.offset
            )
        return page.of([_shown(alert) for alert in found], total=total)

    @routes.get("/alerts/figures", summary="Alerts by kind, urgency and status, e-mails by state")
    async def figures() -> dict[str, Any]:
        async with desk.engine.connect() as connection:
            counted = await reading.figures(connection)
            e_mails = await posting.figures(connection)
        return {**counted, "total": counted["by_status"].total(), "e_mails": e_mails}

    @routes.get("/alerts/{alert_id}", responses=problems(404), summary="One alert, its cause and its e-mail")
    async def one(alert_id: UUID) -> dict[str, Any]:
        async with desk.engine.connect() as connection:
            alert = await reading.find(connection, alert_id)
            if alert is None:
                raise Refused(f"There is no alert {alert_id}: look it up in GET /alerts.", missing=True)
            known = await reading.background(connection, alert_id)
        return _shown(alert) | {
            "cause": {"message_id": known.cause_id, "type": alert.facts.kind.partition(":")[0]},
            "e_mail": None
            if known.e_mail is None
            else {"state": known.e_mail, "reason": known.e_mail_reason},
        }

    @routes.post(
        "/alerts/{alert_id}/acknowledgement", responses=TO_COMMANDS, summary="Say that an alert was seen"
    )
    async def acknowledge(alert_id: UUID, seen: Acknowledgement, key: IdempotencyKey) -> dict[str, Any]:
        """Acknowledging twice is no error: the answer shows who was first."""
        command = AcknowledgeAlert(alert_id=alert_id, acknowledged_by=seen.acknowledged_by)
        return await desk.execute(command, key=key, respond=answer_with(alert_id))

    inbox_pages.add(routes, desk, answer_with)
    return routes


def answer_with(alert_id: UUID) -> Respond[NotifyBook]:
    """Return how a command about an alert is answered: with the alert after it."""

    def respond(book: NotifyBook, _events: Sequence[Event]) -> dict[str, Any]:
        return _shown(book.alert(alert_id))

    return respond


def _shown(alert: Alert) -> dict[str, Any]:
    """Return an alert as programs see it; every value is an id, a code, a date or the pack's words."""
    shown: dict[str, Any] = to_jsonable_python(
        {
            **dict(alert.facts),
            "status": alert.status,
            "acknowledged_at": alert.acknowledged_at,
            "acknowledged_by": alert.acknowledged_by,
        }
    )
    return shown
