"""Lists that are read page by page while rows come and go: what was there throughout is shown once."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid5

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from schemas.events.codes import Location, NeedDomain, PlacementKind
from services.assessment.app import build as build_assessment
from services.assessment.model import CompleteAssessment
from services.assessment.web import router as assessment_routes
from services.kernel.base.settings import Settings
from services.kernel.processing.commands import CommandExecutor
from services.kernel.processing.service import Service
from services.kernel.web.api import PROBLEM, install_errors
from services.notify.alerts.model import AcknowledgeAlert
from services.notify.app import build as build_notify
from services.notify.web import router as notify_routes
from services.placement.app import build as build_placement
from services.placement.model import ObjectiveAsked, RequestPlacement, StartPlacement
from services.placement.web import router as placement_routes
from services.referral.app import build as build_referral
from services.referral.model import DecideReferral
from services.referral.web import router as referral_routes
from tests.builders import (
    MONDAY,
    deadline_overdue,
    referral_accepted,
    referral_made,
    referral_received,
    threshold_met,
)
from tests.flow.conftest import TESTS, Bench, MakeBench

pytestmark = pytest.mark.connected


async def add_referral(bench: Bench, number: int) -> None:
    await bench.deliver(referral_made(UUID(int=number)))


async def decide(bench: Bench, referral_id: UUID) -> None:
    await bench.execute(DecideReferral(referral_id=referral_id, decided_by="W-1"))


async def add_case(bench: Bench, number: int) -> None:
    await bench.deliver(referral_accepted(uuid5(TESTS, f"child {number}"), at=bench.clock.now(), level=2))


async def close_case(bench: Bench, case_id: UUID) -> None:
    needs: Any = [{"domain": "health", "level": 1}]
    await bench.execute(CompleteAssessment(case_id=case_id, needs=needs, completed_by="W-1"))


async def add_placement(bench: Bench, number: int) -> None:
    child_id, case_id = uuid5(TESTS, f"child {number}"), uuid5(TESTS, f"case {number}")
    await bench.deliver(threshold_met(child_id, case_id=case_id, level=3))
    asked = {"kind": PlacementKind.KINSHIP, "need_group": NeedDomain.SEMH, "requested_by": "W-1"}
    await bench.execute(RequestPlacement.model_validate({"case_id": case_id, **asked}))


async def start_placement(bench: Bench, placement_id: UUID) -> None:
    await bench.execute(
        StartPlacement(
            placement_id=placement_id,
            provider_id="P-1",
            kind=PlacementKind.KINSHIP,
            location=Location.IN_COUNTY,
            objectives=(ObjectiveAsked(domain=NeedDomain.SEMH, words="Sleeps through the night"),),
            started_on=MONDAY.date(),
        )
    )


async def add_alerts(bench: Bench, number: int) -> None:
    """Some have a date and are urgent, the others neither."""
    if number % 2:
        await bench.deliver(referral_received(UUID(int=number), at=bench.clock.now()))
    else:
        child, case, due = UUID(int=number), UUID(int=500 + number), MONDAY - timedelta(days=number % 3)
        await bench.deliver(
            deadline_overdue(number=number, child_id=child, about=case, case_id=case, due_at=due)
        )


async def acknowledge(bench: Bench, alert_id: UUID) -> None:
    await bench.execute(AcknowledgeAlert(alert_id=alert_id, acknowledged_by="W-1"))


@dataclass(frozen=True)
class Kind:
    """One kind of list: where it is, and what brings a row into it and takes one out."""

    service: str
    build: Callable[[Settings], Service[Any]]
    routes: Callable[[CommandExecutor[Any, Any]], APIRouter]
    path: str
    row_id: str
    add: Callable[[Bench, int], Awaitable[None]]
    remove: Callable[[Bench, UUID], Awaitable[None]]


REFERRALS = Kind(
    "referral", build_referral, referral_routes, "/referrals", "referral_id", add_referral, decide
)
CASES = Kind("assessment", build_assessment, assessment_routes, "/cases", "case_id", add_case, close_case)
PLACEMENTS = Kind(
    "placement",
    build_placement,
    placement_routes,
    "/placements",
    "placement_id",
    add_placement,
    start_placement,
)
ALERTS = Kind("notify", build_notify, notify_routes, "/alerts", "alert_id", add_alerts, acknowledge)

LISTS: list[tuple[Kind, dict[str, str]]] = [
    (REFERRALS, {"status": "received"}),
    (REFERRALS, {"status": "received", "sort": "oldest"}),
    (CASES, {"status": "open"}),
    (CASES, {"status": "open", "sort": "oldest"}),
    (PLACEMENTS, {"status": "requested"}),
    (ALERTS, {"sort": "newest"}),
    (ALERTS, {"sort": "due"}),
    (ALERTS, {"sort": "urgency"}),
]


@dataclass
class Reader:
    """Somebody who reads a list, with the service behind it."""

    kind: Kind
    bench: Bench
    http: httpx.AsyncClient
    _numbers: Any = field(default_factory=lambda: count(1))

    async def add(self, rows: int) -> None:
        """Add rows, three at each moment: their keys differ in the last column only."""
        for number in (next(self._numbers) for _ in range(rows)):
            if number % 3 == 0:
                self.bench.clock.move(timedelta(minutes=1))
            await self.kind.add(self.bench, number)

    async def get(self, **query: str | int) -> dict[str, Any]:
        """Return an answer that must be 200."""
        answer = await self.http.get(self.kind.path, params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def ids(self, **query: str | int) -> list[UUID]:
        """Return the ids of the whole list."""
        return self.ids_of(await self.get(**query, limit=500))

    def ids_of(self, page: Mapping[str, Any]) -> list[UUID]:
        """Return the ids of a page."""
        return [UUID(item[self.kind.row_id]) for item in page["items"]]

    async def pages(self, limit: int, **query: str | int) -> AsyncIterator[dict[str, Any]]:
        """Follow the cursors to the end of a list."""
        page = await self.get(**query, limit=limit)
        yield page
        while page["next_cursor"] is not None:
            page = await self.get(**query, limit=limit, cursor=page["next_cursor"])
            yield page


Reading = Callable[[Kind], Awaitable[Reader]]


@pytest.fixture
async def reading(bench: MakeBench) -> AsyncIterator[Reading]:
    """Make a reader of a kind of list, of which there is nothing yet."""
    clients: list[httpx.AsyncClient] = []

    async def make(kind: Kind) -> Reader:
        made = await bench(kind.service, kind.build)
        app = FastAPI()
        install_errors(app)
        app.include_router(kind.routes(made.executor))
        transport = httpx.ASGITransport(app=app)
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://leadline"))
        return Reader(kind, made, clients[-1])

    yield make
    for client in clients:
        await client.aclose()


async def test_every_referral_is_decided_that_a_duty_worker_finds_page_by_page(reading: Reading) -> None:
    """Six are there; what is decided leaves the list, and hides none that is still to come."""
    reader = await reading(REFERRALS)
    await reader.add(6)
    decided = []
    async for page in reader.pages(2, status="received"):
        for referral_id in reader.ids_of(page):
            await decide(reader.bench, referral_id)
            decided.append(referral_id)
    assert len(decided) == 6
    assert await reader.ids(status="received") == []


@pytest.mark.parametrize(("kind", "query"), LISTS, ids=lambda given: str(getattr(given, "path", given)))
async def test_list_that_changes_while_it_is_read_shows_once_what_is_there_throughout(
    reading: Reading, kind: Kind, query: dict[str, str]
) -> None:
    """In its order, although after each page a row goes that was shown, one that was not, and some come."""
    reader = await reading(kind)
    await reader.add(12)
    there = await reader.ids(**query)
    assert len(there) >= 12
    throughout, seen = set(there), list[UUID]()
    async for page in reader.pages(2, **query):
        shown = reader.ids_of(page)
        assert len(shown) <= 2
        seen += shown
        to_come = [each for each in await reader.ids(**query) if each not in seen]
        # The row that the cursor stands for goes, too: it need not be there for the list to go on.
        for gone in [*shown[-1:], *to_come[:1]]:
            await kind.remove(reader.bench, gone)
            throughout.discard(gone)
        if len(seen) < 8:
            await reader.add(1)
    assert len(seen) == len(set(seen))
    assert [each for each in seen if each in throughout] == [each for each in there if each in throughout]
    assert len(throughout) >= 3


@pytest.mark.parametrize(("kind", "query"), LISTS, ids=lambda given: str(getattr(given, "path", given)))
async def test_pages_are_the_list_in_its_order(reading: Reading, kind: Kind, query: dict[str, str]) -> None:
    """However long they are; each says how many rows there are in all, and only the last has no cursor."""
    reader = await reading(kind)
    await reader.add(7)
    there = await reader.ids(**query)
    for limit in (1, 3, len(there), len(there) + 1):
        pages = [page async for page in reader.pages(limit, **query)]
        assert [each for page in pages for each in reader.ids_of(page)] == there
        assert {page["total"] for page in pages} == {len(there)}
        assert len(pages) == -(-len(there) // limit)


OTHERS: list[tuple[Kind, dict[str, str], dict[str, str]]] = [
    (REFERRALS, {"status": "received"}, {"status": "accepted"}),
    (CASES, {"sort": "newest"}, {"sort": "oldest"}),
    (PLACEMENTS, {"status": "requested"}, {}),
    (ALERTS, {"state": "open", "sort": "due"}, {"state": "all", "sort": "due"}),
]


@pytest.mark.parametrize(
    ("kind", "query", "other"), OTHERS, ids=lambda given: str(getattr(given, "path", ""))
)
async def test_what_is_no_cursor_of_a_list_is_refused_with_words(
    reading: Reading, kind: Kind, query: dict[str, str], other: dict[str, str]
) -> None:
    """Of another filter or order, spoilt, or an offset of old: 422, the parameter and what to do."""
    reader = await reading(kind)
    await reader.add(3)
    cursor = (await reader.get(**query, limit=1))["next_cursor"]

    async def refused(**given: str) -> str:
        answer = await reader.http.get(kind.path, params=given)
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == PROBLEM
        (mistake,) = answer.json()["mistakes"]
        assert mistake["field"] in {"query.cursor", "query.offset"}
        assert (given.get("cursor") or "there is none") not in answer.text
        return str(mistake["message"])

    assert await refused(**other, cursor=cursor) == (
        "this cursor belongs to another list, filter or order: use the ones it came with, or start again"
        " without a cursor."
    )
    for spoilt in ("", "Jane", "a\x00b", "é", f"{cursor}A", cursor[:-2], "=" + cursor):
        sentence = "this is not a valid cursor: send one exactly as you received it, or none to start again."
        assert await refused(**query, cursor=spoilt) == sentence
    assert "at most 512 characters" in await refused(**query, cursor="x" * 513)
    for offset in ("0", "50", "x"):
        assert "send cursor=NEXT_CURSOR" in await refused(**query, offset=offset)
