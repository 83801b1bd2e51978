"""The HTTP API of what people arrange: preferences, quiet hours, absences, key workers."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic_core import to_jsonable_python

from schemas.events import Code, Event, Moment
from schemas.events.codes import Channel
from services.kernel.processing.commands import CommandExecutor
from services.kernel.processing.service import Command
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

WorkerId = Annotated[Code, Path(description="Whose arrangements.")]


class Preference(Command):
    """How alerts of a kind reach somebody on a channel; `choice` null: as the council has it."""

    kind: ChosenKind
    channel: Channel
    choice: Choice | None


class QuietHoursChosen(Command):
    """London times of day."""

    quiet_from: TimeOfDay
    quiet_until: TimeOfDay
    digest: Digest
    digest_at: TimeOfDay


class Absence(Command):
    """From when to when somebody else answers; without an end for good."""

    to_id: Code | None = None
    starts_at: Moment
    ends_at: Moment | None = None
    declared_by: Code


class ChosenKeyWorker(Command):
    """Who is the child's key worker from now on; null: nobody."""

    key_worker_id: Code | None
    assigned_by: Code


def add(routes: APIRouter, executor: CommandExecutor[NotifyBook, NotifyStore]) -> None:
    """Add the routes."""

    async def done(command: Command, key: str) -> dict[str, Any]:
        return await executor.execute(command, key=key, respond=_done)

    @routes.get(
        "/workers/{worker_id}/arrangements", responses=problems(404), summary="What somebody has arranged"
    )
    async def arranged(worker_id: WorkerId) -> dict[str, Any]:
        check_practitioner(worker_id, executor.service.store.pack)
        async with executor.engine.connect() as connection:
            known = await preference_store.load(connection, None)
        hours = known.quiet_hours.get(worker_id)
        shown: dict[str, Any] = to_jsonable_python(
            {
                "worker_id": worker_id,
                "preferences": [
                    {"kind": kind, "channel": channel, "choice": choice}
                    for (worker, kind, channel), choice in sorted(known.preferences.items())
                    if worker == worker_id
                ],
                "quiet_hours": None if hours is None else asdict(hours),
                "absences": [asdict(each) for each in known.delegations.get(worker_id, ())],
            }
        )
        return shown

    @routes.post(
        "/workers/{worker_id}/preferences", responses=TO_COMMANDS, summary="Choose how alerts of a kind come"
    )
    async def prefer(worker_id: WorkerId, asked: Preference, key: IdempotencyKey) -> dict[str, Any]:
        """What is urgent can be neither switched off nor put into a digest."""
        command = ChoosePreference(
            worker_id=worker_id, kind=asked.kind, channel=asked.channel, choice=asked.choice
        )
        return await done(command, key)

    @routes.post(
        "/workers/{worker_id}/quiet-hours",
        responses=TO_COMMANDS,
        summary="Choose quiet hours and the digest's time",
    )
    async def be_quiet(worker_id: WorkerId, asked: QuietHoursChosen, key: IdempotencyKey) -> dict[str, Any]:
        return await done(ChooseQuietHours(worker_id=worker_id, **dict(asked)), key)

    @routes.post(
        "/workers/{worker_id}/absences",
        responses=TO_COMMANDS,
        summary="Say that somebody is away, or has left",
    )
    async def be_away(worker_id: WorkerId, asked: Absence, key: IdempotencyKey) -> dict[str, Any]:
        """Open alerts go to whoever stands in when it begins; without a stand-in to the duty inbox."""
        return await done(DeclareAbsence(worker_id=worker_id, **dict(asked)), key)

    @routes.post(
        "/workers/{worker_id}/absences/{delegation_id}/end",
        responses=TO_COMMANDS,
        summary="Say that somebody is back",
    )
    async def be_back(worker_id: WorkerId, delegation_id: UUID, key: IdempotencyKey) -> dict[str, Any]:
        return await done(EndAbsence(worker_id=worker_id, delegation_id=delegation_id), key)

    @routes.post(
        "/children/{child_id}/key-worker", responses=TO_COMMANDS, summary="Give a child a key worker"
    )
    async def assign(child_id: UUID, asked: ChosenKeyWorker, key: IdempotencyKey) -> dict[str, Any]:
        return await done(AssignKeyWorker(child_id=child_id, **dict(asked)), key)


def _done(_book: NotifyBook, events: Sequence[Event]) -> dict[str, Any]:
    return {"events": [event.wire_type for event in events]}
