"""Absences: who stands in for somebody, from when to when; for oneself, and for one's team as its manager."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Self
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.datastructures import FormData

from services.kernel.deadlines.calendar import LONDON
from services.kernel.deadlines.wording import day_words
from services.kernel.pack.people import Person
from services.kernel.web.pages.answers import Forbidden
from services.kernel.web.pages.dates import NOTHING, EnteredDay
from services.kernel.web.pages.forms import field_of, form_key
from services.kernel.web.pages.shell import Visit
from services.notify.pack.model import NotifyPack
from services.notify.pages.context import PageContext
from services.notify.pages.deeds import Deeds
from services.notify.pages.words import plain
from services.notify.preferences.hours import at
from services.notify.preferences.model import Arrangements, DeclareAbsence, EndAbsence
from services.notify.store import preferences as preference_store

DUTY_INBOX = "duty-inbox"
"""What the form sends where no colleague stands in."""


@dataclass(frozen=True, slots=True)
class Entered:
    """What the form holds, as it was entered."""

    worker: str
    away: str = "until"
    first: EnteredDay = NOTHING
    last: EnteredDay = NOTHING
    to: str = ""

    @classmethod
    def read(cls, form: FormData) -> Self:
        """Return what was sent."""

        def field(name: str) -> str:
            return field_of(form, name)

        first, last = EnteredDay.read(field, "first"), EnteredDay.read(field, "last")
        return cls(field("worker"), field("away"), first, last, field("to"))


@dataclass(frozen=True, slots=True)
class AbsenceLine:
    """One absence that holds now or is to come."""

    delegation_id: UUID
    worker_id: str
    begins: str
    ends: str
    stands_in: str
    begun: bool


def add(routes: APIRouter, context: PageContext) -> None:
    """Add the page and its two forms."""
    pack, deeds = context.pack, Deeds(context)

    @routes.get("/absences", response_class=HTMLResponse, summary="Page: absences")
    async def absences(request: Request, saved: bool = False) -> Response:
        visit = await _practitioner(context, request)
        return await _page(context, visit, saved=saved)

    @routes.post("/absences", response_class=HTMLResponse, summary="Form: somebody will be away, or has left")
    async def declare(request: Request) -> Response:
        """Open alerts go to the stand-in when the absence begins."""
        visit = await _practitioner(context, request)
        form = await visit.form()
        entered = Entered.read(form)
        errors = mistakes(entered, visit.person, pack, today=visit.now.astimezone(LONDON).date())
        if errors:
            return await _page(context, visit, errors=errors, entered=entered)
        command = command_of(entered, by=visit.person.person_id)
        await deeds.execute(command, key=f"pages/{form_key(form)}/absence")
        return RedirectResponse("/absences?saved=true", status_code=303)

    @routes.post("/absences/end", response_class=HTMLResponse, summary="Form: somebody is back")
    async def end(request: Request) -> Response:
        """An absence that has not begun is taken back. Alerts that have moved stay where they are."""
        visit = await _practitioner(context, request)
        form = await visit.form()
        worker = field_of(form, "worker")
        if worker not in people_of(visit.person, pack):
            raise Forbidden
        command = EndAbsence(delegation_id=_id_of(form), worker_id=worker)
        await deeds.execute(command, key=f"pages/{form_key(form)}/{command.delegation_id}/end")
        return RedirectResponse("/absences?saved=true", status_code=303)


def people_of(person: Person, pack: NotifyPack) -> list[str]:
    """Return whose absences somebody may declare: their own first, then those of the teams they manage."""
    managed = [each.id for each in pack.practitioners if each.team in person.boards]
    return list(dict.fromkeys([person.person_id, *managed]))


def colleagues_of(worker_ids: Sequence[str], pack: NotifyPack) -> list[tuple[str, str]]:
    """Return who may stand in, by id and role: people of the same teams, and their managers."""
    teams = {each.team for each in pack.practitioners if each.id in worker_ids}
    managers = {team.manager for team in pack.teams if team.code in teams}
    return [
        (each.id, f"{each.id} ({plain(each.role)})")
        for each in pack.practitioners
        if each.team in teams or each.id in managers
    ]


def mistakes(entered: Entered, person: Person, pack: NotifyPack, *, today: date) -> list[tuple[str, str]]:
    """Return what is wrong with a form, by its field. Raises Forbidden for what no page of ours offers."""
    people = people_of(person, pack)
    worker, to = entered.worker, entered.to
    stand_ins = {DUTY_INBOX, *(each for each, _ in colleagues_of(people, pack))}
    if worker not in people or entered.away not in {"until", "left"} or to not in stand_ins | {""}:
        raise Forbidden
    first, last = entered.first.value, entered.last.value
    errors: list[tuple[str, str]] = []
    if first is None:
        errors.append(("first-day", "Enter the first day away, for example 7 9 2026"))
    if entered.away == "until":
        if last is None:
            errors.append(("last-day", "Enter the last day away, for example 11 9 2026"))
        elif last < today:
            errors.append(("last-day", "The last day away must be today or later"))
        elif first is not None and last < first:
            errors.append(("last-day", "The last day away must be the first day or later"))
    if not to:
        errors.append(("to", "Choose who stands in"))
    elif to == worker:
        errors.append(("to", "Choose somebody else to stand in, or the duty inbox"))
    return errors


def command_of(entered: Entered, *, by: str) -> DeclareAbsence:
    """Return what a form without mistakes asks for: whole London days, the last one included."""
    first, last = entered.first.value, entered.last.value
    assert first is not None  # noqa: S101 - else there was a mistake
    ends_at = None
    if entered.away == "until":
        assert last is not None  # noqa: S101 - as above
        ends_at = at(last + timedelta(days=1), time())
    return DeclareAbsence(
        worker_id=entered.worker,
        to_id=None if entered.to == DUTY_INBOX else entered.to,
        starts_at=at(first, time()),
        ends_at=ends_at,
        declared_by=by,
    )


def lines_of(known: Arrangements, people: Sequence[str], *, now: datetime) -> list[AbsenceLine]:
    """Return the absences of people that hold or are to come, the earliest first."""
    found = sorted(
        (each for worker in people for each in known.delegations.get(worker, ())),
        key=lambda each: (each.starts_at, each.worker_id, each.delegation_id),
    )
    return [
        AbsenceLine(
            each.delegation_id,
            each.worker_id,
            day_words(each.starts_at.astimezone(LONDON).date()),
            "For good" if each.ends_at is None else day_words(_last_day(each.ends_at)),
            each.to_id or "Duty inbox",
            each.starts_at <= now,
        )
        for each in found
        if each.ends_at is None or each.ends_at > max(now, each.starts_at)
    ]


def _last_day(ends_at: datetime) -> date:
    return (ends_at - timedelta(microseconds=1)).astimezone(LONDON).date()


def _id_of(form: FormData) -> UUID:
    try:
        return UUID(field_of(form, "absence"))
    except ValueError:
        raise Forbidden from None


async def _practitioner(context: PageContext, request: Request) -> Visit:
    visit = await context.visit(request)
    if visit.person.kind != "practitioner":
        raise Forbidden
    return visit


async def _page(
    context: PageContext,
    visit: Visit,
    *,
    saved: bool = False,
    errors: list[tuple[str, str]] | None = None,
    entered: Entered | None = None,
) -> Response:
    people = people_of(visit.person, context.pack)
    async with context.executor.engine.connect() as connection:
        known = await preference_store.load(connection, None)
    return context.page(
        visit,
        "absences.html",
        status=422 if errors else 200,
        people=people,
        colleagues=colleagues_of(people, context.pack),
        duty_inbox=DUTY_INBOX,
        lines=lines_of(known, people, now=visit.now),
        entered=entered or Entered(visit.person.person_id),
        saved=saved,
        errors=errors or [],
    )
