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
            help="Which system to speak to if both run from this directory. Default: `up`.",
        ),
    ] = None,
    _: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_tell_version, help="Show the version and exit."),
    ] = False,
) -> None:
    """Run, inspect and repair Leadline: case coordination for children's services.

    Every command explains itself, with an example, when called with --help.

    Exit codes: 0 done; 1 it failed or found a problem; 2 wrong usage, wrong settings, or no system to speak
    to.

    Example: leadline demo
    """
    CHOSEN.set(system)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
