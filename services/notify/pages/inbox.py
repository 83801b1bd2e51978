"""My alerts: filter, sort, pages, acknowledging many at once, putting off."""

from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import FormData

from schemas.events import Code
from schemas.events.codes import Urgency
from services.kernel.messages.faults import Refused
from services.kernel.web.pages.answers import Forbidden
from services.kernel.web.pages.forms import field_of
from services.kernel.web.pages.lists import FIRST, Turned, Turning, pages_of
from services.kernel.web.pages.shell import Visit
from services.notify.alerts.model import AcknowledgeAlert
from services.notify.pages.context import PageContext, back_to, inbox_address, needs_inbox
from services.notify.pages.deeds import Deeds
from services.notify.pages.live import fingerprint
from services.notify.pages.reminders import LENGTHS, until
from services.notify.pages.words import card
from services.notify.queries import lists as reading
from services.notify.queries import watching
from services.notify.queries.lists import AlertFilter, Sort
from services.notify.wording import kind_words

PER_PAGE = 20
AT_ONCE = 200
"""How many alerts one form may mark; more than a page shows."""

Shown = Literal["open", "put_off", "settled", "acknowledged", "all"]


class Chosen(BaseModel):
    """Which alerts a list shows, and in which order, as its address says it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=True)

    state: Shown = "open"
    kind: Code | None = None
    urgency: Urgency | None = None
    sort: Sort = "urgency"


# Codes may hold slashes, so the inbox's id takes as much of the path as it needs.
InboxId = Annotated[Code, InPath(description="Whose inbox.")]


def add(routes: APIRouter, context: PageContext) -> None:
    """Add the list and its form."""
    deeds = Deeds(context)

    @routes.get("/inbox", summary="Page: to one's own inbox", response_class=RedirectResponse)
    async def own(request: Request) -> Response:
        visit = await context.visit(request)
        return back_to(visit.person.person_id)

    @routes.get("/inbox/{inbox_id:path}", response_class=HTMLResponse, summary="Page: my alerts")
    async def inbox(
        request: Request,
        inbox_id: InboxId,
        turned: Turning,
        state: Shown = "open",
        kind: Annotated[Code | Literal[""] | None, Query()] = None,
        urgency: Urgency | Literal[""] | None = None,
        sort: Sort = "urgency",
        done: Annotated[int | None, Query(ge=0, le=AT_ONCE)] = None,
        put_off: Annotated[int | None, Query(ge=0, le=AT_ONCE)] = None,
    ) -> Response:
        visit = await context.visit(request)
        needs_inbox(visit, inbox_id)
        query = {
            "state": state,
            "kind": kind or None,
            "urgency": None if not urgency else Urgency(urgency).value,
            "sort": sort,
        }
        said = _said(done, put_off)
        return await _list(context, visit, inbox_id, query, turned=turned, said=said)

    @routes.post(
        "/inbox/{inbox_id:path}", response_class=HTMLResponse, summary="Form: mark or put off alerts"
    )
    async def many(request: Request, inbox_id: InboxId) -> Response:
        """Mark the chosen alerts as seen or put them off, and go back; twice is no error."""
        visit = await context.visit(request)
        needs_inbox(visit, inbox_id)
        form = await visit.form()
        chosen, before = _chosen(form), chosen_before(form)
        query = Chosen.model_validate(before).model_dump()
        if not chosen:
            sentence = "Select at least one alert"
            return await _list(context, visit, inbox_id, query, errors=[sentence])
        if field_of(form, "do") == "put-off":
            moment = until(field_of(form, "for"), now=visit.now, pack=context.pack)
            refused = await _put_off(deeds, visit, inbox_id, chosen, moment)
            if refused:
                return await _list(context, visit, inbox_id, query, errors=refused)
            return back_to(inbox_id, before | {"put_off": len(chosen)})
        for alert_id in chosen:  # all of them are looked at before any is marked
            await deeds.find(inbox_id, alert_id)
        for alert_id in chosen:
            command = AcknowledgeAlert(alert_id=alert_id, acknowledged_by=visit.person.person_id)
            await deeds.acknowledge(inbox_id, command)
        return back_to(inbox_id, before | {"done": len(chosen)})


async def _put_off(
    deeds: Deeds, visit: Visit, inbox_id: str, chosen: list[UUID], moment: datetime
) -> list[str]:
    """Put alerts off; return why some could not be, each reason once."""
    refused: dict[str, None] = {}
    for alert_id in chosen:
        try:
            await deeds.put_off(inbox_id, alert_id, by=visit.person.person_id, until=moment)
        except Refused as error:
            refused[error.sentence] = None
    return list(refused)


async def _list(
    context: PageContext,
    visit: Visit,
    inbox_id: str,
    query: dict[str, Any],
    *,
    turned: Turned = FIRST,
    said: str | None = None,
    errors: list[str] | None = None,
) -> Response:
    state = query["state"]
    chosen = AlertFilter(
        inbox_id,
        "open" if state == "put_off" else state,
        query["kind"],
        query["urgency"],
        put_off_at=visit.now if state in {"open", "put_off"} else None,
        put_off=state == "put_off",
    )
    # Bound to what was chosen, and not to the moment at which an alert counts as put off.
    cursors = reading.LIST[query["sort"]].cursors({**query, "inbox": inbox_id})
    after, before = turned.after(cursors), turned.before(cursors)
    async with context.executor.engine.connect() as connection:
        alerts = await reading.list_alerts(
            connection,
            chosen,
            sort=query["sort"],
            limit=PER_PAGE,
            after=after,
            before=before,
            numbered=True,
        )
        kinds = await reading.list_kinds(connection, inbox_id)
        waiting = await reading.count_open(connection, visit.person.inboxes, now=visit.now)
        watched = await watching.open_alerts(connection, [inbox_id], now=visit.now)
    return context.page(
        visit,
        "inbox.html",
        status=422 if errors else 200,
        inbox=inbox_id,
        is_own=inbox_id == visit.person.person_id,
        cards=[card(alert, now=visit.now) for alert in alerts.items],
        kinds=[(each, kind_words(each).capitalize()) for each in kinds],
        others=[(each, waiting.get(each, 0)) for each in visit.person.inboxes if each != inbox_id],
        lengths=LENGTHS,
        standing=fingerprint(watched[inbox_id]),
        chosen=query,
        chosen_words=urlencode({name: value for name, value in query.items() if value is not None}),
        works_with_children=visit.person.works_with_children,
        said=said,
        errors=errors or [],
        pages=pages_of(inbox_address(inbox_id), alerts, cursors, query),
    )


def _chosen(form: FormData) -> list[UUID]:
    """Return the alerts that a form names. Raises Forbidden for what no page of ours can have sent."""
    try:
        chosen = [UUID(str(each)) for each in form.getlist("alert")]
    except ValueError:
        raise Forbidden from None
    if len(chosen) > AT_ONCE:
        raise Forbidden
    return list(dict.fromkeys(chosen))


def chosen_before(form: FormData) -> dict[str, Any]:
    """Return what was chosen of the list that a form was sent from, where it is not as at first.

    Raises Forbidden for what no page of ours can have sent.
    """
    try:
        before = Chosen.model_validate(dict(parse_qsl(field_of(form, "chosen"))))
    except ValidationError:
        raise Forbidden from None
    return before.model_dump(exclude_defaults=True)


def _said(done: int | None, put_off: int | None) -> str | None:
    """Return what the last form has done, as a sentence."""
    if done:
        return f"{done} {'alert is' if done == 1 else 'alerts are'} marked as seen"
    if put_off:
        return f"You will be reminded about {put_off} {'alert' if put_off == 1 else 'alerts'}"
    return None
