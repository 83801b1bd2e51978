"""`leadline import-ssda903`: import a council's statutory return on looked-after children."""

import csv
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from deploy.embedded.errors import EngineError
from services.cli.arguments import plain
from services.cli.catalogue import ServiceName
from services.cli.output import counted, printable, progress_bar, show_json, show_rows
from services.cli.running import VAR, Unable, fail, find_settings, now_of, quiet_clients, refuse
from services.kernel.base.environment import WrongSettings, read_settings
from services.kernel.base.settings import Settings
from services.kernel.pack.model import Pack, PackError, load_pack
from services.placement.ssda903.reading import ReturnsUnreadable, read_returns
from services.placement.ssda903.report import ImportReport

SHOWN = 50
SUFFIXES = (".csv", ".json")


def import_ssda903(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Directory with the return as CSV files: 2026-header.csv, 2026-episodes.csv,"
            " 2026-reviews.csv and 2026-missing.csv, or names like SSDA903_2026_episodes.csv.",
        ),
    ],
    authority: Annotated[
        str | None,
        typer.Option(metavar="CODE", callback=plain, help="The council's code. Default: the policy pack's."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write every refused row and file to a .csv, or the whole report to a .json.",
        ),
    ] = None,
) -> None:
    """Import the statutory return on looked-after children (SSDA903): one year or several.

    Rows with mistakes are refused with file, line and reason; the others are imported. A file that looks like
    part of the return but cannot be read (a workbook, XML, a column missing) is named, with what to do about
    it. You may run the import again at any time: the same rows change nothing. If no system runs, the command
    starts one for the duration.

    Exit codes: 0 every file of the return was read, though rows may have been refused; 1 a file was left out,
    two files are the same part, no row was taken, or not every event is handled yet; 2 wrong usage, or no
    system to speak to.

    Example: leadline import-ssda903 returns/ --report refused.csv
    """
    if report is not None and (report.suffix.lower() not in SUFFIXES or not report.parent.is_dir()):
        raise typer.BadParameter(
            "name a .csv or .json file in a directory that exists", param_hint="--report"
        )
    try:
        read_returns(directory)  # before anything is started
    except ReturnsUnreadable as unreadable:
        fail(str(unreadable))
    with _system() as settings:
        outcome = _import(directory, settings, authority)
    if report is not None:
        _write(outcome, report)
    if as_json:
        show_json(outcome.as_dict())
    else:
        _show(outcome, report)
    if problems := list(_problems(outcome)):
        fail(" ".join(problems))


@contextmanager
def _system() -> Iterator[Settings]:
    """Yield the settings of the running system, or of one that is started for this block."""
    with ExitStack() as stack:
        try:
            settings = find_settings()
            if settings is None:
                settings = _started(stack)
            elif settings.clock_file is not None:
                typer.echo("Time is simulated here: what you import into a demo is lost with it.", err=True)
            now_of(settings)
        except (Unable, WrongSettings) as unable:
            fail(str(unable), code=2)
        except EngineError as error:
            fail(str(error))
        yield settings


def _started(stack: ExitStack) -> Settings:
    def say(line: str) -> None:
        typer.echo(line, err=True)

    say("No system runs from this directory: starting engines and the placement service for this import.")
    try:
        # Embedded mode is an extra: without it the import itself says what to install.
        from deploy.embedded.supervisor import exit_on_signals  # noqa: PLC0415
        from deploy.embedded.system import running_system  # noqa: PLC0415 - as above

        stack.enter_context(exit_on_signals())
        system = stack.enter_context(
            running_system(VAR, say=say, environ=os.environ, services=[ServiceName.PLACEMENT], pages=False)
        )
    except ImportError:
        raise Unable("Embedded mode is not installed: run `pip install 'leadline[embedded]'`.") from None
    os.environ.update(system.env)
    return read_settings()


def _import(directory: Path, settings: Settings, authority: str | None) -> ImportReport:
    from kafka.errors import KafkaError  # noqa: PLC0415 - slow to import, and only this command needs it

    from services.placement.ssda903.importing import import_returns  # noqa: PLC0415 - as above

    quiet_clients()
    try:
        council = _council(authority, settings)
        with progress_bar() as progress:
            task = progress.add_task("reading", total=None)
            return import_returns(
                directory,
                settings=settings,
                local_authority=council,
                on_progress=lambda handled, total: progress.update(
                    task, description="importing", completed=handled, total=total
                ),
            )
    except ReturnsUnreadable as unreadable:
        fail(str(unreadable))
    except PackError as error:
        fail(str(error), code=2)
    except (KafkaError, OSError, UnicodeError) as error:
        fail(f"The broker did not accept the events ({type(error).__name__}): `leadline doctor` says more.")


def _council(asked: str | None, settings: Settings) -> str:
    """Return the council's code; end the command if it has no pack: its children would get other ids."""
    own = load_pack(settings.policy, Pack).pack.council
    if asked is None or asked == own:
        return own
    known = {own}
    for file in settings.policy.parent.glob("*.yaml"):
        with suppress(PackError):  # another council's pack, which is not in use
            known.add(load_pack(file, Pack).pack.council)
    if asked not in known:
        refuse("council with a policy pack", asked, known)
    return asked


def _show(outcome: ImportReport, report: Path | None) -> None:
    typer.echo(f"years: {outcome.years}")
    show_rows(
        ("file", "rows", "taken", "refused"),
        [(count.file, count.rows, count.taken, count.refused) for count in outcome.files],
        title="Import",
    )
    for each in outcome.left_out:
        typer.echo(f"{printable(each.file)} was not read: {each.reason}")
    if outcome.not_read:
        typer.echo(f"other files that were not read: {', '.join(map(printable, outcome.not_read))}")
    if len(outcome.reasons) > 1:
        often = sorted(outcome.reasons.items(), key=lambda reason: -reason[1])
        show_rows(("rows", "reason"), [(count, reason) for reason, count in often], title="Reasons")
    if outcome.refusals:
        show_rows(
            ("file", "line", "reason"),
            [(refusal.file, refusal.line, refusal.reason) for refusal in outcome.refusals[:SHOWN]],
            title="Refused",
        )
    if len(outcome.refusals) > SHOWN:
        rest = f"and {len(outcome.refusals) - SHOWN} more"
        typer.echo(f"{rest}, all in {report}" if report else f"{rest}: --report FILE keeps them all")
    typer.echo(
        f"{outcome.taken} of {counted(outcome.rows, 'row')} taken, {len(outcome.refusals)} refused,"
        f" {counted(outcome.published, 'event')} in {outcome.seconds:.1f} s"
    )


def _problems(outcome: ImportReport) -> Iterator[str]:
    """Yield a sentence for each reason why the return was not imported completely."""
    if not outcome.taken:
        yield "No row could be taken."
    if outcome.left_out:
        names = ", ".join(printable(each.file) for each in outcome.left_out)
        yield f"Not read, though they look like part of the return: {names}. Put them right and import again."
    if not outcome.handled:
        yield (
            "The placement service has not handled every event yet; the rest waits on the bus."
            " Is its worker running? `leadline doctor` says."
        )


def _write(outcome: ImportReport, file: Path) -> None:
    try:
        with file.open("w", encoding="utf-8", newline="") as stream:
            if file.suffix.lower() == ".json":
                json.dump(outcome.as_dict(), stream, indent=2, ensure_ascii=False)
                return
            writer = csv.writer(stream)
            writer.writerow(("file", "line", "reason"))
            writer.writerows((each.file, "", each.reason) for each in outcome.left_out)
            writer.writerows((refusal.file, refusal.line, refusal.reason) for refusal in outcome.refusals)
    except OSError as error:
        # The import itself is done, so the rest of the report must still be shown.
        typer.echo(f"The report could not be written to {file}: {error.strerror}.", err=True)
