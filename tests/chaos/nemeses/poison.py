"""Partners publish what nobody can read, in every way that we know of (poisoned.py)."""

from random import Random

from tests.chaos.partner_journal import publish
from tests.chaos.poisoned import poisoned
from tests.chaos.target import Target


def act(target: Target, chance: Random) -> None:
    """Publish one of each kind, in any order. The recount finds each set aside, and nothing behind it."""
    messages = [message for _, message, _ in poisoned(chance)]
    publish(target.system.engines.kafka, chance.sample(messages, len(messages)))
