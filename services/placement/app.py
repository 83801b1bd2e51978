"""The placement service, wired."""

from services.kernel.base.settings import Settings
from services.kernel.pack.model import load_pack
from services.kernel.processing.service import Service
from services.placement.book import PlacementBook
from services.placement.handlers import HANDLERS, commands
from services.placement.pack import PlacementPack
from services.placement.store.batch import PlacementStore


def build(settings: Settings) -> Service[PlacementBook]:
    """Return the service under the council's policy pack. Raises PackError when the pack has mistakes."""
    pack = load_pack(settings.policy, PlacementPack)
    return Service(
        name="placement",
        store=PlacementStore(),
        handlers=HANDLERS,
        commands=commands(pack),
        calendar=pack.working_calendar,
    )
