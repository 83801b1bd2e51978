"""The demo's figures: the system's account of itself after a county has been played."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Self

from schemas.events.codes import Level
from services.county.seen import Seen
from services.county.settled import SystemStanding
from services.county.site import Site


class CaseFigure(Seen):
    """A case, open or closed."""

    status: str
    level: Level
    completed_at: str | None
    close_reason: str | None


class ReferralFigure(Seen):
    """How many referrals one kind of agency has in one state."""

    agency: str
    status: str
    count: int


class PlacementFigures(Seen):
    """How many placements there are in which state."""

    requested: int
    started: int
    ended: int
    live: int
    in_county: int
    out_of_county: int
    exit_interviews_due: int
    exit_interviews_overdue: int
    exit_interviews_completed: int


class AlertFigures(Seen):
    """How many alerts there are, by kind and by state."""

    total: int
    by_kind: dict[str, int]
    by_urgency: dict[str, int]
    by_status: dict[str, int]


class NetFigures(Seen):
    """Open cases, and those that fall through the net."""

    open_cases: int
    open_cases_without_lead: int
    open_cases_without_deadline: int


@dataclass(frozen=True)
class Figures:
    """All figures, asked of the system by HTTP."""

    standing: SystemStanding
    referrals: tuple[ReferralFigure, ...]
    cases: tuple[CaseFigure, ...]
    placements: PlacementFigures
    alerts: AlertFigures
    net: NetFigures

    @classmethod
    async def ask(cls, site: Site, standing: SystemStanding) -> Self:
        """Return the figures of a system that is at rest; `standing` is where it stands."""
        return cls(
            standing=standing,
            referrals=tuple(
                ReferralFigure.model_validate(row) for row in await site.get("/referrals/figures")
            ),
            cases=tuple(await site.every(CaseFigure, "/cases")),
            placements=PlacementFigures.model_validate(await site.get("/placements/figures")),
            alerts=AlertFigures.model_validate(await site.get("/alerts/figures")),
            net=NetFigures.model_validate(await site.get("/cases/net")),
        )

    @property
    def levels(self) -> dict[str, int]:
        """Return how many assessed cases have which level now, and how many met no threshold."""
        assessed = [case for case in self.cases if case.completed_at is not None]
        counted = Counter(
            "no threshold met" if case.close_reason == "threshold_not_met" else f"level {case.level}"
            for case in assessed
        )
        return dict(sorted(counted.items()))

    def as_data(self) -> dict[str, Any]:
        """Return the figures by name, ready for JSON; counts only."""
        events = self.standing.events
        return {
            "referrals": events["referral.received"],
            "accepted": events["referral.accepted"],
            "redirected": events["referral.redirected"],
            "closed": events["referral.closed"],
            "undecided": sum(each.count for each in self.referrals if each.status == "received"),
            "assessments_started": events["assessment.started"],
            "assessments_completed": events["assessment.completed"],
            "lead_professionals_assigned": events["lead_professional.assigned"],
            "threshold_met": events["threshold.met"],
            "threshold_not_met": events["threshold.not_met"],
            "plans_reviewed": events["plan.reviewed"],
            "cases_closed": events["case.closed"],
            "open_cases": self.net.open_cases,
            "open_cases_without_lead": self.net.open_cases_without_lead,
            "open_cases_without_deadline": self.net.open_cases_without_deadline,
            "placements_requested": events["placement.requested"],
            "placements_started": events["placement.started"],
            "placements_in_county": self.placements.in_county,
            "placements_out_of_county": self.placements.out_of_county,
            "placements_reviewed": events["placement.reviewed"],
            "placements_ended": events["placement.ended"],
            "exit_interviews_due": events["exit_interview.due"],
            "exit_interviews_overdue": events["exit_interview.overdue"],
            "exit_interviews_completed": events["exit_interview.completed"],
            "deadlines_scheduled": events["deadline.scheduled"],
            "deadlines_met": events["deadline.met"],
            "deadlines_overdue": events["deadline.overdue"],
            "alerts": events["alert.raised"],
            "alerts_acknowledged": events["alert.acknowledged"],
            "events": sum(events.values()),
            "parked": self.standing.parked,
        }
