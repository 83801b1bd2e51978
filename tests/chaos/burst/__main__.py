"""`python -m tests.chaos.burst`: many deadlines due in the same second; --help says more."""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from deploy.embedded.supervisor import exit_on_signals
from tests.bench import machine
from tests.bench.say import say, table
from tests.bench.stage import VAR, BenchFailed, staged
from tests.chaos.alone import conclude, prepare
from tests.chaos.burst.play import BURSTS, Played, play

REPORT = VAR / "chaos" / "deadlines.json"
BAR_SECONDS = 10.0
"""For the 99th of a hundred deadlines."""

HEADS = (
    "due in the same second",
    "deadlines",
    "missing",
    "twice",
    "early",
    "p50 late s",
    "p99",
    "worst",
    "on the bus p99",
    "worst",
    "passed",
)


def choose(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what a command line asks for; end the process with exit code 2 and a sentence if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.burst",
        description="Let many deadlines be due in the same second; see how late each is raised.",
    )
    parser.add_argument("--deadlines", type=int, default=100_000, help="how many")
    return parser.parse_args(arguments)


def passed(played: Played) -> bool:
    """Return whether each deadline was raised once, none early, and nearly all in time."""
    found = played.counted
    return not (found.missing or found.doubled or found.early) and found.p99 < BAR_SECONDS


async def play_all(count: int) -> dict[str, Any]:
    """Play the bursts, each on an empty store; return the report."""
    played: list[Played] = []
    failed: dict[str, str] = {}
    async with staged() as stage:
        facts = machine.facts(stage.engines)
        for burst in BURSTS:
            try:
                played.append(await play(stage, burst, count))
            except BenchFailed as error:
                failed[burst.name] = str(error)
            say(f"  {burst.name}: {failed.get(burst.name) or f'p99 {played[-1].counted.p99:.1f} s'}")
    show(played, failed)
    return {
        "machine": facts,
        "passed": not failed and all(map(passed, played)),
        "bar_p99_s": BAR_SECONDS,
        "bursts": {
            each.burst.name: {
                "passed": passed(each),
                **{name: round(value, 3) for name, value in asdict(each.counted).items()},
                "raised_when_killed": each.raised_when_killed,
            }
            for each in played
        },
        "failed": failed,
    }


def show(played: Sequence[Played], failed: Mapping[str, str]) -> None:
    """Print a line for each burst."""
    table(
        f"deadlines: p99 late under {BAR_SECONDS:.0f} s, each once, none early",
        HEADS,
        list(map(_row, played)),
    )
    for name, why in failed.items():
        say(f"  {name} FAILED: {why}")


def _row(played: Played) -> list[str]:
    found = played.counted
    killed = "" if played.raised_when_killed is None else f" after {played.raised_when_killed:,}"
    return [
        played.burst.name + killed,
        *(f"{number:,}" for number in (found.deadlines, found.missing, found.doubled, found.early)),
        *(f"{late:.1f}" for late in (found.p50, found.p99, found.worst, found.bus_p99, found.bus_worst)),
        "yes" if passed(played) else "NO",
    ]


def main() -> None:
    """Run; the exit code is 1 when the bar was missed or something could not be played."""
    chosen = choose()
    prepare()
    with exit_on_signals():
        report = asyncio.run(play_all(chosen.deadlines))
    conclude(report, REPORT)


if __name__ == "__main__":
    main()
