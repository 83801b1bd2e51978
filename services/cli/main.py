"""The `leadline` command."""

import typer

from services.cli import run, topics

app = typer.Typer(
    name="leadline",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Case coordination for children's services: no child falls through the net between agencies.",
)
app.command()(run.up)
app.command()(run.worker)
app.command()(run.web)
app.add_typer(topics.app, name="topics")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
