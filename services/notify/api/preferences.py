"""The HTTP API of what people arrange: preferences, quiet hours, absences, key workers."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Response

from schemas.events import Code, Event, Moment
from schemas.events.codes import Channel
from services.kernel.base.examples import example
from services.kernel.processing.commands import CommandExecutor
from services.kernel.processing.service import Command
from services.kernel.web.answers import Shown, kept
from services.kernel.web.api import TO_COMMANDS, IdempotencyKey, problems
from services.notify.alerts.model import AssignKeyWorker
from services.notify.book import NotifyBook
from services.notify.handlers import check_practitioner
from services.notify.preferences.hours import TimeOfDay
from services.notify.preferences.model import (
    Choice,
    ChoosePreference,
    ChooseQuietHours,
    ChosenKind,
    DeclareAbsence,
    Digest,
    EndAbsence,
)
from services.notify.store import preferences as preference_store
from services.notify.store.batch import NotifyStore

QUIET_HOURS: Mapping[str, Any] = {
    "quiet_from": "19:00:00",
    "quiet_until": "08:00:00",
    "digest": "working_day",
    "digest_at": "08:30:00",
}
PREFERENCE: Mapping[str, Any] = {"kind": "deadline.due_soon:*", "channel": "email", "choice": "digest"}
ABSENCE: Mapping[str, Any] = {
    "delegation_id": "4a7d0c92-8e15-5b3f-a6c8-9d2e1f7b5046",
    "worker_id": "sw-014",
    "to_id": "sw-021",
    "starts_at": "2026-08-03T08:00:00Z",
    "ends_at": "2026-08-17T08:00:00Z",
}

WorkerId = Annotated[Code, Path(description="Whose arrangements.")]


class Preference(Command):
    """How alerts of a kind reach somebody on a channel; `choice` null: as the council has it."""

    model_config = example(PREFERENCE)

    kind: ChosenKind
    channel: Channel
    choice: Choice | None


class QuietHoursChosen(Command):
    """London times of day."""

    model_config = example(QUIET_HOURS)

    quiet_from: TimeOfDay
    quiet_until: TimeOfDay
    digest: Digest
    digest_at: TimeOfDay


class Absence(Command):
    """From when to when somebody else answers; without an end for good."""

    model_config = example(
        {
            "to_id": "sw-021",
            "starts_at": "2026-08-03T08:00:00Z",
            "ends_at": "2026-08-17T08:00:00Z",
            "declared_by": "sw-014",
        }
    )

    to_id: Code | None = None
    starts_at: Moment
    ends_at: Moment | None = None
    declared_by: Code


class ChosenKeyWorker(Command):
    """Who is the child's key worker from now on; null: nobody."""

    model_config = example({"key_worker_id": "kw-007", "assigned_by": "sw-014"})

    key_worker_id: Code | None
    assigned_by: Code


class ShownQuietHours(Shown):
    """Somebody's quiet hours, and the time of their digest. London times of day."""

    model_config = example(QUIET_HOURS)

    quiet_from: time
    quiet_until: time
    digest: Digest
    digest_at: time


class ShownAbsence(Shown):
    """From when to when somebody else answers; `ends_at` null: for good. `to_id` null: the duty inbox."""

    model_config = example(ABSENCE)

    delegation_id: UUID
    worker_id: str
    to_id: str | None
    starts_at: datetime
    ends_at: datetime | None


class ShownPreference(Shown):
    """How alerts of a kind reach somebody on a channel."""

    model_config = example(PREFERENCE)

    kind: str
    channel: Channel
    choice: Choice


class ShownArrangements(Shown):
    """What somebody has arranged."""

    model_config = example(
        {
            "worker_id": "sw-014",
            "preferences": [PREFERENCE],
            "quiet_hours": QUIET_HOURS,
            "absences": [ABSENCE],
        }
    )

    worker_id: str
    preferences: tuple[ShownPreference, ...]
    quiet_hours: ShownQuietHours | None
    absences: tuple[ShownAbsence, ...]


class Done(Shown):
    """What has happened, as the wire types of its events; nothing where it was so already."""

    model_config = example({"events": ["key_worker.assigned.v1"]})

    events: tuple[str, ...]


def add(routes: APIRouter, executor: CommandExecutor[NotifyBook, NotifyStore]) -> None:
    """Add the routes."""

    async def done(command: Command, key: str) -> Response:
        return kept(await executor.execute(command, key=key, respond=_done))

    @routes.get(
        "/workers/{worker_id}/arrangements", responses=problems(404), summary="What somebody has arranged"
    )
    async def arranged(worker_id: WorkerId) -> ShownArrangements:
        check_practitioner(worker_id, executor.service.store.pack)
        async with executor.engine.connect() as connection:
            known = await preference_store.load(connection, None)
        hours = known.quiet_hours.get(worker_id)
        return ShownArrangements(
            worker_id=worker_id,
            preferences=ShownPreference.each(
                {"kind": kind, "channel": channel, "choice": choice}
                for (worker, kind, channel), choice in sorted(known.preferences.items())
                if worker == worker_id
            ),
            quiet_hours=None if hours is None else ShownQuietHours.model_validate(hours),
            absences=ShownAbsence.each(known.delegations.get(worker_id, ())),
        )

    @routes.post(
        "/workers/{worker_id}/preferences",
        response_model=Done,
        responses=TO_COMMANDS,
        summary="Choose how alerts of a kind come",
    )
    async def prefer(worker_id: WorkerId, asked: Preference, key: IdempotencyKey) -> Response:
        """What is urgent can be neither switched off nor put into a digest."""
        command = ChoosePreference(
            worker_id=worker_id, kind=asked.kind, channel=asked.channel, choice=asked.choice
        )
        return await done(command, key)

    @routes.post(
        "/workers/{worker_id}/quiet-hours",
        response_model=Done,
        responses=TO_COMMANDS,
        summary="Choose quiet hours and the digest's time",
    )
    async def be_quiet(worker_id: WorkerId, asked: QuietHoursChosen, key: IdempotencyKey) -> Response:
        return await done(ChooseQuietHours(worker_id=worker_id, **dict(asked)), key)

    @routes.post(
        "/workers/{worker_id}/absences",
        response_model=Done,
        responses=TO_COMMANDS,
        summary="Say that somebody is away, or has left",
    )
    async def be_away(worker_id: WorkerId, asked: Absence, key: IdempotencyKey) -> Response:
        """Open alerts go to the stand-in when it begins; without a stand-in to the duty inbox."""
        return await done(DeclareAbsence(worker_id=worker_id, **dict(asked)), key)

    @routes.post(
        "/workers/{worker_id}/absences/{delegation_id}/end",
        response_model=Done,
        responses=TO_COMMANDS,
        summary="Say that somebody is back",
    )
    async def be_back(worker_id: WorkerId, delegation_id: UUID, key: IdempotencyKey) -> Response:
        return await done(EndAbsence(worker_id=worker_id, delegation_id=delegation_id), key)

    @routes.post(
        "/children/{child_id}/key-worker",
        response_model=Done,
        responses=TO_COMMANDS,
        summary="Give a child a key worker",
    )
    async def assign(child_id: UUID, asked: ChosenKeyWorker, key: IdempotencyKey) -> Response:
        return await done(AssignKeyWorker(child_id=child_id, **dict(asked)), key)


def _done(_book: NotifyBook, events: Sequence[Event]) -> Done:
    return Done(events=tuple(event.wire_type for event in events))
