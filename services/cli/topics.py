"""`leadline topics`: create topics, list them, show the lag."""

from typing import Any

import typer

from schemas.topics import read_by
from services.cli.catalogue import SERVICES
from services.cli.output import show_rows
from services.cli.running import answered, current_settings
from services.kernel.base.settings import Settings
from services.kernel.kafka.admin import Bus

app = typer.Typer(no_args_is_help=True, help="The topics on the bus: create, list, lag.")


@app.command()
def apply() -> None:
    """Create the missing topics; existing ones stay as they are.

    Example: leadline topics apply
    """
    made = answered(_apply(current_settings()))
    typer.echo(f"created: {', '.join(made)}" if made else "nothing to do: every topic exists")


@app.command("list")
def list_topics() -> None:
    """Show every declared topic: owner, readers, partitions, events the broker holds.

    Exits with code 1 when a topic is missing or its number of partitions differs from the declared one.

    Example: leadline topics list
    """
    states = answered(_states(current_settings()))
    rows = []
    wrong = False
    for state in states:
        right = state.partitions == state.topic.partitions
        wrong = wrong or not right
        shown = str(state.partitions) if right else f"{state.partitions}, declared {state.topic.partitions}"
        readers = ", ".join(state.topic.readers)
        rows.append((state.topic.name, state.topic.owner, readers, shown, state.events))
    show_rows(("topic", "owner", "readers", "partitions", "events"), rows, title="Topics")
    if wrong:
        typer.echo("Run `leadline topics apply` to create missing topics.", err=True)
        raise typer.Exit(1)


@app.command()
def lag() -> None:
    """Show how many events each service has not yet committed.

    Example: leadline topics lag
    """
    lags = answered(_lags(current_settings()))
    rows = [(service, topic, count) for service, topics in lags.items() for topic, count in topics.items()]
    show_rows(("service", "topic", "lag"), rows, title="Lag")


async def _apply(settings: Settings) -> list[str]:
    async with Bus(settings) as bus:
        return await bus.apply()


async def _states(settings: Settings) -> Any:
    async with Bus(settings) as bus:
        return await bus.states()


async def _lags(settings: Settings) -> dict[str, dict[str, int]]:
    async with Bus(settings) as bus:
        return {service: await bus.lag(service, read_by(service)) for service in SERVICES}
