"""`leadline rejoin`: bring a service's restored or new store back in step with the others."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from services.assessment.recall import CaseRecall
from services.cli.catalogue import ServiceName, service_of
from services.cli.output import counted, printable, show_json, show_rows
from services.cli.running import answered, current_settings
from services.cli.stores import store_of
from services.kernel.base.clock import clock_of
from services.kernel.base.settings import Settings
from services.kernel.postgres.connection import Engine
from services.kernel.postgres.database import open_store
from services.kernel.rejoin.recall import Recall
from services.kernel.rejoin.rejoining import APPLICATION, Rejoin, RejoinReport
from services.notify.recall import NotifyRecall
from services.placement.recall import PlacementRecall
from services.referral.recall import ReferralRecall

RECALLS: Mapping[ServiceName, Callable[[Any], Recall[Any]]] = {
    ServiceName.REFERRAL: ReferralRecall,
    ServiceName.ASSESSMENT: CaseRecall,
    ServiceName.PLACEMENT: PlacementRecall,
    ServiceName.NOTIFY: NotifyRecall,
}

EXAMPLES = 5
"""Ids that a line shows; --json shows them all."""

CONNECTIONS = 2


def rejoin(
    service: Annotated[ServiceName, typer.Argument(help="Whose store was restored, or is new.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON, with every id.")] = False,
) -> None:
    """Let a service's restored or empty store catch up from the bus, before its worker starts again.

    The store takes back its own events as they were published. It recognises messages that it had handled
    and does not decide them twice; messages that it had not handled it decides now. Stop the service's
    workers and the web process first. You may interrupt the command and run it again.
    docs/backup-and-restore.md has the whole procedure.

    Exit codes: 0 everything is back; 1 some things could not be brought back and are listed, or nothing
    could be done and the command says why.

    Example: leadline rejoin assessment
    """
    report = answered(_rejoin(current_settings(), service))
    if json:
        show_json(_document(service, report))
    else:
        _show(report)
    if report.losses:
        raise typer.Exit(1)


async def _rejoin(settings: Settings, name: ServiceName) -> RejoinReport:
    service = service_of(name, settings)
    engine = Engine(settings.database_of(name), size=CONNECTIONS, application=APPLICATION)
    async with store_of(settings, name) as store:
        try:
            await open_store(store, name, patience_seconds=0)  # a person is waiting: fail at once
            recall = RECALLS[name](service.store)
            return await Rejoin(service, recall, settings, engine, clock_of(settings)).run()
        finally:
            await engine.dispose()


def _document(service: ServiceName, report: RejoinReport) -> dict[str, object]:
    return {
        "service": service.value,
        "taken_back": dict(sorted(report.taken_back.items())),
        "learned": report.learned,
        "delivered": report.delivered,
        "losses": [{"what": loss.what, "count": len(loss.ids), "ids": loss.ids} for loss in report.losses],
    }


def _show(report: RejoinReport) -> None:
    if report.taken_back:
        rows = sorted(report.taken_back.items())
        show_rows(("event", "taken back"), rows, title="Own events taken back from the bus")
    taken = counted(sum(report.taken_back.values()), "event")
    typer.echo(f"{taken} taken back, {report.learned} messages known again, {report.delivered} delivered now")
    for loss in report.losses:
        shown = ", ".join(map(printable, loss.ids[:EXAMPLES]))
        more = ", ..." if len(loss.ids) > EXAMPLES else ""
        typer.echo(f"NOT BACK: {loss.what}: {len(loss.ids)} ({shown}{more})")
