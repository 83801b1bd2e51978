"""`leadline doctor`: check that everything is as it should be, and say what to do where it is not."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from services.cli import checks
from services.cli.catalogue import SERVICES
from services.cli.checks import SystemCheck
from services.cli.output import counted, show_json, show_line
from services.cli.running import Unable, answered, find_settings
from services.kernel.base.environment import WrongSettings, read_settings
from services.kernel.base.settings import Settings

OF_SYSTEM = ("broker", "topics", "lag", "stores", "outboxes", "dead letters")


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check this machine, the policy pack and the running system; say what to do about each problem.

    It changes nothing. If no system runs, the checks of the running system are skipped, which is no problem.
    Exits with code 1 when there is a problem; with warnings alone the code is 0.

    Example: leadline doctor
    """
    found = []
    for check in _checks():
        found.append(check)
        if not json:
            _tell(check)
    problems = sum(check.state == "problem" for check in found)
    warnings = sum(check.state == "warning" for check in found)
    if json:
        show_json([asdict(check) for check in found])
    else:
        typer.echo(
            f"{counted(problems, 'problem')}, {counted(warnings, 'warning')}, {counted(len(found), 'check')}"
        )
    if problems:
        raise typer.Exit(1)


def _checks() -> Iterator[SystemCheck]:
    yield from checks.of_machine(dict(os.environ))
    try:
        running = find_settings()
        settings = running or read_settings()
    except Unable as unable:
        yield SystemCheck("system", "problem", str(unable))
        return
    except WrongSettings as wrong:
        for problem in wrong.problems:
            yield SystemCheck("settings", "problem", problem, "correct it, or unset it")
        return
    yield from checks.of_policy(settings)
    yield checks.of_clock(settings)
    if running is not None:
        yield from answered(_of_system(running))
        return
    for name in OF_SYSTEM:
        yield SystemCheck(name, "skipped", "not running")


async def _of_system(settings: Settings) -> list[SystemCheck]:
    found = [check async for check in checks.of_bus(settings)]
    for name in SERVICES:
        found += [check async for check in checks.of_store(settings, name)]
    return found


def _tell(check: SystemCheck) -> None:
    show_line(f"{check.state:<8}", f"{check.name:<26}", check.words)
    if check.advice:
        show_line(" " * 8, " " * 26, f"-> {check.advice}")
