"""The `leadline` command."""

from importlib.metadata import version
from typing import Annotated

import typer

from services.cli.loading import MARKUP
from services.cli.running import CHOSEN, Started
from services.cli.usage import Commands

app = typer.Typer(
    name="leadline",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=MARKUP,
    help="Case coordination for children's services: no child falls through the net between agencies.",
)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"leadline {version('leadline')}")
        raise typer.Exit


@app.callback()
def leadline(
    system: Annotated[
        Started | None,
        typer.Option(
            envvar="LEADLINE_SYSTEM",
            help="Which system of this directory to speak to, should both run; `up` unless told.",
        ),
    ] = None,
    _: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_tell_version, help="Show the version and exit."),
    ] = False,
) -> None:
    """Every command tells what it does, with an example, when called with --help.

    Exit codes: 0 done; 1 it failed or found something; 2 wrong usage, wrong settings, or no system to speak
    to.
    """
    CHOSEN.set(system)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
