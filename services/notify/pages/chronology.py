"""A case's timeline: every event of the child that notify has heard of, to filter and to print."""

from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from schemas.events import times
from services.kernel.deadlines.calendar import LONDON
from services.kernel.deadlines.wording import day_words
from services.kernel.web.pages.answers import Forbidden
from services.kernel.web.pages.dates import LONGEST, EnteredDay
from services.kernel.web.pages.lists import Turning, pages_of
from services.notify.chronology import access
from services.notify.chronology import queries as chronology_queries
from services.notify.chronology.queries import ChronologyFilter
from services.notify.pages.context import PageContext
from services.notify.pages.words import line
from services.notify.preferences.hours import at

log = structlog.get_logger()

PER_PAGE = 50
ON_PAPER = 2_000
"""A print holds no more events; it says how many there are."""

KINDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("referral", "Referral", ("referral.",)),
    (
        "case",
        "Case, assessment and plan",
        ("assessment.", "threshold.", "plan.", "case.", "lead_professional.", "key_worker."),
    ),
    (
        "placement",
        "Placement and review",
        ("placement.", "exit_interview.", "looked_after_review.", "missing_"),
    ),
    ("deadline", "Deadlines", ("deadline.",)),
    ("alert", "Alerts and messages", ("alert.", "notification.")),
)
"""The filters of a timeline: code, words, and how the wire types begin."""


def add(routes: APIRouter, context: PageContext) -> None:
    """Add the page."""

    @routes.get(
        "/children/{child_id}/chronology", response_class=HTMLResponse, summary="Page: the timeline of a case"
    )
    async def chronology(
        request: Request,
        child_id: UUID,
        turned: Turning,
        kind: Annotated[list[str] | None, Query(max_length=len(KINDS))] = None,
        since: Annotated[str, Query(max_length=LONGEST)] = "",
        until: Annotated[str, Query(max_length=LONGEST)] = "",
        paper: bool = False,
    ) -> Response:
        """Show the events in order; `paper` shows all of them on one page."""
        visit = await context.visit(request)
        kinds = [code for code, _, _ in KINDS if code in (kind or ())]
        begins, ends = _entered(request, "since", since), _entered(request, "until", until)
        first, last = begins.value, ends.value
        errors = [
            (f"{name}-day", f"Enter the {words}, for example 7 9 2026")
            for name, words, entered in (("since", "first day", begins), ("until", "last day", ends))
            if not entered.is_empty and entered.value is None
        ]
        if first is not None and last is not None and last < first:
            errors.append(("until-day", "The last day must be the first day or later"))
        chosen = ChronologyFilter(
            child_id,
            tuple(prefix for code, _, prefixes in KINDS if code in kinds for prefix in prefixes) or None,
            since=None if first is None or errors else start_of(first),
            until=None if last is None or errors else start_of(last + timedelta(days=1)),
        )
        query = {
            "kind": kinds,
            "since": None if first is None else first.isoformat(),
            "until": None if last is None else last.isoformat(),
        }
        cursors = chronology_queries.LIST.cursors({**query, "child": child_id, "paper": paper})
        after, before = turned.after(cursors), turned.before(cursors)
        async with context.executor.engine.connect() as connection:
            if not await access.may_see(connection, visit.person, child_id, organisation=context.pack):
                raise Forbidden
            entries = await chronology_queries.list_entries(
                connection, chosen, limit=ON_PAPER if paper else PER_PAGE, after=after, before=before
            )
        # Every look at a child's record is recorded; ids only, as everywhere in logs.
        log.info("chronology viewed", child_id=str(child_id), viewed_by=visit.person.person_id)
        local = visit.now.astimezone(LONDON)
        lines = [line(entry, now=visit.now) for entry in entries.items]
        address = f"/children/{child_id}/chronology"
        return context.page(
            visit,
            "chronology.html",
            status=422 if errors else 200,
            child_id=child_id,
            days=[(day_words(day), list(each)) for day, each in groupby(lines, key=lambda each: each.day)],
            shown=len(lines),
            kinds=KINDS,
            chosen=query,
            since=begins,
            until=ends,
            errors=errors,
            paper=paper,
            address=address,
            today=day_words(local.date()),
            clock=f"{local:%H:%M}",
            pages=pages_of(address, entries, cursors, query),
        )


def _entered(request: Request, name: str, linked: str) -> EnteredDay:
    """Return a day as the form's three fields send it, else as a link between pages does."""
    entered = EnteredDay.read(lambda field: request.query_params.get(field, ""), name)
    if not entered.is_empty or not linked:
        return entered
    try:
        return EnteredDay.of(times.day_of(linked))
    except ValueError:
        return EnteredDay(day=linked)


def start_of(day: date) -> datetime:
    """Return the first moment of a London day."""
    return at(day, datetime.min.time())
