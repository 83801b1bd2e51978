"""`leadline dead-letters`: inspect events set aside, handle them again, or give them up."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from getpass import getuser
from heapq import merge
from typing import Annotated, Any, cast
from uuid import UUID

import typer

from schemas.headers import REQUIRED, REQUIRED_OF_SERVICES
from services.cli.arguments import After, Json, Limit, ServiceOption, plain
from services.cli.catalogue import SERVICES, ServiceName, service_of
from services.cli.output import (
    key_of,
    london,
    more_rows,
    printable,
    progress_bar,
    show_json,
    show_line,
    show_rows,
)
from services.cli.queries import waiting
from services.cli.running import answered, current_settings
from services.cli.stores import ask_each, store_of
from services.kernel.base.clock import clock_of
from services.kernel.base.settings import Settings
from services.kernel.messages.faults import Refused
from services.kernel.postgres.connection import Connection, Engine
from services.kernel.processing.replay import Replay, Settled
from services.kernel.processing.service import Service
from services.kernel.store import dead_letters
from services.kernel.store.cursors import Cursors
from services.kernel.store.dead_letters import Letter, State

OUR_HEADERS = frozenset({*REQUIRED, *REQUIRED_OF_SERVICES, "ce_traceparent"})
"""Headers of the contract; any other came from outside and may hold anything."""

PAGE = 500
NEVER = datetime.min.replace(tzinfo=UTC)

app = typer.Typer(no_args_is_help=True, help="Events set aside: list, show, replay, discard.")


class LetterState(StrEnum):
    """The states of a dead letter."""

    PARKED = "parked"
    WAITING = "waiting"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


def os_user() -> str:
    """Return the user signed in to this machine, or `operator` where the system has no name for them."""
    try:
        return getuser()
    except (OSError, KeyError):
        return "operator"


LetterArgument = Annotated[UUID, typer.Argument(metavar="ID", help="The dead letter's id, from `list`.")]
By = Annotated[
    str,
    typer.Option("--by", callback=plain, help="Who decides this; recorded with it.", show_default="OS user"),
]


@app.command("list")
def list_letters(
    service: ServiceOption = None,
    state: Annotated[
        list[LetterState] | None,
        typer.Option("--state", help="Only this state; may be repeated. Default: parked and waiting."),
    ] = None,
    limit: Limit = 50,
    after: After = None,
    json: Json = False,
) -> None:
    """List events set aside, oldest first: parked ones, and those that wait behind them.

    Example: leadline dead-letters list --service assessment
    """
    wanted = state or [LetterState.PARKED, LetterState.WAITING]
    states: list[State] = [one.value for one in wanted]
    services = [service] if service else list(SERVICES)
    cursors = Cursors.of("dead letters", ["integer"] * len(services), {"of": services, "in": sorted(states)})
    # A place for each service: how far the earlier lists showed its letters, in order of arrival.
    places = [0] * len(services) if after is None else cast("tuple[int, ...]", key_of(after, cursors))
    seen = dict(zip(services, places, strict=True))
    answers = answered(_listed(current_settings(), seen, states, limit=limit + 1))
    found = list(_merged(answers))
    shown = found[:limit]
    if json:
        show_json([_facts(name, letter) for name, letter in shown])
    elif not shown:
        typer.echo("no dead letters")
    else:
        show_rows(
            ("id", "service", "state", "type", "reason", "attempts", "parked at"),
            [
                (
                    letter.dead_letter_id,
                    name,
                    letter.state,
                    letter.type or "unknown",
                    letter.reason,
                    letter.attempts,
                    london(letter.parked_at),
                )
                for name, letter in shown
            ],
            title="Dead letters (London time)",
        )
    if len(found) > limit:
        seen |= {name: letter.arrived for name, letter in shown}
        more_rows(after=cursors.write(tuple(seen.values())))


@app.command()
def show(
    letter: LetterArgument,
    service: ServiceOption = None,
    value: Annotated[
        bool,
        typer.Option(
            "--value", help="Also show what the sender wrote: value, key and foreign headers as received."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Show one dead letter: where it came from, why it was set aside, and how often it was tried.

    Without --value it hides whatever a partner agency may have filled with personal data by mistake.

    Example: leadline dead-letters show 0b1f6c1e-8f7c-5d0a-9f52-6a1f0d0c7e11
    """
    name, found, behind = answered(_shown(current_settings(), letter, service))
    facts = _facts(name, found) | {"waiting_behind": behind, "traceback": found.traceback}
    facts |= {"key": _key(found, whole=value), "headers": _headers(found, whole=value)}
    if value:
        facts["value"] = _text(found.record.value)
    if json:
        show_json(facts)
        return
    for label, fact in facts.items():
        if label in {"headers", "traceback", "value"}:
            continue
        typer.echo(f"{label.replace('_', ' '):<15} {printable(str(fact))}")
    typer.echo("headers")
    for header, text in facts["headers"]:
        typer.echo(f"  {printable(header)}: {printable(text)}")
    if found.traceback:
        typer.echo(f"traceback\n{printable(found.traceback).rstrip()}")
    if value:
        typer.echo(f"value\n{printable(facts['value'])}")
    else:
        typer.echo("The value is hidden: a partner may have put personal data there. --value shows it.")


@app.command()
def replay(
    letter: Annotated[
        UUID | None, typer.Argument(metavar="[ID]", help="The dead letter's id, from `list`.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every parked event, and those that wait with none parked before.")
    ] = False,
    service: ServiceOption = None,
    by: By = "",
) -> None:
    """Handle a parked event again and, if that works, the events that wait behind it, in order.

    An event that fails again stays parked, later events of its child keep waiting, and the exit code is 1. A
    waiting event that no longer has a parked one before it is handled together with those behind it.

    Example: leadline dead-letters replay --all --service assessment
    """
    if (letter is None) is not every:
        raise typer.BadParameter("give either an ID or --all")
    settings, by = current_settings(), by or os_user()
    if letter is not None:
        settled = answered(_replay_one(settings, letter, service, by=by))
        for one in settled:
            _tell(one)
        failed = sum(one.outcome == "failed again" for one in settled)
    else:
        tried, failed, alone = answered(_replay_all(settings, [service] if service else SERVICES, by=by))
        typer.echo(f"{tried} tried, {failed} failed again" if tried else "no dead letters")
        if alone:
            typer.echo(f"{alone} left alone: an earlier event of the same case failed")
    if failed:
        typer.echo("Events that failed stay parked; those behind them keep waiting.", err=True)
        raise typer.Exit(1)


@app.command()
def discard(
    letter: LetterArgument,
    service: ServiceOption = None,
    by: By = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Give a parked event up for good and release the events that wait behind it, in order.

    Example: leadline dead-letters discard 0b1f6c1e-8f7c-5d0a-9f52-6a1f0d0c7e11 --by "A. Operator"
    """
    settings = current_settings()
    name, found, behind = answered(_shown(settings, letter, service))
    if not yes:
        typer.echo(f"{name}: {found.type or 'unknown type'}, {found.reason}: {printable(found.words)}")
        typer.echo(f"It will never be handled. The {behind} waiting behind it will be handled now.")
        typer.confirm("Discard it?", abort=True)
    settled = answered(_discard(settings, name, letter, by=by or os_user()))
    for one in settled:
        _tell(one)
    if any(one.outcome == "failed again" for one in settled):
        raise typer.Exit(1)


async def _listed(
    settings: Settings, seen: Mapping[ServiceName, int], states: Sequence[State], *, limit: int
) -> dict[ServiceName, list[Letter]]:
    """Return each service's letters that arrived after its place in `seen`."""
    answers: dict[ServiceName, list[Letter]] = {}
    for name, place in seen.items():
        ask = partial(dead_letters.list_letters, states=states, limit=limit, after=place)
        answers |= await ask_each(settings, [name], ask)
    return answers


def _merged(answers: Mapping[ServiceName, Sequence[Letter]]) -> Iterator[tuple[ServiceName, Letter]]:
    """Yield the letters of all services, oldest first; those of one service in order of arrival."""
    by_service = [[(name, letter) for letter in letters] for name, letters in answers.items()]
    return merge(*by_service, key=lambda one: one[1].parked_at or NEVER)


async def _shown(
    settings: Settings, letter_id: UUID, service: ServiceName | None
) -> tuple[ServiceName, Letter, int]:
    """Return the service that has a letter, the letter, and how many events wait behind it."""

    async def ask(connection: Connection) -> tuple[Letter, int] | None:
        letter = await dead_letters.get(connection, letter_id)
        return None if letter is None else (letter, await waiting(connection, letter.record.key))

    for name in [service] if service else SERVICES:
        for answer in (await ask_each(settings, [name], ask)).values():
            if answer is not None:
                return name, *answer
    where = f"the {service} service" if service else "any service"
    raise Refused(f"There is no dead letter {letter_id} in {where}.", missing=True)


async def _replay_one(
    settings: Settings, letter_id: UUID, service: ServiceName | None, *, by: str
) -> list[Settled]:
    name, _, _ = await _shown(settings, letter_id, service)
    async with store_of(settings, name) as engine:
        return await _settling(service_of(name, settings), engine, settings).replay(letter_id, by=by)


async def _discard(settings: Settings, name: ServiceName, letter_id: UUID, *, by: str) -> list[Settled]:
    async with store_of(settings, name) as engine:
        return await _settling(service_of(name, settings), engine, settings).discard(letter_id, by=by)


async def _replay_all(
    settings: Settings, services: Sequence[ServiceName], *, by: str
) -> tuple[int, int, int]:
    """Replay every letter that can be, in order; return how many were tried, failed and left alone.

    After a failure the later letters of the same case are left alone: its state must not run ahead.
    """
    heads = await ask_each(settings, services, _heads)
    outcomes: Counter[str] = Counter()
    with progress_bar() as progress:
        task = progress.add_task("replaying", total=sum(map(len, heads.values())))
        for name, letters in heads.items():
            if not letters:
                continue
            service = service_of(name, settings)
            stuck: set[bytes | None] = set()
            async with store_of(settings, name) as engine:
                settling = _settling(service, engine, settings)
                for letter in letters:
                    progress.advance(task)
                    key = letter.record.key
                    if key is not None and key in stuck and letter.record.topic not in service.lets_pass:
                        outcomes["left alone"] += 1
                        continue
                    for settled in await _again(settling, letter, by=by):
                        _tell(settled)
                        outcomes[settled.outcome] += 1
                        if settled.outcome == "failed again":
                            stuck.add(key)
    return outcomes["replayed"] + outcomes["failed again"], outcomes["failed again"], outcomes["left alone"]


async def _again(settling: Replay[Any], letter: Letter, *, by: str) -> list[Settled]:
    """Replay one letter of a list; return nothing if it has been settled since it was listed."""
    try:
        return await settling.replay(letter.dead_letter_id, by=by)
    except Refused:
        return []


async def _heads(connection: Connection) -> list[Letter]:
    letters: list[Letter] = []
    while True:
        page = await dead_letters.list_heads(
            connection, limit=PAGE, after=letters[-1].arrived if letters else 0
        )
        letters.extend(page)
        if len(page) < PAGE:
            return letters


def _settling(service: Service[Any], engine: Engine, settings: Settings) -> Replay[Any]:
    return Replay(service, engine, clock_of(settings), calendar=service.calendar)


def _tell(settled: Settled) -> None:
    letter = settled.letter
    line = [f"{settled.outcome:<12}", str(letter.dead_letter_id), letter.type or "unknown", _place(letter)]
    show_line(*line, *([settled.words] if settled.words else []))


def _place(letter: Letter) -> str:
    return f"{letter.record.topic}, partition {letter.record.partition}, offset {letter.record.offset}"


def _facts(name: ServiceName, letter: Letter) -> dict[str, Any]:
    """Return the facts about a letter that show nothing a sender wrote."""
    return {
        "id": str(letter.dead_letter_id),
        "service": name.value,
        "state": letter.state,
        "type": letter.type,
        "topic": letter.record.topic,
        "partition": letter.record.partition,
        "offset": letter.record.offset,
        "reason": letter.reason,
        "words": letter.words,
        "attempts": letter.attempts,
        "parked_at": None if letter.parked_at is None else letter.parked_at.isoformat(),
    }


def _key(letter: Letter, *, whole: bool) -> str | None:
    """Return the key. By contract it is a child's id; anything else is hidden unless `whole`."""
    key = letter.record.key
    if key is None:
        return None
    try:
        return str(UUID(key.decode()))
    except ValueError:
        return _text(key) if whole else f"not an id, {len(key)} bytes"


def _headers(letter: Letter, *, whole: bool) -> list[tuple[str, str]]:
    """Return the headers; only the size of those outside the contract, unless `whole`."""
    return [
        (name, _text(value) if whole or name in OUR_HEADERS else f"{len(value or b'')} bytes")
        for name, value in letter.record.headers
    ]


def _text(raw: bytes | None) -> str:
    return "" if raw is None else raw.decode(errors="backslashreplace")
