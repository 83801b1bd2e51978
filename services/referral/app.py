"""The referral service, wired."""

from schemas.topics import PARTNER
from services.kernel.base.settings import Settings
from services.kernel.pack.model import load_pack
from services.kernel.processing.service import Service
from services.referral.book import ReferralBook
from services.referral.handlers import COMMANDS, HANDLERS
from services.referral.pack import ReferralPack
from services.referral.store import ReferralStore


def build(settings: Settings) -> Service[ReferralBook, ReferralStore]:
    """Return the service under the council's policy pack. Raises PackError when the pack has mistakes.

    Partners are independent of each other: one partner's malformed message must never hold up another
    agency's referral of the same child, so later partner events overtake a parked one.
    """
    pack = load_pack(settings.policy, ReferralPack)
    return Service(
        name="referral",
        store=ReferralStore(pack),
        handlers=HANDLERS,
        commands=COMMANDS,
        calendar=pack.working_calendar,
        lets_pass=frozenset({PARTNER.name}),
    )
