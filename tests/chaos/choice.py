"""What was asked of a run, and the command line that asks it."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import at_work
from tests.chaos.inside import ALWAYS
from tests.chaos.mutations import DISTURBANCE, MUTATIONS
from tests.chaos.nemeses import ROTATION
from tests.chaos.schedule import STORMS, Storm

SECONDS: Mapping[Storm | None, int] = {None: 120, "kill": 180, "deploy": 360}
"""Unless told: long enough for 110 kills and for 200 exits."""

PER_SECOND: Mapping[Storm | None, int] = {None: 200, "kill": 1000, "deploy": 200}
"""Events a second, unless told."""

STORM_SESSION_SECONDS = 2.0
"""After a kill a group's other workers may wait for so long until they read on. With the usual 6 seconds, a
kill every other second leaves nobody at work whom the next could strike."""


@dataclass(frozen=True)
class Choice:
    """One run."""

    seed: int
    seconds: int
    per_second: int
    storm: Storm | None = None
    mutation: str | None = None
    """What is broken on purpose, to see whether the recount finds it."""
    only: tuple[str, ...] = ()
    """The nemeses that take turns; empty: all of them."""

    @property
    def nemeses(self) -> tuple[str, ...]:
        """Return the nemeses that take turns."""
        return self.only or tuple(ROTATION)

    @property
    def put_inside(self) -> tuple[str, ...]:
        """Return what every service process is changed by, as inside.py names it."""
        counted = () if self.storm is None else (at_work.INSIDE,)
        broken = () if self.mutation is None else (MUTATIONS[self.mutation],)
        return (*ALWAYS, *counted, *broken)

    @property
    def more_env(self) -> Mapping[str, str]:
        """Return the settings that the services have in this run beside their usual ones."""
        seconds = {"LEADLINE_KAFKA_SESSION_TIMEOUT_SECONDS": str(STORM_SESSION_SECONDS)}
        return {} if self.storm is None else seconds

    @property
    def command(self) -> str:
        """Return the command that plays this run again."""
        chosen = f"make chaos SECONDS={self.seconds} SEED={self.seed} RATE={self.per_second}"
        named = {"STORM": self.storm, "MUTATION": self.mutation, "ONLY": ",".join(self.only)}
        return " ".join([chosen, *(f"{name}={value}" for name, value in named.items() if value)])


def choose(arguments: Sequence[str] | None = None) -> Choice:
    """Return what a command line asks for; end the process with exit code 2 and a sentence if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Disturb the whole system under load, then recount from what was sent alone.",
    )
    parser.add_argument("--seconds", type=_positive, help="how long the feed runs: 120; of storms 180, 360")
    parser.add_argument("--seed", type=int, default=7, help="decides the feed and the faults")
    parser.add_argument("--rate", type=_positive, help="events a second: 200; in a storm of kills 1000")
    parser.add_argument("--storm", choices=sorted(STORMS), help="one kind of fault alone, without a pause")
    parser.add_argument("--mutation", choices=sorted(MUTATIONS), help="break the product on purpose")
    parser.add_argument(
        "--only", type=_nemeses, default=(), metavar="NEMESIS[,NEMESIS]", help=", ".join(ROTATION)
    )
    given = parser.parse_args(arguments)
    if given.storm and given.only:
        parser.error("a storm has a nemesis of its own: leave out --storm or --only")
    return Choice(
        given.seed,
        given.seconds or SECONDS[given.storm],
        given.rate or PER_SECOND[given.storm],
        given.storm or (DISTURBANCE if given.mutation and not given.only else None),
        given.mutation,
        given.only,
    )


def file_of(choice: Choice, reports: Path) -> Path:
    """Return where a run's report goes. What was broken on purpose must not be taken for a result."""
    return reports / f"{choice.mutation or 'latest'}.json"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        message = f"{number} is not positive"
        raise argparse.ArgumentTypeError(message)
    return number


def _nemeses(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in ROTATION]
    if unknown:
        message = f"{', '.join(unknown)}: there is no such nemesis, only {', '.join(ROTATION)}"
        raise argparse.ArgumentTypeError(message)
    return names
