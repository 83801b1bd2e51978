"""SIGTERM for one process at any moment: a step of a rolling deploy, mid-transaction."""

from random import Random

from tests.chaos.target import Target


def act(target: Target, chance: Random) -> None:
    """Stop one running process and time its exit; the supervisor starts it again."""
    running = target.running()
    if running:
        target.stop(chance.choice(running))
