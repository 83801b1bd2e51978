"""How placements are asked for, started, reviewed and ended, and how children are asked afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from schemas.events.codes import NeedDomain, PlacementKind
from services.county.acts import Act, Doing
from services.county.present import Present
from services.county.seen import CaseSeen, PlacementSeen

_PLACED_SHARE = {3: 0.15, 4: 0.85}
"""The share of children who are placed, by the level of their case; nobody below level 3."""

_SHORT_STAY_SHARE, _BREAKDOWN_SHARE = 0.6, 0.25
_TIMELY_INTERVIEW_SHARE, _HELD_INTERVIEW_SHARE = 0.62, 0.88
_MET_SHARE = 0.65

_FAR_AWAY = frozenset({NeedDomain.SEMH, NeedDomain.AUTISM})
"""Needs that are more often met outside the county (docs/domain.md G1)."""

_KINDS = {
    PlacementKind.IN_HOUSE_FOSTER: 45,
    PlacementKind.INDEPENDENT_FOSTER: 20,
    PlacementKind.KINSHIP: 20,
    PlacementKind.RESIDENTIAL: 10,
    PlacementKind.RESIDENTIAL_SCHOOL: 5,
}

OBJECTIVES = {
    NeedDomain.HEALTH: "Health checks are up to date.",
    NeedDomain.EDUCATION: "At school on at least nine days out of ten.",
    NeedDomain.SEMH: "Fewer crises from month to month.",
    NeedDomain.AUTISM: "Daily routines that work at home and at school.",
    NeedDomain.IDENTITY_AND_RELATIONSHIPS: "Sees the people who matter every week.",
    NeedDomain.BASIC_CARE: "Regular meals and sleep.",
    NeedDomain.SAFETY: "No new incident of harm.",
    NeedDomain.PARENTING_CAPACITY: "Parents take part in every review.",
    NeedDomain.HOUSING_AND_INCOME: "A home to return to is ready.",
}
"""Standard wordings, the same for every child: the simulation writes no free text about anybody."""


@dataclass(frozen=True, slots=True)
class PlannedStay:
    """How long a child stays in a placement, and why it ends."""

    days: int
    reason: str


def request_of(case: CaseSeen, placements: Sequence[PlacementSeen], present: Present) -> Act | None:
    """Return the request for a placement, if the child is to have one now. `placements` are the child's.

    A first one follows the assessment where needs are complex or severe; the next one follows a breakdown.
    """
    if any(placement.status != "ended" for placement in placements):
        return None
    number = len(placements)
    since = _wanted_from(case, placements, present)
    if since is None or present.now < since:
        return None
    kinds, weights = list(_KINDS), list(_KINDS.values())
    (kind,) = present.draw("kind", case.child_id, number).choices(kinds, weights)
    need = max(case.needs, key=lambda each: (each.level, each.domain.value))
    return Act(
        Doing.PLACEMENT_REQUEST,
        "/placements",
        f"county/placement/{case.case_id}/{number + 1}",
        {
            "case_id": str(case.case_id),
            "kind": kind.value,
            "need_group": need.domain.value,
            "requested_by": case.lead_professional_id,
        },
    )


def placing(placement: PlacementSeen, present: Present) -> Act | None:
    """Return what is done about one placement now, if anything: at the most one thing at a time."""
    match placement.status:
        case "requested":
            return _start(placement, present)
        case "started":
            return _end(placement, present) or _review(placement, present)
        case "ended" if placement.exit_interview in {"due", "overdue"}:
            return _exit_interview(placement, present)
    return None


def stay_in(placement: PlacementSeen, present: Present) -> PlannedStay:
    """Return how long the child stays: some for days, the others for months."""
    chance = present.draw("stay", placement.placement_id)
    days = chance.randint(2, 8) if chance.random() < _SHORT_STAY_SHARE else chance.randint(60, 400)
    if chance.random() < _BREAKDOWN_SHARE:
        return PlannedStay(days, "breakdown")
    return PlannedStay(days, chance.choice(("returned-home", "moved-to-relatives", "planned-move")))


def interviewed_from(placement: PlacementSeen, present: Present) -> datetime | None:
    """Return when the child is asked about a placement that ended: mostly in time, some late, a few never."""
    chance = present.draw("exit interview", placement.placement_id)
    share = chance.random()
    if placement.ended_on is None or share >= _HELD_INTERVIEW_SHARE:
        return None
    days = chance.randint(1, 6) if share < _TIMELY_INTERVIEW_SHARE else chance.randint(12, 15)
    return present.working_days_after(placement.ended_on, days)


def _wanted_from(case: CaseSeen, placements: Sequence[PlacementSeen], present: Present) -> datetime | None:
    if case.status != "planned" or case.completed_at is None or case.level not in _PLACED_SHARE:
        return None
    if not placements:
        chance = present.draw("placement", case.child_id)
        if chance.random() >= _PLACED_SHARE[case.level]:
            return None
        return present.working_days_after(case.completed_at, chance.randint(0, 1))
    latest = max(placements, key=lambda each: (each.ended_on or date.min, str(each.placement_id)))
    if latest.end_reason != "breakdown" or latest.ended_on is None:
        return None
    return present.working_days_after(latest.ended_on, 1)


def _start(placement: PlacementSeen, present: Present) -> Act | None:
    chance = present.draw("start", placement.placement_id)
    search = timedelta(hours=chance.uniform(2, 30))
    if placement.requested_at is None or present.now < placement.requested_at + search:
        return None
    away = chance.random() < (0.5 if placement.need_group in _FAR_AWAY else 0.25)
    near = (PlacementKind.IN_HOUSE_FOSTER, PlacementKind.KINSHIP, PlacementKind.INDEPENDENT_FOSTER)
    far = (PlacementKind.RESIDENTIAL, PlacementKind.INDEPENDENT_FOSTER)
    domains = chance.sample(list(NeedDomain), chance.randint(1, 3))
    body = {
        "provider_id": f"provider-{'out' if away else 'in'}-{chance.randint(1, 12)}",
        "kind": chance.choice(far if away else near).value,
        "location": "out_of_county" if away else "in_county",
        "objectives": [{"domain": each.value, "words": OBJECTIVES[each]} for each in domains],
        "started_on": present.today.isoformat(),
    }
    return _act(Doing.PLACEMENT_START, placement, "start", body)


def _end(placement: PlacementSeen, present: Present) -> Act | None:
    stay = stay_in(placement, present)
    if placement.started_on is None or present.today < placement.started_on + timedelta(days=stay.days):
        return None
    body = {"ended_on": present.today.isoformat(), "reason": stay.reason}
    return _act(Doing.PLACEMENT_END, placement, "end", body)


def _review(placement: PlacementSeen, present: Present) -> Act | None:
    since = placement.last_review_on or placement.started_on
    if since is None:
        return None
    number = placement.reviews_held + 1
    chance = present.draw("placement review", placement.placement_id, number)
    days = chance.randint(*{1: (5, 22), 2: (50, 66)}.get(number, (100, 130)))
    if present.now < present.working_days_after(since, days):
        return None
    body = {"reviewed_on": present.today.isoformat(), "reviewed_by": f"IRO-{chance.randint(1, 4)}"}
    return _act(Doing.PLACEMENT_REVIEW, placement, "reviews", body, number=number)


def _exit_interview(placement: PlacementSeen, present: Present) -> Act | None:
    held_from = interviewed_from(placement, present)
    if held_from is None or present.now < held_from or not placement.objective_ids:
        return None
    outcomes = [
        {
            "objective_id": str(objective_id),
            "met": present.draw("outcome", objective_id).random() < _MET_SHARE,
        }
        for objective_id in sorted(placement.objective_ids)
    ]
    body = {"outcomes": outcomes, "held_on": present.today.isoformat(), "held_by": placement.requested_by}
    return _act(Doing.EXIT_INTERVIEW, placement, "exit-interview", body)


def _act(doing: Doing, placement: PlacementSeen, what: str, body: dict[str, Any], *, number: int = 1) -> Act:
    return Act(
        doing,
        f"/placements/{placement.placement_id}/{what}",
        f"county/{what}/{placement.placement_id}/{number}",
        body,
    )
