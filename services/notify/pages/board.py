"""The team board: unacknowledged and overdue alerts, workloads, and the rate of alerts."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from schemas.events import Code
from services.kernel.deadlines.calendar import LONDON
from services.kernel.deadlines.wording import day_words
from services.kernel.pack.people import members_of
from services.kernel.web.pages.answers import Forbidden
from services.kernel.web.pages.lists import Turning, pages_of
from services.notify.pages.context import PageContext, needs_board
from services.notify.pages.words import card, plain
from services.notify.queries import boards, rates
from services.notify.queries.boards import Which
from services.notify.queries.rates import Rate
from services.notify.wording import kind_words

PER_PAGE = 20
WEEKS = 4

_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class RateRow:
    """How many alerts of a kind somebody got, week by week, the latest first."""

    worker_id: str
    kind: str
    weeks: tuple[int, ...]
    spared: int
    """Repetitions that were counted on an open alert instead of told again."""


def add(routes: APIRouter, context: PageContext) -> None:
    """Add the pages."""
    pack = context.pack

    @routes.get("/board", response_class=HTMLResponse, summary="Page: choose a team's board")
    async def choose(request: Request) -> Response:
        visit = await context.visit(request)
        teams = [pack.team_by_code[code] for code in visit.person.boards]
        if not teams:
            raise Forbidden
        if len(teams) == 1:
            return RedirectResponse(f"/board/{teams[0].code}", status_code=303)
        async with context.executor.engine.connect() as connection:
            found = [
                (team, await boards.workloads(connection, members_of(pack, team), now=visit.now))
                for team in teams
            ]
        rows = [
            (
                team,
                sum(each.open for each in loads),
                sum(each.overdue for each in loads),
                sum(each.escalated for each in loads),
            )
            for team, loads in found
        ]
        return context.page(visit, "boards.html", rows_of_teams=rows)

    @routes.get("/board/{team_code:path}", response_class=HTMLResponse, summary="Page: a team's board")
    async def board(
        request: Request,
        team_code: Annotated[Code, Path(description="Which team.")],
        turned: Turning,
        which: Which = "all",
    ) -> Response:
        visit = await context.visit(request)
        needs_board(visit, team_code)
        team = pack.team_by_code[team_code]
        members = members_of(pack, team)
        mondays = mondays_before(rates.monday_of(visit.now))
        since = pack.working_calendar.start_of_day(mondays[-1])
        cursors = boards.LIST.cursors({"team": team_code, "which": which})
        after, before = turned.after(cursors), turned.before(cursors)
        async with context.executor.engine.connect() as connection:
            loads = await boards.workloads(connection, members, now=visit.now)
            alerts = await boards.list_open(
                connection, members, which, now=visit.now, limit=PER_PAGE, after=after, before=before
            )
            told = await rates.by_worker(connection, since=since, until=visit.now + _MOMENT, workers=members)
        roles = {each.id: plain(each.role) for each in pack.practitioners} | {team.duty_inbox: "shared inbox"}
        return context.page(
            visit,
            "board.html",
            team=team,
            roles=roles,
            loads=[
                (each, None if each.oldest is None else day_words(each.oldest.astimezone(LONDON).date()))
                for each in loads
            ],
            cards=[card(alert, now=visit.now, to_its_recipient=False) for alert in alerts.items],
            which=which,
            mondays=[f"{monday.day} {monday:%b}" for monday in mondays],
            rates=[(row, kind_words(row.kind)) for row in rate_rows(told, mondays)],
            pages=pages_of(
                f"/board/{team_code}", alerts, cursors, {"which": which}, fragment="#unacknowledged"
            ),
        )


def mondays_before(monday: date) -> tuple[date, ...]:
    """Return the Mondays of the weeks that a board shows, the latest first."""
    return tuple(monday - timedelta(weeks=weeks) for weeks in range(WEEKS))


def rate_rows(told: Iterable[Rate], mondays: tuple[date, ...]) -> list[RateRow]:
    """Return the rates as a table: a row for each worker and kind, a column for each week."""
    counts: defaultdict[tuple[str, str], dict[date, int]] = defaultdict(dict)
    spared: defaultdict[tuple[str, str], int] = defaultdict(int)
    for rate in told:
        counts[rate.worker_id, rate.kind][rate.week] = rate.alerts
        spared[rate.worker_id, rate.kind] += rate.collapsed
    return [
        RateRow(worker, kind, tuple(weeks.get(monday, 0) for monday in mondays), spared[worker, kind])
        for (worker, kind), weeks in sorted(counts.items())
    ]
