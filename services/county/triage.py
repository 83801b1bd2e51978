"""How duty workers decide on referrals."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import zip_longest
from uuid import UUID

from services.county.acts import Act, Doing
from services.county.pack import CountyPack
from services.county.present import Present
from services.county.seen import ReferralSeen

_SAME_DAY, _NEXT_DAY = 0.62, 0.94
"""Shares of the referrals decided within hours, and by the next day; the others come late."""

_DUPLICATE_SHARE, _OVERRIDE_SHARE = 0.5, 0.05


def decisions(
    referrals: Iterable[ReferralSeen], *, open_cases: Collection[UUID], pack: CountyPack, present: Present
) -> list[list[Act]]:
    """Return the decisions that are taken now, one for each child at the most: the oldest referral first.

    They come in turns. Those of one turn may be taken at the same moment, for they are of different places:
    in one place the first to be accepted gets the lead professional with the most room. The system must have
    come to rest before the next turn, or chance would say who leads which case.

    `referrals` wait for a decision; `open_cases` are the children who have one. Two referrals of one child
    are decided one after the other, because the first may open the case that the second is a duplicate of.
    """
    turns: dict[UUID, ReferralSeen] = {}
    for referral in sorted(referrals, key=lambda each: (each.received_at, str(each.referral_id))):
        on_duty = referral.immediate_risk or present.at_work
        if on_duty and present.now >= decided_from(referral, present):
            turns.setdefault(referral.child_id, referral)
    places: defaultdict[str, list[Act]] = defaultdict(list)
    for referral in turns.values():
        known = referral.child_id in open_cases
        places[referral.locality].append(_decision(referral, known=known, pack=pack, present=present))
    return [[act for act in turn if act is not None] for turn in zip_longest(*places.values())]


def decided_from(referral: ReferralSeen, present: Present) -> datetime:
    """Return when a duty worker reaches a referral: at once where a child may be in danger."""
    if referral.immediate_risk:
        return referral.received_at
    chance = present.draw("triage", referral.referral_id)
    speed = chance.random()
    if speed < _SAME_DAY:
        return referral.received_at + timedelta(hours=chance.uniform(0, 5))
    wait = 1 if speed < _NEXT_DAY else chance.randint(2, 4)
    return present.working_days_after(referral.received_at, wait)


def _decision(referral: ReferralSeen, *, known: bool, pack: CountyPack, present: Present) -> Act:
    chance = present.draw("decision", referral.referral_id)
    team = pack.workers_by_locality.get(referral.locality)
    decider = chance.choice(team) if team else pack.county_duty.manager
    return Act(
        Doing.DECISION,
        f"/referrals/{referral.referral_id}/decision",
        f"county/decision/{referral.referral_id}",
        {"decided_by": decider, **_outcome(referral, chance.random(), known=known)},
    )


def _outcome(referral: ReferralSeen, share: float, *, known: bool) -> Mapping[str, str]:
    """Return what is decided; nothing takes the advice of the policy."""
    if referral.advice.recommend == "accept" and known and share < _DUPLICATE_SHARE:
        return {"outcome": "close", "close_reason": "duplicate", "override_reason": "open-case-exists"}
    if referral.advice.recommend == "redirect" and share < _OVERRIDE_SHARE:
        return {"outcome": "accept", "override_reason": "professional-judgement"}
    return {}
