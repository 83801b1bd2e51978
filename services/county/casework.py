"""How lead professionals assess children and review their plans."""

from datetime import datetime
from random import Random

from schemas.events import DomainNeed
from schemas.events.codes import NeedDomain
from services.county.acts import Act, Doing
from services.county.present import Present
from services.county.seen import CaseSeen

_ASSESSMENT_DAYS = {1: (6, 25), 2: (4, 25), 3: (2, 10), 4: (1, 3)}
"""Working days that an assessment takes, by the level that the referral indicates."""

_LATE_SHARE = 0.04
_LATE_DAYS = (46, 50)

_DOMAINS = {1: (1, 2), 2: (1, 4), 3: (2, 4), 4: (3, 5)}
"""How many domains an assessment looks at, by indicated level."""

_LEVELS = {1: (80, 18, 2, 0), 2: (45, 40, 14, 1), 3: (15, 40, 40, 5), 4: (5, 20, 45, 30)}
"""How often each level 1 to 4 is found in a domain, by indicated level."""

_EARLY_REVIEW_SHARE = 0.4


def casework(case: CaseSeen, *, placed: bool, present: Present) -> Act | None:
    """Return what the lead professional does for a case now, if anything.

    `placed`: the child lives in a placement or waits for one; then the plan goes on.
    """
    if case.status == "assessing" and present.now >= assessed_from(case, present):
        return _assessment(case, present)
    if case.status == "planned" and present.now >= reviewed_from(case, present):
        return _review(case, placed=placed, present=present)
    return None


def assessed_from(case: CaseSeen, present: Present) -> datetime:
    """Return when the assessment of a case will be done."""
    chance = present.draw("assessment", case.child_id)
    days = chance.randint(*(_LATE_DAYS if chance.random() < _LATE_SHARE else _ASSESSMENT_DAYS[case.level]))
    return present.working_days_after(case.started_at, days)


def reviewed_from(case: CaseSeen, present: Present) -> datetime:
    """Return when the plan of a case will be reviewed next."""
    chance = present.draw("plan review", case.child_id, case.reviews)
    share = chance.random()
    if share < _EARLY_REVIEW_SHARE:
        days = chance.randint(4, 9)
    elif share > 1 - _LATE_SHARE:
        days = chance.randint(31, 34)
    else:
        days = chance.randint(15, 29)
    since = case.reviewed_at or case.completed_at or case.started_at
    return present.working_days_after(since, days)


def needs_of(case: CaseSeen, present: Present) -> tuple[DomainNeed, ...]:
    """Return what an assessment finds: drawn for the child, weighted by the indicated level."""
    chance = present.draw("needs", case.child_id)
    domains = chance.sample(list(NeedDomain), chance.randint(*_DOMAINS[case.level]))
    return tuple(DomainNeed(domain=domain, level=_level(chance, case.level)) for domain in domains)


def _level(chance: Random, indicated: int) -> int:
    return chance.choices((1, 2, 3, 4), _LEVELS[indicated])[0]


def _assessment(case: CaseSeen, present: Present) -> Act:
    return Act(
        Doing.ASSESSMENT,
        f"/cases/{case.case_id}/assessment",
        f"county/assessment/{case.case_id}",
        {
            "needs": [need.model_dump(mode="json") for need in needs_of(case, present)],
            "completed_by": case.lead_professional_id,
        },
    )


def _review(case: CaseSeen, *, placed: bool, present: Present) -> Act:
    chance = present.draw("plan review outcome", case.child_id, case.reviews)
    return Act(
        Doing.PLAN_REVIEW,
        f"/cases/{case.case_id}/reviews",
        f"county/plan-review/{case.case_id}/{case.reviews + 1}",
        {
            "outcome": "continue" if placed else _outcome(chance, case.level),
            "reviewed_by": case.lead_professional_id,
        },
    )


def _outcome(chance: Random, level: int) -> str:
    (outcome,) = chance.choices(("continue", "close", "step_down", "step_up"), (35, 35, 22, 8))
    beyond = (outcome, level) in {("step_down", 1), ("step_up", 4)}
    return "continue" if beyond else outcome
