"""A stand-in for the system's lists: what practitioners would see, by the real packs' advice and thresholds.

Enough of the system to let the county live a month without engines. It publishes nothing and knows no
deadlines; the real journey is the connected tests' business.
"""

from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from random import Random
from typing import TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

from schemas.events import DomainNeed
from schemas.events.codes import NeedDomain
from services.assessment.pack import AssessmentPack
from services.county.acts import Act, Doing
from services.county.pack import CountyPack
from services.county.plan import Step
from services.county.practitioners import Practitioners
from services.county.seen import Advice, CaseSeen, PlacementSeen, ReferralSeen
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.pack.model import load_pack
from services.referral.conditions import ReferralFacts
from services.referral.pack import ReferralPack

POLICY = Path("deploy/policies/cambridgeshire.yaml")
COUNTY = load_pack(POLICY, CountyPack)
REFERRAL = load_pack(POLICY, ReferralPack)
ASSESSMENT = load_pack(POLICY, AssessmentPack)
CALENDAR = WorkingCalendar()

T = TypeVar("T")


class Lists:
    """Referrals, cases and placements of one county, changed by what people do."""

    def __init__(self, seed: int, *, shuffle: int | None = None) -> None:
        self.people = Practitioners(seed, COUNTY, CALENDAR)
        self.referrals: dict[UUID, ReferralSeen] = {}
        self.cases: dict[UUID, CaseSeen] = {}
        self.placements: dict[UUID, PlacementSeen] = {}
        self.acts: list[tuple[datetime, Act]] = []
        self._levels: dict[UUID, int] = {}
        self._order = Random(shuffle) if shuffle is not None else None

    def live(self, plan: Iterable[Step], moments: Iterable[datetime]) -> "Lists":
        """Let the county live through all moments."""
        waiting = [step for step in plan if step.repeats == "nothing"]
        for now in moments:
            for step in [step for step in waiting if step.at <= now]:
                self._receive(step, now)
                waiting.remove(step)
            for turn in self.people.decide(self._seen(self.referrals), self._open(), now=now):
                self._do(turn, now)
            self._do(self.people.work(self._open(), self._seen(self.placements), now=now), now)
        return self

    def _seen(self, things: dict[UUID, T]) -> list[T]:
        rows = list(things.values())
        if self._order is not None:
            self._order.shuffle(rows)
        return rows

    def _open(self) -> list[CaseSeen]:
        return [case for case in self._seen(self.cases) if case.status != "closed"]

    def _receive(self, step: Step, now: datetime) -> None:
        referral = step.referral
        advice = REFERRAL.triage.advise(
            ReferralFacts(
                agency=referral.agency,
                concerns=referral.concerns,
                immediate_risk=referral.immediate_risk,
                information_only=referral.information_only,
            )
        )
        referral_id = UUID(step.message_id)
        self._levels[referral_id] = advice.level
        self.referrals[referral_id] = ReferralSeen(
            referral_id=referral_id,
            child_id=referral.child_id,
            agency=referral.agency,
            locality=referral.locality,
            immediate_risk=referral.immediate_risk,
            received_at=now,
            advice=Advice(recommend=advice.recommend),
        )

    def _do(self, acts: list[Act], now: datetime) -> None:
        for act in acts:
            self.acts.append((now, act))
            if act.doing is Doing.DECISION:
                self._decide(act, now)
            elif act.doing is Doing.PLACEMENT_REQUEST:
                self._request(act, now)
            elif act.path.startswith("/cases/"):
                self._work_on_case(act, now)
            else:
                self._work_on_placement(act, now)

    def _decide(self, act: Act, now: datetime) -> None:
        referral = self.referrals.pop(UUID(act.path.split("/")[2]))
        outcome = act.body.get("outcome", referral.advice.recommend)
        has_case = any(case.child_id == referral.child_id for case in self._open())
        if outcome != "accept" or has_case:
            return
        case_id = uuid5(referral.referral_id, "case")
        self.cases[case_id] = CaseSeen(
            case_id=case_id,
            child_id=referral.child_id,
            status="assessing",
            level=self._levels[referral.referral_id],
            lead_professional_id="W-0101",
            reviews=0,
            started_at=now,
        )

    def _work_on_case(self, act: Act, now: datetime) -> None:
        case = self.cases[UUID(act.path.split("/")[2])]
        if act.doing is Doing.ASSESSMENT:
            needs = tuple(DomainNeed.model_validate(need) for need in act.body["needs"])
            met = ASSESSMENT.threshold.met_by({need.domain: need.level for need in needs})
            change = {
                "status": "planned" if met else "closed",
                "level": met[0].level if met else case.level,
                "needs": needs,
                "completed_at": now,
            }
        else:
            step = {"step_up": 1, "step_down": -1}.get(act.body["outcome"], 0)
            closes = act.body["outcome"] == "close"
            change = {
                "status": "closed" if closes else case.status,
                "level": case.level + step,
                "reviews": case.reviews + 1,
                "reviewed_at": now,
            }
        self.cases[case.case_id] = CaseSeen.model_validate(case.model_dump() | change)

    def _request(self, act: Act, now: datetime) -> None:
        case = self.cases[UUID(act.body["case_id"])]
        placement_id = uuid5(NAMESPACE_URL, act.key)
        self.placements[placement_id] = PlacementSeen(
            placement_id=placement_id,
            child_id=case.child_id,
            case_id=case.case_id,
            status="requested",
            need_group=NeedDomain(act.body["need_group"]),
            requested_by=act.body["requested_by"],
            requested_at=now,
            started_on=None,
            reviews_held=0,
            last_review_on=None,
            ended_on=None,
            end_reason=None,
            exit_interview="none",
        )

    def _work_on_placement(self, act: Act, now: datetime) -> None:
        placement = self.placements[UUID(act.path.split("/")[2])]
        today = CALENDAR.london_date(now)
        changes: dict[Doing, dict[str, object]] = {
            Doing.PLACEMENT_START: {"status": "started", "started_on": today},
            Doing.PLACEMENT_REVIEW: {"reviews_held": placement.reviews_held + 1, "last_review_on": today},
            Doing.PLACEMENT_END: {
                "status": "ended",
                "ended_on": today,
                "end_reason": act.body.get("reason"),
                "exit_interview": "due",
                "objective_ids": (uuid5(placement.placement_id, "objective/1"),),
            },
            Doing.EXIT_INTERVIEW: {"exit_interview": "completed"},
        }
        change = changes[act.doing]
        self.placements[placement.placement_id] = placement.model_copy(update=change)


def working_days_between(since: date, until: date) -> int:
    """Return how many working days lie after `since`, up to and with `until`."""
    count, day = 0, since
    while day < until:
        day = CALENDAR.add_working_days(day, 1)
        count += day <= until
    return count
