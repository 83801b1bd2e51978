"""The inbox pages, rendered on the server: they work without JavaScript, on a telephone and on paper.

Nobody signs in yet: whoever knows a worker's id sees that worker's alerts, which hold ids, codes, dates and
the pack's words only. With sign-in come the worker's identity from the session, in place of the one in the
address, and a CSRF token in the form; until then a forged form could at the most mark an alert as seen.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi import Path as InPath
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from schemas.events import Code
from schemas.events.codes import Role, Urgency
from services.kernel.desk import Desk, Respond
from services.notify import reading
from services.notify.book import NotifyBook
from services.notify.model import AcknowledgeAlert, Alert
from services.notify.reading import AlertFilter, Sort
from services.notify.wording import due_words, kind_words, moment_words

PAGES = Path(__file__).parent / "pages"
PER_PAGE = 20

WHY: Mapping[Role, str] = {
    Role.LEAD_PROFESSIONAL: "You are the lead professional of this case.",
    Role.TEAM_MANAGER: "You manage the team that answers for this case.",
    Role.REFERRER: "You referred this child.",
    Role.DUTY_INBOX: "The duty inbox answers for what no lead professional or referrer is known for.",
    Role.PLACEMENTS_OFFICER: "You look after placements in this county.",
    Role.OPERATIONS: "You keep Leadline running.",
}
TAGS: Mapping[Urgency, str] = {Urgency.URGENT: "Urgent", Urgency.SOON: "Soon", Urgency.ROUTINE: "Routine"}

NOT_THERE: dict[int | str, dict[str, Any]] = {
    404: {"description": "A page that says that this inbox has no such alert.", "content": {"text/html": {}}}
}

# Codes may hold slashes, so the worker's id takes as much of the path as it needs.
WorkerId = Annotated[Code, InPath(description="Whose inbox.")]
PageNumber = Annotated[int, Query(ge=1, le=100_000)]


@dataclass(frozen=True, slots=True)
class Card:
    """One alert as its recipient reads it: who, what, by when, why me, what now."""

    alert_id: UUID
    heading: str
    reference: str
    case: str
    says: str
    by_when: str | None
    late: bool
    why: str
    next_step: str
    raised: str
    urgency: str
    tag: str
    acknowledged: str | None


@dataclass(frozen=True, slots=True)
class Pages:
    """Which page of how many, with the addresses of its neighbours."""

    number: int
    count: int
    previous: str | None
    following: str | None


def card(alert: Alert, *, now: datetime) -> Card:
    """Return an alert in words. A case is named by its id's first part: enough to recognise it."""
    facts = alert.facts
    seen = alert.acknowledged_at
    return Card(
        alert_id=alert.alert_id,
        heading=kind_words(facts.kind).capitalize(),
        reference=str(facts.case_id or facts.about)[:8],
        case=f"Case {facts.case_id}" if facts.case_id is not None else f"Reference {facts.about}",
        says=facts.says or "",
        by_when=None if facts.due_at is None else due_words(facts.due_at),
        late=facts.due_at is not None and facts.due_at <= now,
        why=WHY[facts.role],
        next_step=facts.next_step or "",
        raised=moment_words(facts.raised_at, now=now),
        urgency=facts.urgency.value,
        tag=TAGS[facts.urgency],
        acknowledged=None
        if seen is None
        else f"Seen {moment_words(seen, now=now)} by {alert.acknowledged_by}",
    )


def add(
    routes: APIRouter, desk: Desk[NotifyBook], answer_with: Callable[[UUID], Respond[NotifyBook]]
) -> None:
    """Add the pages, and the style sheet that they share, to the routes."""

    @routes.get("/assets/leadline.css", include_in_schema=False)
    async def style() -> FileResponse:
        return FileResponse(PAGES / "leadline.css", media_type="text/css")

    @routes.get("/inbox", response_class=HTMLResponse, summary="Page: choose an inbox")
    async def choose(page: PageNumber = 1) -> HTMLResponse:
        offset = (page - 1) * PER_PAGE
        async with desk.engine.connect() as connection:
            inboxes, total = await reading.list_inboxes(connection, limit=PER_PAGE, offset=offset)
        return _page("choose.html", inboxes=inboxes, pages=_pages("/inbox", page, total, {}))

    @routes.get(
        "/inbox/{worker_id:path}/alerts/{alert_id}",
        response_class=HTMLResponse,
        responses=NOT_THERE,
        summary="Page: one alert",
    )
    async def single(worker_id: WorkerId, alert_id: UUID) -> HTMLResponse:
        alert = await _in_inbox(desk, worker_id, alert_id)
        if alert is None:
            return _missing(worker_id)
        return _page("alert.html", worker_id=worker_id, card=card(alert, now=desk.clock.now()))

    @routes.post(
        "/inbox/{worker_id:path}/alerts/{alert_id}/acknowledge",
        status_code=303,
        response_class=RedirectResponse,
        response_model=None,
        responses=NOT_THERE,
        summary="Form: mark an alert as seen",
    )
    async def acknowledge(worker_id: WorkerId, alert_id: UUID) -> HTMLResponse | RedirectResponse:
        """Mark an alert as seen and go back to the inbox; doing it twice is no error."""
        if await _in_inbox(desk, worker_id, alert_id) is None:
            return _missing(worker_id)
        command = AcknowledgeAlert(alert_id=alert_id, acknowledged_by=worker_id)
        # The key is the deed itself, so that a double click or a reload does it once.
        await desk.execute(command, key=f"inbox/{worker_id}/{alert_id}", respond=answer_with(alert_id))
        return RedirectResponse(f"{_address(worker_id)}?seen={alert_id}", status_code=303)

    @routes.get("/inbox/{worker_id:path}", response_class=HTMLResponse, summary="Page: one inbox")
    async def inbox(
        worker_id: WorkerId,
        state: Literal["open", "acknowledged"] = "open",
        sort: Sort = "newest",
        page: PageNumber = 1,
        seen: UUID | None = None,
    ) -> HTMLResponse:
        offset = (page - 1) * PER_PAGE
        async with desk.engine.connect() as connection:
            alerts, total = await reading.list_alerts(
                connection, AlertFilter(worker_id, state), sort=sort, limit=PER_PAGE, offset=offset
            )
        now = desk.clock.now()
        return _page(
            "inbox.html",
            worker_id=worker_id,
            cards=[card(alert, now=now) for alert in alerts],
            total=total,
            state=state,
            sort=sort,
            seen=seen,
            pages=_pages(_address(worker_id), page, total, {"state": state, "sort": sort}),
        )


async def _in_inbox(desk: Desk[NotifyBook], worker_id: str, alert_id: UUID) -> Alert | None:
    async with desk.engine.connect() as connection:
        alert = await reading.find(connection, alert_id)
    return alert if alert is not None and alert.facts.recipient_id == worker_id else None


def _address(worker_id: str) -> str:
    return f"/inbox/{quote(worker_id, safe='')}"


def _pages(address: str, number: int, total: int, query: Mapping[str, str]) -> Pages:
    count = max(1, -(-total // PER_PAGE))

    def link(other: int) -> str:
        return f"{address}?" + "&".join(f"{name}={value}" for name, value in {**query, "page": other}.items())

    return Pages(
        number=number,
        count=count,
        previous=link(min(number - 1, count)) if number > 1 else None,
        following=link(number + 1) if number < count else None,
    )


def _missing(worker_id: str) -> HTMLResponse:
    return _page("missing.html", status=404, worker_id=worker_id)


def _page(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    html = TEMPLATES.get_template(template).render(address=_address, **values)
    # Alerts are about children: browsers and proxies keep no copy.
    return HTMLResponse(html, status_code=status, headers={"Cache-Control": "no-store"})


TEMPLATES = Environment(
    loader=FileSystemLoader(PAGES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
