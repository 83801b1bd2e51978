"""The county's practitioners: how they react to their lists. Pure: the driver sends their requests.

What somebody does depends on the seed, on the thing itself and on the simulated moment; never on the order
in which things are seen or on how the system came to show them.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from schemas.events.codes import Role
from services.county.acts import Act, Doing
from services.county.casework import casework
from services.county.pack import CountyPack
from services.county.placing import placing, request_of
from services.county.present import Present
from services.county.seen import AlertSeen, CaseSeen, PlacementSeen, ReferralSeen
from services.county.triage import decisions
from services.kernel.deadlines.calendar import WorkingCalendar

_ACKNOWLEDGED_SHARE = {Role.REFERRER: 0.15, Role.OPERATIONS: 0.0}
"""The share of alerts that somebody acknowledges, by role."""

_ACKNOWLEDGED_BY_OTHERS = 0.85


@dataclass(frozen=True)
class Practitioners:
    """Everybody who works with referrals, cases and placements."""

    seed: int
    pack: CountyPack
    calendar: WorkingCalendar

    def present(self, now: datetime) -> Present:
        """Return the moment at which everybody acts."""
        return Present(self.seed, self.calendar, now)

    def decide(
        self, referrals: Iterable[ReferralSeen], cases: Iterable[CaseSeen], *, now: datetime
    ) -> list[list[Act]]:
        """Return the decisions taken now, turn by turn; `referrals` wait for one, `cases` are the open ones.

        The system comes to rest after each turn.
        """
        open_cases = frozenset(case.child_id for case in cases)
        return decisions(referrals, open_cases=open_cases, pack=self.pack, present=self.present(now))

    def work(
        self, cases: Iterable[CaseSeen], placements: Iterable[PlacementSeen], *, now: datetime
    ) -> list[Act]:
        """Return what is done for children now, one thing for each child at the most.

        `cases` are the open ones, `placements` all. One thing at a time, so that the order in which the
        system handles what happens at one moment makes no difference.
        """
        present = self.present(now)
        if not present.at_work:
            return []
        case_of = {case.child_id: case for case in cases}
        placements_of: defaultdict[UUID, list[PlacementSeen]] = defaultdict(list)
        for placement in sorted(placements, key=lambda each: str(each.placement_id)):
            if placement.child_id is not None:
                placements_of[placement.child_id].append(placement)
        children = sorted({*case_of, *placements_of})
        acts = (_act_for(case_of.get(child), placements_of[child], present) for child in children)
        return [act for act in acts if act is not None]

    def look_into_inboxes(self, alerts: Iterable[AlertSeen], *, now: datetime) -> list[Act]:
        """Return the acknowledgements of open alerts; at most moments there are none."""
        present = self.present(now)
        if not present.looks_into_inbox:
            return []
        return [_acknowledgement(alert) for alert in alerts if _has_seen(alert, present)]


def _act_for(case: CaseSeen | None, placements: list[PlacementSeen], present: Present) -> Act | None:
    for placement in placements:
        act = placing(placement, present)
        if act is not None:
            return act
    if case is None:
        return None
    placed = any(placement.status != "ended" for placement in placements)
    return request_of(case, placements, present) or casework(case, placed=placed, present=present)


def _has_seen(alert: AlertSeen, present: Present) -> bool:
    # Not its id: that follows from who leads the case, which follows from which of two cases came first.
    chance = present.draw("alert", alert.kind, alert.about, alert.role, alert.raised_at.timestamp())
    if chance.random() >= _ACKNOWLEDGED_SHARE.get(alert.role, _ACKNOWLEDGED_BY_OTHERS):
        return False
    return present.now >= alert.raised_at + timedelta(hours=chance.uniform(0, 20))


def _acknowledgement(alert: AlertSeen) -> Act:
    return Act(
        Doing.ACKNOWLEDGEMENT,
        f"/alerts/{alert.alert_id}/acknowledgement",
        f"county/acknowledgement/{alert.alert_id}",
        {"acknowledged_by": alert.recipient_id},
    )
