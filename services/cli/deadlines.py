"""`leadline deadlines`: what must happen next, across all services."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from services.cli.arguments import After, Json, Limit, ServiceOption, plain
from services.cli.catalogue import SERVICES
from services.cli.output import counted, key_of, london, more_rows, show_json, show_rows
from services.cli.running import answered, current_settings, fail, now_of, refuse
from services.cli.stores import ask_each
from services.kernel.base.settings import Settings
from services.kernel.pack.model import Deadlines, Pack, PackError, load_pack
from services.kernel.postgres.connection import Connection
from services.kernel.store import deadlines
from services.kernel.store.cursors import ListPart
from services.kernel.store.deadlines import OpenDeadline

HOUR, DAY = 3600, 86400


class OpenState(StrEnum):
    """The states of a deadline that is neither met nor waived."""

    SCHEDULED = "scheduled"
    DUE_SOON = "due_soon"
    DUE = "due"
    OVERDUE = "overdue"
    PAUSED = "paused"


def list_deadlines(
    service: ServiceOption = None,
    state: Annotated[OpenState | None, typer.Option(help="Only this state.")] = None,
    kind: Annotated[
        str | None, typer.Option(callback=plain, help="Only this kind, as the policy pack names it.")
    ] = None,
    limit: Limit = 50,
    after: After = None,
    json: Json = False,
) -> None:
    """List open deadlines of all services, earliest first, in London time.

    Example: leadline deadlines --state overdue
    """
    services = [service] if service else list(SERVICES)
    cursors = deadlines.OPEN.cursors({"of": services, "state": state, "kind": kind})
    begin = None if after is None else key_of(after, cursors)

    async def ask(connection: Connection) -> ListPart[OpenDeadline]:
        return await deadlines.list_open(connection, state=state, kind=kind, limit=limit, after=begin)

    settings = current_settings()
    answers = answered(ask_each(settings, services, ask))
    # A deadline's id is unique across services, so they share one order.
    found = sorted(
        (key, name, deadline)
        for name, part in answers.items()
        for key, deadline in zip(part.keys, part.items, strict=True)
    )
    if kind is not None and not found:
        _refuse_unknown(kind, settings)
    shown = [(name, deadline) for _, name, deadline in found[:limit]]
    if json:
        show_json(
            [
                {
                    "service": name.value,
                    "kind": deadline.kind,
                    "state": deadline.state,
                    "due_at": deadline.due_at.isoformat(),
                    "about": str(deadline.about),
                }
                for name, deadline in shown
            ]
        )
    elif not shown:
        typer.echo("no open deadlines")
    else:
        now = now_of(settings)
        show_rows(
            ("due at", "", "state", "kind", "service", "about"),
            [
                (
                    london(deadline.due_at),
                    how_far(deadline.due_at, now),
                    "OVERDUE" if deadline.state == OpenState.OVERDUE else deadline.state,
                    deadline.kind,
                    name,
                    deadline.about,
                )
                for name, deadline in shown
            ],
            title="Open deadlines (London time)",
        )
    if len(found) > limit or any(part.following for part in answers.values()):
        more_rows(after=cursors.write(found[limit - 1][0]))


def _refuse_unknown(kind: str, settings: Settings) -> None:
    """End the command if the pack does not name the kind. A kind it no longer names may still be open."""
    try:
        known = load_pack(settings.policy, _Kinds).deadlines.by_kind
    except PackError as error:
        fail(str(error), code=2)
    if kind not in known:
        refuse("kind of deadline", kind, known)


class _Kinds(Pack):
    """What this command reads of a policy pack."""

    deadlines: Deadlines


def how_far(moment: datetime, now: datetime) -> str:
    """Return how far away a moment is, in the largest whole unit: `in 3 days`, `2 hours ago`."""
    seconds = (moment - now).total_seconds()
    size = abs(seconds)
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (60, "minute")):
        if size >= unit:
            words = counted(int(size // unit), name)
            return f"in {words}" if seconds > 0 else f"{words} ago"
    return "now"
