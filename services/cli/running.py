"""Which system a command speaks to: the one the environment names, else the one that runs from here."""

import os
from pathlib import Path

import typer

from deploy.embedded.running import find_running
from services.kernel.settings import Settings

VAR = Path("var")


def current_settings() -> Settings:
    """Return settings that reach a running system.

    `LEADLINE_KAFKA` and `LEADLINE_DATABASE` win; else `leadline up` of this directory. Exits with code 2 and
    one sentence when there is neither.
    """
    if os.environ.get("LEADLINE_KAFKA") and os.environ.get("LEADLINE_DATABASE"):
        return Settings()
    running = find_running(VAR)
    if running is None:
        typer.echo(
            "No system runs from this directory: start one with `leadline up`,"
            " or set LEADLINE_KAFKA and LEADLINE_DATABASE.",
            err=True,
        )
        raise typer.Exit(2)
    os.environ.update(running["env"])
    return Settings()
