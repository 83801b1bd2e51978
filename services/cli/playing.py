"""`leadline demo`: play a month of a small county on real engines, within a minute."""

import os
import threading
from typing import Annotated

import typer
from rich.console import Console

from deploy.embedded.errors import EngineError
from services.cli.arguments import finite
from services.cli.catalogue import SERVICES
from services.cli.running import VAR, Started, fail, home_of, settings_to_start
from services.kernel.base.clock import HeldClock
from services.kernel.pack.model import PackError


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Exit when done; the last line is one JSON object.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Which county to draw; a seed always gives the same.")] = 42,
    days: Annotated[int, typer.Option(min=1, max=92, help="Simulated days.")] = 30,
    scale: Annotated[
        float, typer.Option(min=0.1, max=20, callback=finite, help="How busy the county is; 1 is small.")
    ] = 1.0,
) -> None:
    """Play one month of a small county: partner agencies refer, practitioners act, deadlines pass.

    It starts its own engines and services under var/demo with simulated time, and drives them from outside,
    over HTTP and Kafka.

    Example: leadline demo --once --seed 42
    """
    from services.cli.demo import START, run_demo  # noqa: PLC0415 - a worker starts sooner without a county
    from services.county.pace import held_time  # noqa: PLC0415 - as above
    from services.county.site import PlayError  # noqa: PLC0415 - as above

    settings, home = settings_to_start(), home_of(Started.DEMO)
    clock = HeldClock((home / "clock").resolve())
    console = Console()
    try:
        # Embedded mode is an extra: without it the import itself says what to install.
        from deploy.embedded.running import sole_owner  # noqa: PLC0415
        from deploy.embedded.supervisor import exit_on_signals  # noqa: PLC0415
        from deploy.embedded.system import running_system  # noqa: PLC0415

        with sole_owner(home):
            clock.set(START)  # never the clock of a demo that still runs here
        with (
            exit_on_signals(),
            running_system(
                home,
                say=console.print,
                environ=os.environ,
                services=SERVICES,
                fresh=True,
                cache=VAR / "engines",
                extra_env=held_time(clock),
            ) as system,
        ):
            assert system.site is not None  # noqa: S101 - started with pages
            console.print(
                f"Look around while the month plays: {system.site}/inbox", highlight=False, soft_wrap=True
            )
            summary = run_demo(
                site=system.site,
                kafka=system.engines.kafka,
                clock_file=clock.file,
                policy=settings.policy,
                console=console,
                seed=seed,
                days=days,
                scale=scale,
                once=once,
                broker=system.engines.kafka_name,
                database=system.engines.database_name,
            )
            if once:
                raise typer.Exit(0 if summary.ok else 1)
            console.print("Everything is still running: look around. Press Ctrl-C to stop.")
            threading.Event().wait()
    except (EngineError, PackError, PlayError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        typer.echo("stopped")
