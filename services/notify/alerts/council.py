"""The council as decisions see it: the pack, people's arrangements, and the channels that are configured."""

from dataclasses import dataclass

from schemas.events.codes import Channel
from services.notify.pack.model import NotifyPack
from services.notify.preferences.model import Arrangements

NOTHING_ARRANGED = Arrangements()


@dataclass(frozen=True, slots=True)
class Council:
    """The council's state for one batch of decisions."""

    pack: NotifyPack
    arrangements: Arrangements = NOTHING_ARRANGED
    channels: frozenset[Channel] = frozenset()
    """This installation's channels. Nothing is queued for others, so adding one later causes no flood."""
