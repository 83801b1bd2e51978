"""A rolling deploy: SIGTERM for every process, one after the other."""

from random import Random

from tests.chaos.target import PROGRAMS, Target


def act(target: Target, chance: Random) -> None:
    """Stop each process in a random order and time its exit; the supervisor starts it again."""
    for name in chance.sample(PROGRAMS, len(PROGRAMS)):
        target.stop(name)
