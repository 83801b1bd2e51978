"""The assessment service on its real store: replays, orders, crashes, races and deadlines."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest
from sqlalchemy import text

from schemas import events as e
from schemas.events.codes import NeedDomain
from services.assessment import queries as lists
from services.assessment.app import build
from services.assessment.model import CompleteAssessment, Outcome, ReviewPlan
from services.assessment.store import LOAD_OF_CHILDREN, CaseStore
from services.kernel.messages.faults import Refused
from services.kernel.processing.batches import BatchProcessor
from tests.builders import referral_accepted

pytestmark = pytest.mark.connected

ROOT = UUID("5a1f3c5e-0000-4000-8000-000000000003")
EVERYTHING = (
    "SELECT * FROM cases ORDER BY case_id",
    "SELECT * FROM caseloads ORDER BY practitioner_id",
    "SELECT * FROM deadlines ORDER BY deadline_id",
    "SELECT position, event_id, type, subject, sequence, data::text FROM journal ORDER BY position",
    "SELECT state, message_id FROM dead_letters ORDER BY arrived",
)

OPEN = "SELECT 1 FROM cases WHERE status <> 'closed'"


@dataclass
class Office:
    """The assessment service on its bench, with what these tests ask for again and again."""

    bench: Any

    @property
    def store(self) -> CaseStore:
        store = self.bench.service.store
        assert isinstance(store, CaseStore)
        return store

    def accepted(
        self, child: str, *, referral: str = "first", level: int = 2, locality: str = "ely"
    ) -> e.ReferralAccepted:
        """Return an accepted referral of the child of this name."""
        return referral_accepted(
            uuid5(ROOT, child),
            at=self.bench.clock.now(),
            referral_id=uuid5(ROOT, f"{referral} referral of {child}"),
            locality=locality,
            level=level,
        )

    async def open_case(self, child: str = "Ada", *, level: int = 2) -> UUID:
        """Open a case for a child and return its id."""
        referral = self.accepted(child, level=level)
        await self.bench.deliver(referral)
        rows = await self.bench.rows(
            "SELECT case_id FROM cases WHERE child_id = :child AND status <> 'closed'",
            child=referral.child_id,
        )
        return UUID(str(rows[0][0]))

    async def complete(self, case_id: UUID, *, key: str | None = None, **levels: int) -> list[str]:
        """Complete an assessment with these needs, `domain=level`; return what was published."""
        needs = tuple(
            e.DomainNeed(domain=NeedDomain(domain), level=level) for domain, level in levels.items()
        )
        command = CompleteAssessment(case_id=case_id, needs=needs, completed_by="W-1")
        answer = await self.bench.execute(command, key=key)
        return list(answer["events"])

    async def review(self, case_id: UUID, outcome: Outcome, *, key: str | None = None) -> list[str]:
        """Review a plan; return what was published."""
        command = ReviewPlan(case_id=case_id, outcome=outcome, reviewed_by="W-1")
        answer = await self.bench.execute(command, key=key)
        return list(answer["events"])

    async def everything(self) -> list[list[tuple[Any, ...]]]:
        """Return all that the service remembers."""
        return [[tuple(row) for row in await self.bench.rows(sql)] for sql in EVERYTHING]

    async def caseloads(self) -> dict[str, tuple[int, int]]:
        """Return the caseloads that are not empty, as the service keeps them: cases and points."""
        rows = await self.bench.rows("SELECT practitioner_id, cases, points FROM caseloads WHERE cases > 0")
        return {row[0]: (row[1], row[2]) for row in rows}

    async def recount(self) -> dict[str, tuple[int, int]]:
        """Return the caseloads counted afresh from open cases and the pack's weights."""
        weights = self.store.pack.caseload.weights
        counted: dict[str, tuple[int, int]] = {}
        for lead, level in await self.bench.rows(
            "SELECT lead_professional_id, level FROM cases WHERE status <> 'closed'"
        ):
            cases, points = counted.get(lead, (0, 0))
            counted[lead] = (cases + 1, points + weights[level])
        return counted

    async def net(self) -> lists.Net:
        """Return how many open cases fall through the net."""
        async with self.bench.engine.connect() as connection:
            return await lists.count_net(connection, leaders=list(self.store.roster.leaders))

    async def parked(self) -> int:
        """Return how many events are set aside."""
        return len(await self.bench.rows("SELECT 1 FROM dead_letters"))


@pytest.fixture
async def office(bench: Callable[..., Any]) -> Office:
    """An assessment service without a case, on a Monday morning."""
    return Office(await bench("assessment", build))


async def test_accepted_referral_opens_a_case_with_a_lead_and_a_deadline(office: Office) -> None:
    """The three events of a new case, in order, and nobody falls through the net."""
    await office.open_case()
    assert await office.bench.journal_types() == [
        "assessment.started.v1",
        "lead_professional.assigned.v1",
        "deadline.scheduled.v1",
    ]
    assert await office.net() == lists.Net(1, 0, 0)


async def test_second_referral_for_an_open_case_changes_nothing(office: Office) -> None:
    """Neither in the same batch nor in a later one, and nothing is parked."""
    first, second, third = (office.accepted("Ada", referral=name) for name in ("first", "second", "third"))
    await office.bench.deliver(first, second)
    before = await office.everything()
    await office.bench.deliver(third)
    assert await office.everything() == before
    assert len(await office.bench.rows("SELECT 1 FROM cases")) == 1


async def test_redelivery_changes_nothing(office: Office) -> None:
    """The same events twice in one batch, then all over again: one case each."""
    referrals = [office.accepted(child) for child in ("Ada", "Ben", "Cy")]
    await office.bench.deliver(*referrals, *referrals)
    before = await office.everything()
    await office.bench.deliver(*referrals)
    await office.bench.deliver(*reversed(referrals))
    assert await office.everything() == before
    assert len(await office.bench.journal_types()) == 9


async def test_redelivery_after_the_case_has_closed_opens_none(office: Office) -> None:
    """A replay of the whole bus, years later, leaves everything as it is."""
    referral = office.accepted("Ada")
    case_id = await office.open_case("Ada")
    await office.complete(case_id, health=1)
    before = await office.everything()
    await office.bench.deliver(referral)
    # The same fact under another message id, as a producer that lost its journal would send it.
    await office.bench.delivery.deliver([office.bench.record(referral, event_id="another id")])
    assert await office.everything() == before


async def test_one_batch_and_many_make_the_same_caseloads(office: Office) -> None:
    """Batches are the kernel's business: assignment sees no difference."""
    referrals = [office.accepted(f"child {turn}", level=1 + turn % 4) for turn in range(12)]
    await office.bench.deliver(*referrals)
    together = await office.caseloads()
    await _empty(office)
    for referral in referrals:
        await office.bench.deliver(referral)
    assert await office.caseloads() == together == await office.recount()


async def test_crash_before_commit_leaves_nothing_and_a_retry_everything(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that goes away after the work was done: the batch is made again, once."""
    crashes = ["once"]
    save = CaseStore.save

    async def crash_once(self: CaseStore, connection: Any, book: Any) -> None:
        await save(self, connection, book)
        if crashes:
            crashes.pop()
            raise ConnectionResetError

    monkeypatch.setattr(CaseStore, "save", crash_once)
    await office.bench.deliver(office.accepted("Ada"), office.accepted("Ben"))
    assert not crashes
    assert len(await office.bench.rows("SELECT 1 FROM cases")) == 2
    assert await office.caseloads() == await office.recount()
    assert len(await office.bench.journal_types()) == 6
    assert await office.parked() == 0


async def test_crashed_command_leaves_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller may send it again with the same key, and then it works."""
    case_id = await office.open_case()
    before = await office.everything()

    async def crash(self: CaseStore, connection: Any, book: Any) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as broken:
        broken.setattr(CaseStore, "save", crash)
        with pytest.raises(ConnectionResetError):
            await office.complete(case_id, key="the same key", health=4)
    assert await office.everything() == before
    assert "threshold.met.v1" in await office.complete(case_id, key="the same key", health=4)


async def test_commands_are_idempotent_by_key(office: Office) -> None:
    """The first answer comes again and nothing else happens; without the key the rules refuse."""
    case_id = await office.open_case()
    completed = await office.complete(case_id, key="complete it", safety=3)
    reviewed = await office.review(case_id, "step_up", key="review it")
    before = await office.everything()
    assert await office.complete(case_id, key="complete it", safety=3) == completed
    assert await office.review(case_id, "step_up", key="review it") == reviewed
    assert await office.everything() == before
    with pytest.raises(Refused, match="already completed"):
        await office.complete(case_id, safety=3)
    with pytest.raises(Refused, match="new key"):
        await office.review(case_id, "close", key="review it")


async def test_case_through_its_whole_life(office: Office) -> None:
    """From referral to closing: every event, in order, every number without a gap, every point freed."""
    case_id = await office.open_case(level=2)
    weights = office.store.pack.caseload.weights
    lead = next(iter(await office.caseloads()))
    for step, expected in (
        (office.complete(case_id, safety=3), weights[3]),
        (office.review(case_id, "step_up"), weights[4]),
        (office.review(case_id, "step_down"), weights[3]),
    ):
        await step
        office.bench.clock.move(timedelta(days=7))
        assert await office.caseloads() == {lead: (1, expected)} == await office.recount()
        assert await office.net() == lists.Net(1, 0, 0)
    await office.review(case_id, "close")
    assert await office.caseloads() == {}
    assert await office.net() == lists.Net(0, 0, 0)
    assert await office.bench.rows("SELECT 1 FROM deadlines WHERE state <> 'met'") == []
    rows = await office.bench.rows(
        "SELECT type, sequence FROM journal WHERE subject = :case ORDER BY position", case=case_id
    )
    assert [tuple(row) for row in rows] == [
        ("assessment.started.v1", 1),
        ("lead_professional.assigned.v1", 2),
        ("assessment.completed.v1", 3),
        ("threshold.met.v1", 4),
        ("plan.reviewed.v1", 5),
        ("plan.reviewed.v1", 6),
        ("plan.reviewed.v1", 7),
        ("case.closed.v1", 8),
    ]


async def test_child_whose_case_has_closed_can_be_referred_again(office: Office) -> None:
    """A new referral opens a new case; the old one stays as it was."""
    first = await office.open_case("Ada")
    await office.complete(first, health=1)
    await office.bench.deliver(office.accepted("Ada", referral="second"))
    rows = await office.bench.rows("SELECT status, close_reason FROM cases ORDER BY status")
    assert [tuple(row) for row in rows] == [("assessing", None), ("closed", "threshold_not_met")]


async def test_assessment_deadline_speaks_at_each_of_its_moments_once(office: Office) -> None:
    """Due soon, due, overdue; completing it late meets it late."""
    case_id = await office.open_case()
    for moment in await _moments(office, "assessment"):
        office.bench.clock.move(moment - timedelta(seconds=1))
        await office.bench.scan()
        office.bench.clock.move(moment)
        await office.bench.scan()
        await office.bench.scan()
    assert (await office.bench.journal_types())[3:] == [
        "deadline.due_soon.v1",
        "deadline.due.v1",
        "deadline.overdue.v1",
    ]
    await office.complete(case_id, health=4)
    met = next(event for event in await office.bench.journal() if isinstance(event, e.DeadlineMet))
    assert met.late


async def test_review_deadline_speaks_and_the_next_one_follows(office: Office) -> None:
    """An overdue review can be held; the next counts from when it was."""
    case_id = await office.open_case()
    await office.complete(case_id, health=4)
    for moment in await _moments(office, "plan_review"):
        office.bench.clock.move(moment)
        await office.bench.scan()
    await office.review(case_id, "continue")
    rows = await office.bench.rows(
        "SELECT state, trigger_at FROM deadlines WHERE kind = 'plan_review' ORDER BY trigger_at"
    )
    assert [row[0] for row in rows] == ["met", "scheduled"]
    assert rows[1][1] == office.bench.clock.now()
    raised = [kind for kind in await office.bench.journal_types() if kind.startswith("deadline.")]
    assert raised == [
        "deadline.scheduled.v1",
        "deadline.met.v1",
        "deadline.scheduled.v1",
        "deadline.due_soon.v1",
        "deadline.due.v1",
        "deadline.overdue.v1",
        "deadline.met.v1",
        "deadline.scheduled.v1",
    ]


async def test_caseloads_add_up_across_two_workers_and_http(office: Office) -> None:
    """Two workers assign while cases are completed over HTTP: no point is lost, nothing is parked."""
    levels = [1 + turn % 4 for turn in range(60)]
    localities = ["ely", "march", "soham"]

    def referrals(worker: str) -> list[e.ReferralAccepted]:
        return [
            office.accepted(f"{worker} {turn}", level=level, locality=localities[turn % 3])
            for turn, level in enumerate(levels)
        ]

    earlier = referrals("earlier")
    await office.bench.deliver(*earlier)
    open_cases = [row[0] for row in await office.bench.rows("SELECT case_id FROM cases ORDER BY case_id")]

    async def work(batches: Sequence[Sequence[e.ReferralAccepted]]) -> None:
        delivery = BatchProcessor(
            office.bench.service,
            office.bench.engine,
            office.bench.clock,
            calendar=office.bench.calendar,
            retry_seconds=20,
        )
        for batch in batches:
            await delivery.deliver([office.bench.record(event) for event in batch])

    async def answer(cases: Sequence[UUID]) -> None:
        for turn, case_id in enumerate(cases):
            await office.complete(case_id, health=1 + turn % 4)

    north, south = referrals("north"), referrals("south")
    await asyncio.gather(
        work([north[start : start + 10] for start in range(0, len(north), 10)]),
        # The other worker meets the same children again: one case each, whoever comes first.
        work(
            [[*south[start : start + 10], *north[start : start + 10]] for start in range(0, len(south), 10)]
        ),
        answer(open_cases[:30]),
        answer(open_cases[30:]),
    )
    assert await office.parked() == 0
    assert len(await office.bench.rows("SELECT 1 FROM cases")) == 180
    assert await office.caseloads() == await office.recount()
    assert await office.net() == lists.Net(len(await office.bench.rows(OPEN)), 0, 0)


async def test_two_workers_never_open_two_cases_for_one_child(office: Office) -> None:
    """Different referrals of a child, from two localities, at the same moment: one case, none parked."""
    for turn in range(8):
        child = f"child {turn}"
        rivals = [
            office.accepted(child, referral="first", locality="ely"),
            office.accepted(child, referral="second", locality="march"),
        ]
        await asyncio.gather(*(office.bench.deliver(rival) for rival in rivals))
    assert await office.parked() == 0
    assert len(await office.bench.rows("SELECT 1 FROM cases")) == 8
    assert await office.caseloads() == await office.recount()


async def test_two_people_never_complete_one_assessment(office: Office) -> None:
    """At the same moment, with different findings: one is taken, the other is told so."""
    for turn in range(8):
        case_id = await office.open_case(f"child {turn}")
        answers = await asyncio.gather(
            office.complete(case_id, health=1), office.complete(case_id, health=4), return_exceptions=True
        )
        refused = [answer for answer in answers if isinstance(answer, Refused)]
        assert len(refused) == 1, answers
        assert "already completed" in refused[0].sentence
    assert await office.caseloads() == await office.recount()


async def test_referral_that_meets_a_closing_case_finds_it_open_or_closed(office: Office) -> None:
    """Whoever comes first, the child ends with at most one open case, with a lead and a deadline."""
    for turn in range(8):
        child = f"child {turn}"
        case_id = await office.open_case(child)
        await asyncio.gather(
            office.complete(case_id, health=1),
            office.bench.deliver(office.accepted(child, referral="second", locality="march")),
        )
    assert await office.parked() == 0
    assert await office.caseloads() == await office.recount()
    assert await office.net() == lists.Net(len(await office.bench.rows(OPEN)), 0, 0)


async def test_net_sees_a_case_whose_lead_has_left_and_one_without_a_deadline(office: Office) -> None:
    """The figure is counted from the tables: it finds what the write path would never produce."""
    first, second = await office.open_case("Ada"), await office.open_case("Ben")
    async with office.bench.engine.begin() as connection:
        await connection.execute(
            text("UPDATE cases SET lead_professional_id = 'W-gone' WHERE case_id = :id"), {"id": first}
        )
        await connection.execute(text("DELETE FROM deadlines WHERE about = :id"), {"id": second})
    assert await office.net() == lists.Net(2, 1, 1)


async def _moments(office: Office, kind: str) -> list[Any]:
    rows = await office.bench.rows(
        "SELECT due_soon_at, due_from, due_at FROM deadlines WHERE kind = :kind", kind=kind
    )
    return list(rows[0])


async def _empty(office: Office) -> None:
    async with office.bench.engine.begin() as connection:
        await connection.execute(
            text("TRUNCATE cases, caseloads, deadlines, inbox, journal, outbox RESTART IDENTITY")
        )


async def test_the_cases_of_children_are_found_by_two_small_indexes(office: Office) -> None:
    """However many cases there are: neither the table is read nor an index of all children kept."""
    async with office.bench.engine.begin() as connection:
        # An empty table is cheapest to read whole, by whatever index: only a search is left.
        for way in ("seqscan", "indexscan"):
            await connection.execute(text(f"SET LOCAL enable_{way} = off"))
        rows = await connection.execute(text("EXPLAIN " + LOAD_OF_CHILDREN.text), {"ids": [ROOT]})
    plan = "\n".join(row[0] for row in rows)
    assert "cases_one_open_per_child" in plan
    assert "cases_closed_by_child" in plan
    assert "Seq Scan" not in plan
