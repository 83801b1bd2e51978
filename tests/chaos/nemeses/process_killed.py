"""`kill -9` of a worker or of the web process, wherever it stands.

A service's worker process is its intake, its relay and its due-scanner: they die together, and another worker
of the service takes over the relay's lock.
"""

from random import Random

from tests.chaos.target import Target


def act(target: Target, chance: Random) -> None:
    """Kill one running process; the supervisor starts it again."""
    running = target.running()
    if running:
        target.kill(chance.choice(running))
