"""What placement learns about cases from the assessment service, in any order of arrival."""

from datetime import datetime
from typing import Literal

from schemas import events as e
from services.placement.model import KnownCase

CaseEvent = e.ThresholdMet | e.PlanReviewed | e.CaseClosed


def learn(case: KnownCase | None, event: CaseEvent) -> KnownCase:
    """Return what is known about a case after an event.

    The newest level counts, and a closed case stays closed: late or repeated events change nothing.
    """
    closes = isinstance(event, e.CaseClosed) or (
        isinstance(event, e.PlanReviewed) and event.outcome == "close"
    )
    closed_before = case is not None and case.status == "closed"
    status: Literal["open", "closed"] = "closed" if closes or closed_before else "open"
    level, since = (case.level, case.level_since) if case is not None else (None, None)
    news = _level(event)
    if news is not None and (since is None or news[1] >= since):
        level, since = news
    return KnownCase(event.case_id, event.child_id, level, since, status)


def _level(event: CaseEvent) -> tuple[int, datetime] | None:
    match event:
        case e.ThresholdMet():
            return event.level, event.decided_at
        case e.PlanReviewed():
            return event.level, event.reviewed_at
        case _:
            return None
