"""`leadline journal`: read what a service has published, and publish it again."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict
from difflib import get_close_matches
from typing import Annotated
from uuid import UUID

import typer

from schemas.topics import published_by
from services.cli.arguments import LAST_POSITION, Limit, plain
from services.cli.catalogue import ServiceName
from services.cli.output import counted, london, more_rows, progress_bar, show_json, show_rows
from services.cli.queries import JournalLine, extent, list_journal, pending_up_to
from services.cli.running import answered, current_settings
from services.cli.stores import store_of
from services.kernel.base.settings import Settings
from services.kernel.postgres.connection import Engine
from services.kernel.store.journal import RefusedEvent, list_refused, requeue, send_again

PATIENCE_SECONDS = 10.0
"""A running relay publishes something within this time."""

LOOK_SECONDS = 0.1

app = typer.Typer(no_args_is_help=True, help="What a service has published: show it, or publish it again.")

ServiceArgument = Annotated[ServiceName, typer.Argument(help="Whose journal.")]


@app.command()
def show(
    service: ServiceArgument,
    subject: Annotated[
        UUID | None, typer.Option(metavar="ID", help="Only events of this referral, case or placement.")
    ] = None,
    child: Annotated[UUID | None, typer.Option(metavar="ID", help="Only events of this child.")] = None,
    wire_type: Annotated[
        str | None,
        typer.Option("--type", callback=plain, help="Only this type, for example referral.accepted.v1."),
    ] = None,
    limit: Limit = 50,
    after: Annotated[
        int, typer.Option(min=0, max=LAST_POSITION, metavar="POSITION", help="Begin after this one.")
    ] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, with each event's data.")] = False,
) -> None:
    """List the events that a service has published, in order. They hold ids and codes, no personal data.

    Example: leadline journal show assessment --child 7c9e6679-7425-40de-944b-e07fc1f90ae7
    """
    _check_type(wire_type, service)

    async def ask() -> list[JournalLine]:
        async with store_of(settings, service) as engine, engine.connect() as connection:
            return await list_journal(
                connection,
                subject=subject,
                child=child,
                wire_type=wire_type,
                limit=limit + 1,
                after=after,
            )

    settings = current_settings()
    found = answered(ask())
    lines = found[:limit]
    if json:
        show_json([asdict(line) | {"time": line.time.isoformat()} for line in lines])
    elif not lines:
        typer.echo("no events")
    else:
        show_rows(
            ("position", "time", "type", "no.", "subject", "child"),
            [
                (line.position, london(line.time), line.type, line.sequence, line.subject, line.child_id)
                for line in lines
            ],
            title=f"Journal of {service} (London time)",
        )
    if len(found) > limit:
        more_rows(after=lines[-1].position)


@app.command()
def replay(
    service: ServiceArgument,
    since: Annotated[
        int,
        typer.Option(
            min=0, max=LAST_POSITION, metavar="POSITION", help="Begin here. Default: at the first event."
        ),
    ] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Publish a service's journal on the bus again, whole or from a position on.

    This is harmless: every consumer's inbox drops events that it has handled before, so that only events
    which a consumer or the bus has lost have an effect. The service's worker does the publishing.

    Example: leadline journal replay referral --since 1200
    """
    settings = current_settings()
    count, last = answered(_extent(settings, service, since))
    if not count:
        typer.echo("no events")
        return
    if not yes:
        typer.echo(
            f"{counted(count, 'event')} of the {service} service will go on the bus again."
            " Consumers' inboxes drop events that they have handled."
        )
        typer.confirm("Publish them again?", abort=True)
    with progress_bar() as progress:
        task = progress.add_task("publishing", total=count)
        left = answered(
            _republish(
                settings,
                service,
                since=since,
                last=last,
                on_left=lambda left: progress.update(task, completed=max(0, count - left)),
            )
        )
    if left:
        typer.echo(
            f"{left} of {counted(count, 'event')} still in the outbox: nothing has left it for"
            f" {PATIENCE_SECONDS:g} seconds, so no relay runs. `leadline worker {service}` has one.",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo(f"{counted(count, 'event')} on the bus again")


@app.command()
def refused(
    service: ServiceArgument,
    limit: Limit = 50,
    after: Annotated[
        int, typer.Option(min=0, max=LAST_POSITION, metavar="POSITION", help="Begin after this one.")
    ] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the events that the broker refused. Later events of the same children wait behind them.

    Correct the cause, usually the topic's max.message.bytes; then run `leadline journal resend`.

    Example: leadline journal refused referral
    """

    async def ask() -> list[RefusedEvent]:
        async with store_of(settings, service) as engine, engine.connect() as connection:
            return await list_refused(connection, limit=limit + 1, after=after)

    settings = current_settings()
    found = answered(ask())
    events = found[:limit]
    if json:
        show_json([each._asdict() | {"refused_at": each.refused_at.isoformat()} for each in events])
    elif not events:
        typer.echo("no events: the broker has accepted all")
    else:
        show_rows(
            ("position", "refused", "type", "child", "reason", "bytes"),
            [
                (
                    event.position,
                    london(event.refused_at),
                    event.type,
                    event.child_id,
                    event.reason,
                    event.bytes,
                )
                for event in events
            ],
            title=f"Events of {service} that the broker refused (London time)",
        )
    if len(found) > limit:
        more_rows(after=events[-1].position)


@app.command()
def resend(
    service: ServiceArgument,
    position: Annotated[
        int, typer.Argument(min=1, max=LAST_POSITION, help="As `leadline journal refused` shows it.")
    ],
) -> None:
    """Make a service's relay retry an event that the broker refused, and those that wait behind it.

    Example: leadline journal resend referral 1204
    """

    async def ask() -> bool:
        async with store_of(settings, service) as engine, engine.begin() as connection:
            return await send_again(connection, position)

    settings = current_settings()
    if not answered(ask()):
        typer.echo(
            f"The broker has not refused {position}: `leadline journal refused {service}` lists what it did.",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo(f"{position} is being retried: check `leadline journal refused {service}` in a moment")


def _check_type(wire_type: str | None, service: ServiceName) -> None:
    known = published_by(service).types
    if wire_type is None or wire_type in known:
        return
    near = get_close_matches(wire_type, known, n=1, cutoff=0.8)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise typer.BadParameter(
        f"the {service} service publishes no {wire_type}.{hint} It publishes: {', '.join(sorted(known))}.",
        param_hint="--type",
    )


async def _extent(settings: Settings, service: ServiceName, since: int) -> tuple[int, int]:
    async with store_of(settings, service) as engine, engine.connect() as connection:
        return await extent(connection, since=since)


async def _republish(
    settings: Settings, service: ServiceName, *, since: int, last: int, on_left: Callable[[int], None]
) -> int:
    """Requeue the journal and watch the outbox; return how many events are left once nothing moves."""
    async with store_of(settings, service) as engine:
        async with engine.begin() as connection:
            await requeue(connection, since=since)
        left = await _left(engine, last)
        moved_at = time.monotonic()
        while left and time.monotonic() - moved_at < PATIENCE_SECONDS:
            await asyncio.sleep(LOOK_SECONDS)
            before, left = left, await _left(engine, last)
            if left < before:
                moved_at = time.monotonic()
            on_left(left)
        return left


async def _left(engine: Engine, last: int) -> int:
    async with engine.connect() as connection:
        return await pending_up_to(connection, last)
