"""What was asked of a run, and the command line that asks it."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.inside import ALWAYS
from tests.chaos.mutations import DISTURBANCE, MUTATIONS
from tests.chaos.schedule import STORMS, Storm


@dataclass(frozen=True)
class Choice:
    """One run."""

    seed: int
    seconds: int
    per_second: int
    storm: Storm | None = None
    mutation: str | None = None
    """What is broken on purpose, to see whether the recount finds it."""

    @property
    def put_inside(self) -> tuple[str, ...]:
        """Return what every service process is changed by, as inside.py names it."""
        return ALWAYS if self.mutation is None else (*ALWAYS, MUTATIONS[self.mutation])


def choose(arguments: Sequence[str] | None = None) -> Choice:
    """Return what a command line asks for; end the process with exit code 2 and a sentence if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Disturb the whole system under load, then recount from what was sent alone.",
    )
    parser.add_argument("--seconds", type=_positive, default=120, help="how long the feed runs")
    parser.add_argument("--seed", type=int, default=7, help="decides the feed and the faults")
    parser.add_argument("--rate", type=_positive, default=200, help="events a second")
    parser.add_argument("--storm", choices=sorted(STORMS), help="one kind of fault alone, without a pause")
    parser.add_argument(
        "--mutation", choices=sorted(MUTATIONS), help=f"break the product; the storm is then {DISTURBANCE}"
    )
    given = parser.parse_args(arguments)
    storm = given.storm if given.mutation is None else given.storm or DISTURBANCE
    return Choice(given.seed, given.seconds, given.rate, storm, given.mutation)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        message = f"{number} is not positive"
        raise argparse.ArgumentTypeError(message)
    return number
