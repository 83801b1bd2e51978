"""The council as decisions see it: the pack, people's arrangements, and the channels that are configured."""

from dataclasses import dataclass

from schemas.events.codes import Channel
from services.notify.pack.model import NotifyPack
from services.notify.preferences.model import Arrangements

NOTHING_ARRANGED = Arrangements()


@dataclass(frozen=True, slots=True)
class Council:
    """One council, as it is while one batch is decided."""

    pack: NotifyPack
    arrangements: Arrangements = NOTHING_ARRANGED
    channels: frozenset[Channel] = frozenset()
    """The channels that this installation has; on others nothing is queued, so that none floods later."""
