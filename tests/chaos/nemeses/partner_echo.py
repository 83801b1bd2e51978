"""Partners send again what they sent long ago, in any order: a queue of theirs that was replayed by mistake.

The feed itself has duplicates that are seconds late and neighbours that have changed places; these are as old
as the run.
"""

from random import Random

from tests.chaos import feed
from tests.chaos.nemeses.patience import NotBroughtAbout
from tests.chaos.partner_journal import publish
from tests.chaos.target import Target

ACTS = (50, 500)


def act(target: Target, chance: Random) -> None:
    """Publish some of what was acknowledged once more."""
    acts = target.partners.some(chance, chance.randint(*ACTS))
    if not acts:
        message = "partners had published nothing yet"
        raise NotBroughtAbout(message)
    publish(target.system.engines.kafka, map(feed.message, acts))
