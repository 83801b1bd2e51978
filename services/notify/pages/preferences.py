"""Preferences: channels for each kind of alert, quiet hours, the time of the digest."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time
from typing import Any, cast, get_args

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.datastructures import FormData

from schemas.events.codes import Channel
from services.kernel.deadlines.wording import sentence
from services.kernel.messages.faults import Refused
from services.kernel.web.pages.answers import Forbidden
from services.kernel.web.pages.forms import field_of, form_key
from services.kernel.web.pages.shell import Visit
from services.notify.alerts.stand_ins import WORKERS
from services.notify.pack.model import NotifyPack
from services.notify.pages.context import PageContext
from services.notify.pages.deeds import Deeds
from services.notify.pages.words import CHANNELS, subject_words
from services.notify.preferences.model import (
    PERSONAL,
    Arrangements,
    Choice,
    ChoosePreference,
    ChooseQuietHours,
    Digest,
    QuietHours,
    widening,
)
from services.notify.store import preferences as preference_store

CHOICES: Mapping[str, str] = {"at_once": "at once", "digest": "in the digest", "off": "not at all"}
LEFT_OPEN = ""
"""What a form sends where nothing is chosen."""
DIGESTS: tuple[tuple[Digest, str], ...] = (
    ("working_day", "At the start of each working day"),
    ("daily", "Every day"),
)
TIMES = (
    ("quiet_from", "Quiet hours begin"),
    ("quiet_until", "Quiet hours end"),
    ("digest_at", "The digest comes at"),
)
ALL_KINDS = "*"


@dataclass(frozen=True, slots=True)
class PreferenceRow:
    """One kind of alert and what somebody has chosen for it on each channel."""

    kind: str
    words: str
    locked: bool
    """Whether it can be urgent: then it always comes at once."""
    fields: tuple["Field", ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One choice: a kind of alert on one channel, the present choice and the possible ones."""

    name: str
    channel: str
    chosen: str
    options: tuple[tuple[str, str], ...]


def add(routes: APIRouter, context: PageContext) -> None:
    """Add the page and its two forms."""
    pack, deeds = context.pack, Deeds(context)

    @routes.get("/preferences", response_class=HTMLResponse, summary="Page: preferences")
    async def preferences(request: Request, saved: bool = False) -> Response:
        return await _page(context, await _practitioner(context, request), saved=saved)

    @routes.post("/preferences", response_class=HTMLResponse, summary="Form: how alerts of each kind come")
    async def choose(request: Request) -> Response:
        """Save the choices that differ from the present ones."""
        visit = await _practitioner(context, request)
        form = await visit.form()
        known = await _arrangements(context)
        worker = visit.person.person_id
        errors = []
        for kind, channel, choice in changes(form, pack, known, worker):
            command = ChoosePreference(worker_id=worker, kind=kind, channel=channel, choice=choice)
            try:
                await deeds.execute(command, key=f"pages/{form_key(form)}/{kind}/{channel.value}")
            except Refused as refused:
                errors.append((field_name(kind, channel), refused.sentence))
        if errors:
            return await _page(context, visit, errors=errors)
        return RedirectResponse("/preferences?saved=true", status_code=303)

    @routes.post("/preferences/hours", response_class=HTMLResponse, summary="Form: quiet hours and digest")
    async def hours(request: Request) -> Response:
        visit = await _practitioner(context, request)
        form = await visit.form()
        entered = {name: field_of(form, name) for name, _ in TIMES} | {"digest": field_of(form, "digest")}
        errors = [
            (name, f"{words}: enter a time of day, for example 19:00")
            for name, words in TIMES
            if time_of(entered[name]) is None
        ]
        if entered["digest"] not in get_args(Digest):
            errors.append(("digest", "Choose on which days the digest comes"))
        if errors:
            return await _page(context, visit, errors=errors, entered=entered)
        command = ChooseQuietHours.model_validate({"worker_id": visit.person.person_id, **entered})
        await deeds.execute(command, key=f"pages/{form_key(form)}/hours")
        return RedirectResponse("/preferences?saved=true", status_code=303)


def kinds_of(pack: NotifyPack) -> list[str]:
    """Return the kinds of alert that people are told of, not shared inboxes or agencies; `*` comes first."""
    told = {rule.on for rule in pack.alerts if WORKERS.intersection(rule.to)}
    return [ALL_KINDS, *sorted(told)]


def rows_of(pack: NotifyPack, known: Arrangements, worker_id: str) -> list[PreferenceRow]:
    """Return the table of preferences."""
    return [
        PreferenceRow(
            kind,
            "Everything that is not chosen below" if kind == ALL_KINDS else subject_words(kind),
            pack.is_urgent(kind),
            tuple(_field(pack, known, worker_id, kind, channel) for channel in PERSONAL),
        )
        for kind in kinds_of(pack)
    ]


def left_open(pack: NotifyPack, known: Arrangements, worker_id: str, kind: str, channel: Channel) -> str:
    """Return what applies where no choice is made for a kind: a wider choice, else the pack's rule."""
    for wider in widening(kind)[1:]:
        choice = known.preferences.get((worker_id, wider, channel.value))
        if choice is not None:
            return f"as above: {CHOICES[choice]}"
    if kind == ALL_KINDS:
        return "as the council has it"
    ways = (
        pack.notifications.by_urgency[rule.urgency].channels if rule.channels is None else rule.channels
        for rule in pack.alerts
        if rule.on == kind and WORKERS.intersection(rule.to)
    )
    told = any(channel in channels for channels in ways)
    return f"as the council has it: {CHOICES['at_once' if told else 'off']}"


def changes(
    form: FormData, pack: NotifyPack, known: Arrangements, worker_id: str
) -> Iterator[tuple[str, Channel, Choice | None]]:
    """Yield the choices that differ from the present ones. Raises Forbidden for one that no page offers."""
    for kind in kinds_of(pack):
        for channel in PERSONAL:
            wanted = form.get(field_name(kind, channel))
            if wanted is None:
                continue
            if wanted != LEFT_OPEN and wanted not in CHOICES:
                raise Forbidden
            if wanted != (known.preferences.get((worker_id, kind, channel.value)) or LEFT_OPEN):
                yield kind, channel, cast("Choice | None", wanted or None)


def field_name(kind: str, channel: Channel) -> str:
    """Return the name, and the id, of a field of the table."""
    return f"{channel.value}-{kind.replace('*', 'all').replace(':', '-').replace('.', '-')}"


def time_of(entered: str) -> time | None:
    """Return a time of day as a browser sends it; None for what is none."""
    try:
        moment = time.fromisoformat(entered)
    except ValueError:
        return None
    return moment if moment.tzinfo is None else None


async def _practitioner(context: PageContext, request: Request) -> Visit:
    visit = await context.visit(request)
    if visit.person.kind != "practitioner":
        raise Forbidden
    return visit


async def _arrangements(context: PageContext) -> Arrangements:
    async with context.executor.engine.connect() as connection:
        return await preference_store.load(connection, None)


async def _page(
    context: PageContext,
    visit: Visit,
    *,
    saved: bool = False,
    errors: list[tuple[str, str]] | None = None,
    entered: dict[str, str] | None = None,
) -> Response:
    known = await _arrangements(context)
    worker = visit.person.person_id
    hours = known.quiet_hours.get(worker, context.pack.notifications.default_hours)
    return context.page(
        visit,
        "preferences.html",
        status=422 if errors else 200,
        rows=rows_of(context.pack, known, worker),
        channels=[(CHANNELS[each], each in context.channels) for each in PERSONAL],
        digests=DIGESTS,
        times=TIMES,
        hours=entered or _as_entered(hours),
        chosen_hours=worker in known.quiet_hours,
        saved=saved,
        errors=errors or [],
    )


def _as_entered(hours: QuietHours) -> dict[str, Any]:
    return {
        "quiet_from": f"{hours.quiet_from:%H:%M}",
        "quiet_until": f"{hours.quiet_until:%H:%M}",
        "digest_at": f"{hours.digest_at:%H:%M}",
        "digest": hours.digest,
    }


def _field(pack: NotifyPack, known: Arrangements, worker_id: str, kind: str, channel: Channel) -> Field:
    nothing = left_open(pack, known, worker_id, kind, channel)
    return Field(
        field_name(kind, channel),
        CHANNELS[channel],
        known.preferences.get((worker_id, kind, channel.value)) or LEFT_OPEN,
        ((LEFT_OPEN, sentence(nothing)), *((code, sentence(words)) for code, words in CHOICES.items())),
    )
