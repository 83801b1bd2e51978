"""`leadline audit`: recount what a running system holds, once or repeatedly."""

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Annotated

import typer
from prometheus_client import start_http_server

from services.cli.arguments import LAST_POSITION, Json, finite
from services.cli.audited import audited_stores
from services.cli.catalogue import ServiceName
from services.cli.output import counted, printable, show_json, show_rows
from services.cli.running import answered, current_settings, fail
from services.kernel.audit.checker import Scope
from services.kernel.audit.checker import audit as look_at
from services.kernel.audit.findings import ReportLine, exit_code
from services.kernel.base.clock import clock_of
from services.kernel.base.settings import Settings

OUTCOMES = ("clean", "findings", "could not look")
"""By exit code."""

Tell = Callable[[Sequence[ReportLine]], None]


def audit(
    service: Annotated[
        ServiceName | None, typer.Option(help="Only this service: its store, and what it sent and received.")
    ] = None,
    grace: Annotated[
        float,
        typer.Option(
            min=0,
            max=3600,
            callback=finite,
            help="Seconds for which an event or a deadline may be in transit.",
        ),
    ] = 60.0,
    since: Annotated[
        int | None,
        typer.Option(
            min=1, max=LAST_POSITION, help="Only from this position of the journal on; needs --service."
        ),
    ] = None,
    last: Annotated[
        int | None,
        typer.Option(min=1, max=LAST_POSITION, help="Only this many latest events of each journal."),
    ] = None,
    every: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=86_400,
            callback=finite,
            help="Audit again after this many seconds, until SIGTERM or Ctrl-C.",
        ),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="With --every: serve Prometheus metrics here; 0 takes a free port."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check that the stores agree with themselves and with each other: nothing lost, stuck or unwatched.

    Within each store it checks the journal, outbox, deadlines, aggregates, dead letters and requests, and
    whether a child falls through the net. Between stores it checks that each event that left a service has
    arrived at every service that handles it. It changes nothing and is safe in production: it reads in short,
    read-only transactions. Events in transit are checked again for up to --grace seconds before they count.

    Exit codes: 0 clean, 1 there are findings, 2 no findings but something could not be checked.
    With --every it is 0 when told to stop; the metrics `leadline_audit_*` hold the outcomes.

    Example: leadline audit
    """
    if since is not None and service is None:
        raise typer.BadParameter("a position belongs to one journal: add --service", param_hint="--since")
    if since is not None and last is not None:
        raise typer.BadParameter("give either --since or --last", param_hint="--last")
    if metrics_port is not None and every is None:
        raise typer.BadParameter("a single audit serves no metrics: add --every", param_hint="--metrics-port")
    settings = current_settings()
    scope = Scope(only=service, since=since, last=last)

    def tell(lines: Sequence[ReportLine]) -> None:
        if json:
            show_json(_document(lines, grace))
        else:
            _show(lines, all_lines=every is None)

    if every is None:
        lines = answered(_once(settings, scope, grace_seconds=grace))
        tell(lines)
        raise typer.Exit(exit_code(lines))
    with _metrics_at(metrics_port):
        answered(_repeat(settings, scope, tell, grace_seconds=grace, every_seconds=every))


async def _once(settings: Settings, scope: Scope, *, grace_seconds: float) -> list[ReportLine]:
    async with audited_stores(settings) as stores:
        return await look_at(stores, clock_of(settings), grace_seconds=grace_seconds, scope=scope)


async def _repeat(
    settings: Settings, scope: Scope, tell: Tell, *, grace_seconds: float, every_seconds: float
) -> None:
    """Audit repeatedly; return as soon as a signal asks for it, even in the middle of an audit."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    clock = clock_of(settings)
    async with audited_stores(settings) as stores:
        while not stop.is_set():
            auditing = asyncio.create_task(look_at(stores, clock, grace_seconds=grace_seconds, scope=scope))
            await asyncio.wait({auditing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not auditing.done():
                auditing.cancel()
                await asyncio.gather(auditing, return_exceptions=True)
                return
            tell(auditing.result())
            with suppress(TimeoutError):
                async with asyncio.timeout(every_seconds):
                    await stop.wait()


@contextmanager
def _metrics_at(port: int | None) -> Iterator[None]:
    """Serve the metrics inside the context; end the command when the port is taken."""
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port)
    except OSError as error:
        fail(f"Metrics cannot be served at port {port} ({type(error).__name__}): is it taken?", code=2)
    typer.echo(f"metrics: http://127.0.0.1:{server.server_port}/metrics", err=True)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _document(lines: Sequence[ReportLine], grace: float) -> dict[str, object]:
    return {
        "outcome": OUTCOMES[exit_code(lines)],
        "grace_seconds": grace,
        "checks": [asdict(line) for line in lines],
    }


def _show(lines: Sequence[ReportLine], *, all_lines: bool) -> None:
    """Print a table, what to do about each line that is not ok, and a summary."""
    wrong = [line for line in lines if line.outcome != "ok"]
    shown = lines if all_lines else wrong
    if shown:
        show_rows(
            ("outcome", "service", "check", "what was found"),
            [(line.outcome, line.service, line.check, line.words) for line in shown],
            title="Audit",
        )
    for line in wrong:
        typer.echo(f"-> {line.service}, {line.check}: {printable(line.advice)}")
        if line.examples:
            typer.echo(f"   for example {', '.join(line.examples)}")
    findings = sum(line.outcome == "finding" for line in lines)
    unseen = len(wrong) - findings
    typer.echo(f"{counted(findings, 'finding')}, {unseen} could not look, {counted(len(lines), 'check')}")
