"""Copies of cases, along a case's whole life: right copies are clean, and each kind of wrong one is found."""

import asyncio
from typing import Literal

import pytest

from schemas.events import DomainNeed
from schemas.events.codes import NeedDomain
from services.assessment.model import CompleteAssessment, ReviewPlan
from services.kernel.audit.copies import Copies
from tests.connected.test_audit import Auditor, Stores, auditor, carry, damage, stores

pytestmark = pytest.mark.connected

__all__ = ["auditor", "stores"]

PLACEMENT, NOTIFY = ("placement", "cases of assessment"), ("notify", "cases of assessment")


async def complete(stores: Stores, *, level: int) -> CompleteAssessment:
    """Conclude the assessment of the one case; above level 1 a threshold is met."""
    ((case_id,),) = await stores["assessment"].rows("SELECT case_id FROM cases")
    needs = tuple(DomainNeed(domain=domain, level=level) for domain in NeedDomain)
    done = CompleteAssessment(case_id=case_id, needs=needs, completed_by="W-1")
    await stores["assessment"].execute(done)
    return done


async def test_copies_are_right_along_a_cases_whole_life(auditor: Auditor, stores: Stores) -> None:
    """With a plan, with another level after a review, and when it is closed."""
    done = await complete(stores, level=3)
    await carry(stores)
    await auditor.report(code=0)
    assert await stores["placement"].rows("SELECT level, status FROM known_cases") == [(4, "open")]
    outcomes: tuple[tuple[Literal["step_down", "close"], tuple[int, str]], ...] = (
        ("step_down", (3, "open")),
        ("close", (3, "closed")),
    )
    for outcome, expected in outcomes:
        command = ReviewPlan(case_id=done.case_id, outcome=outcome, reviewed_by="W-1")
        await stores["assessment"].execute(command)
        await carry(stores)
        await auditor.report(code=0)
        assert await stores["placement"].rows("SELECT level, status FROM known_cases") == [expected]
        assert await stores["assessment"].rows("SELECT level FROM cases") == [(3,)]


async def test_a_case_that_met_no_threshold_has_no_level_elsewhere(auditor: Auditor, stores: Stores) -> None:
    """Its copies are closed, and right."""
    await complete(stores, level=1)
    await carry(stores)
    assert await stores["placement"].rows("SELECT level, status FROM known_cases") == [(None, "closed")]
    await auditor.report(code=0)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE known_cases SET level = 2",
        "UPDATE known_cases SET status = 'closed'",
        "UPDATE known_cases SET child_id = gen_random_uuid()",
        "DELETE FROM known_cases",
    ],
)
async def test_what_placement_would_decide_wrongly_by_is_found(
    auditor: Auditor, stores: Stores, sql: str
) -> None:
    """Named by its case, whole journals or a part of them."""
    done = await complete(stores, level=3)
    await carry(stores)
    await damage(stores["placement"], sql)
    report = await auditor.report(code=1)
    (wrong,) = [one for one in report["checks"] if one["outcome"] == "finding"]
    assert (wrong["service"], wrong["check"], wrong["examples"]) == (*PLACEMENT, [str(done.case_id)])
    assert f"`leadline journal show assessment --subject {done.case_id}`" in wrong["advice"]
    assert await auditor.found("--last", "1000") == {PLACEMENT}


async def test_a_copy_that_has_not_heard_the_news_yet_is_no_finding(
    auditor: Auditor, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at again within the grace; what is still wrong after it, is a finding."""
    again = Copies.again
    await complete(stores, level=3)
    assert {PLACEMENT} < await auditor.found()

    async def meanwhile(self: Copies) -> None:
        monkeypatch.setattr(Copies, "again", again)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(carry(stores), loop))
        await again(self)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(Copies, "again", meanwhile)
    await auditor.report(code=0, grace="60")
