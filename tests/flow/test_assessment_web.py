"""The assessment service's HTTP API on its real store."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import httpx
import pytest
from fastapi import FastAPI

from services.assessment.app import build
from services.assessment.web import router
from services.kernel.web.api import PROBLEM, install_errors
from tests.builders import referral_accepted

pytestmark = pytest.mark.connected

ROOT = UUID("5a1f3c5e-0000-4000-8000-000000000004")
NOBODY = uuid5(ROOT, "no case")


class Caller:
    """Somebody who calls the API, with a bench behind it."""

    def __init__(self, bench: Any, http: httpx.AsyncClient) -> None:
        self.bench = bench
        self._http = http
        self._keys = 0

    async def refer(self, *children: str, locality: str = "ely", level: int = 2) -> None:
        """Let the referrals of these children be accepted, in this order, a minute apart."""
        for child in children:
            self.bench.clock.move(timedelta(minutes=1))
            await self.bench.deliver(
                referral_accepted(
                    uuid5(ROOT, child), at=self.bench.clock.now(), locality=locality, level=level
                )
            )

    async def get(self, path: str, **query: object) -> Any:
        """Return the JSON of an answer that must be 200."""
        answer = await self._http.get(path, params={name: str(value) for name, value in query.items()})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ask(self, path: str, **query: object) -> httpx.Response:
        """Return the answer to a GET, whatever it is."""
        return await self._http.get(path, params={name: str(value) for name, value in query.items()})

    async def post(self, path: str, body: object, *, key: str | None = None) -> httpx.Response:
        """Return the answer to a POST; each has a key of its own unless one is given."""
        self._keys += 1
        headers = {"Idempotency-Key": key or f"request {self._keys}"}
        return await self._http.post(path, json=body, headers=headers)

    async def case_id(self, child: str) -> str:
        """Return the id of a child's only case."""
        page = await self.get("/cases", child_id=uuid5(ROOT, child))
        assert page["total"] == 1
        return str(page["items"][0]["case_id"])


def findings(**levels: int) -> dict[str, Any]:
    """Return the body that completes an assessment with these needs, `domain=level`."""
    needs = [{"domain": domain, "level": level} for domain, level in levels.items()]
    return {"needs": needs, "completed_by": "W-1"}


@pytest.fixture
async def caller(bench: Callable[..., Any]) -> AsyncIterator[Caller]:
    """Somebody who calls an assessment service without a case."""
    made = await bench("assessment", build)
    app = FastAPI()
    install_errors(app)
    app.include_router(router(made.executor))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://leadline.test") as http:
        yield Caller(made, http)


async def test_completed_assessment_shows_needs_level_rules_and_the_next_date(caller: Caller) -> None:
    """What a lead professional needs to see stands on the one page of the case."""
    await caller.refer("Ada")
    case_id = await caller.case_id("Ada")
    answer = await caller.post(f"/cases/{case_id}/assessment", findings(safety=3))
    assert answer.status_code == 200
    case = await caller.get(f"/cases/{case_id}")
    assert case["status"] == "planned"
    assert case["needs"] == [{"domain": "safety", "level": 3}]
    assert case["level"] == 3
    assert [rule["code"] for rule in case["rules"]] == ["complex-safety", "complex-in-one-domain"]
    assert case["lead_professional_id"].startswith("W-")
    assert [(date["kind"], date["state"]) for date in case["deadlines"]] == [("plan_review", "scheduled")]
    assert {name: value for name, value in case.items() if name != "deadlines"} == answer.json()


async def test_review_answers_with_the_case_after_it(caller: Caller) -> None:
    """A closing review ends the case and nothing stays due."""
    await caller.refer("Ada")
    case_id = await caller.case_id("Ada")
    await caller.post(f"/cases/{case_id}/assessment", findings(safety=3))
    answer = await caller.post(f"/cases/{case_id}/reviews", {"outcome": "close", "reviewed_by": "W-1"})
    assert answer.json()["status"] == "closed"
    assert answer.json()["close_reason"] == "outcomes_met"
    assert (await caller.get(f"/cases/{case_id}"))["deadlines"] == []


async def test_repeated_request_gets_the_first_answer(caller: Caller) -> None:
    """The same key gives the same answer, byte for byte; another body under it is refused."""
    await caller.refer("Ada")
    path = f"/cases/{await caller.case_id('Ada')}/assessment"
    first = await caller.post(path, findings(safety=3), key="one request")
    again = await caller.post(path, findings(safety=3), key="one request")
    assert (again.status_code, again.json()) == (200, first.json())
    other = await caller.post(path, findings(safety=4), key="one request")
    assert other.status_code == 409
    assert "Idempotency-Key" in other.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("assessment", findings(safety=3)),
        ("reviews", {"outcome": "continue", "reviewed_by": "W-1"}),
    ],
)
async def test_unknown_case_is_not_found(caller: Caller, path: str, body: object) -> None:
    """A problem that says which id to check, whatever is asked of the case."""
    answer = await caller.post(f"/cases/{NOBODY}/{path}", body)
    looked = await caller.ask(f"/cases/{NOBODY}")
    for problem in (answer, looked):
        assert problem.status_code == 404
        assert problem.headers["content-type"] == PROBLEM
        assert str(NOBODY) in problem.json()["detail"]


async def test_refusal_says_what_to_do(caller: Caller) -> None:
    """Reviewing before the assessment is completed, and completing it twice."""
    await caller.refer("Ada")
    case_id = await caller.case_id("Ada")
    early = await caller.post(f"/cases/{case_id}/reviews", {"outcome": "continue", "reviewed_by": "W-1"})
    await caller.post(f"/cases/{case_id}/assessment", findings(safety=4))
    twice = await caller.post(f"/cases/{case_id}/assessment", findings(safety=4))
    up = await caller.post(f"/cases/{case_id}/reviews", {"outcome": "step_up", "reviewed_by": "W-1"})
    assert [answer.status_code for answer in (early, twice, up)] == [409, 409, 409]
    assert "complete the assessment first" in early.json()["detail"]
    assert "already completed" in twice.json()["detail"]
    assert "Level 4 is the highest" in up.json()["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"needs": [], "completed_by": "W-1"}, "needs"),
        ({"needs": [{"domain": "luck", "level": 2}], "completed_by": "W-1"}, "needs.0.domain"),
        ({"needs": [{"domain": "health", "level": 5}], "completed_by": "W-1"}, "needs.0.level"),
        ({"needs": [{"domain": "health", "level": 2}] * 2, "completed_by": "W-1"}, ""),
        ({"needs": [{"domain": "health", "level": 2}]}, "completed_by"),
        ({"needs": [{"domain": "health", "level": 2}], "completed_by": "Ann Smith"}, "completed_by"),
        ({**findings(health=2), "note": "free text"}, "note"),
    ],
    ids=["none", "unknown domain", "no such level", "domain twice", "nobody", "a name", "unknown field"],
)
async def test_mistaken_findings_are_named_by_field(caller: Caller, body: object, field: str) -> None:
    """The field and a sentence, never the value that was sent: it may be personal."""
    await caller.refer("Ada")
    answer = await caller.post(f"/cases/{await caller.case_id('Ada')}/assessment", body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == PROBLEM
    assert field in [mistake["field"] for mistake in answer.json()["mistakes"]]
    assert "Ann Smith" not in answer.text


async def test_request_without_a_key_is_refused(caller: Caller) -> None:
    """Without an Idempotency-Key nobody could tell a repetition from a second request."""
    answer = await caller._http.post(f"/cases/{NOBODY}/assessment", json=findings(health=2))
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.text


async def test_cases_are_listed_by_their_start(caller: Caller) -> None:
    """The newest first unless asked for the oldest."""
    await caller.refer("Ada", "Ben", "Cy", "Dee", "Eve")
    newest = [case["child_id"] for case in (await caller.get("/cases"))["items"]]
    assert newest == [str(uuid5(ROOT, child)) for child in ("Eve", "Dee", "Cy", "Ben", "Ada")]
    oldest = await caller.get("/cases", sort="oldest")
    assert [case["child_id"] for case in oldest["items"]] == newest[::-1]


async def test_filters_choose_by_status_lead_locality_and_child(caller: Caller) -> None:
    """Each filter alone finds exactly its cases."""
    await caller.refer("Ada", "Ben")
    await caller.refer("Cy", locality="march")
    await caller.post(f"/cases/{await caller.case_id('Ben')}/assessment", findings(health=1))

    async def found(**query: object) -> set[str]:
        page = await caller.get("/cases", **query)
        assert page["total"] == len(page["items"])
        return {case["child_id"] for case in page["items"]}

    ada, ben, cy = (str(uuid5(ROOT, child)) for child in ("Ada", "Ben", "Cy"))
    assert await found(status="open") == {ada, cy}
    assert await found(status="closed") == {ben}
    assert await found(locality="march") == {cy}
    assert await found(child_id=ada) == {ada}
    lead = (await caller.get("/cases", child_id=cy))["items"][0]["lead_professional_id"]
    assert await found(lead=lead) == {cy}
    assert await found(status="open", locality="ely") == {ada}
    assert (await caller.ask("/cases", status="lost")).status_code == 422


async def test_caseloads_show_everybody_the_fullest_first(caller: Caller) -> None:
    """Points against the capacity for leading, of one team or of all."""
    await caller.refer("Ada", level=4)
    case = (await caller.get("/cases"))["items"][0]
    everybody = await caller.get("/caseloads", limit=500)
    fullest = everybody["items"][0]
    assert (fullest["practitioner"], fullest["team"]) == (case["lead_professional_id"], "lt-ely")
    assert (fullest["cases"], fullest["points"]) == (1, case["points"])
    assert fullest["weighted"] == pytest.approx(case["points"] / fullest["capacity"], abs=0.0001)
    assert {row["weighted"] for row in everybody["items"][1:]} == {0}
    assert everybody["total"] == len(everybody["items"]) == len(caller.bench.service.store.roster.leaders)
    team = await caller.get("/caseloads", team="lt-ely")
    assert team["total"] < everybody["total"]
    assert {row["team"] for row in team["items"]} == {"lt-ely"}


async def test_caseloads_are_read_to_their_end_while_one_grows(caller: Caller) -> None:
    """Whoever's load stays as it is comes once, the fullest first; the cursor is of one team's list."""
    await caller.refer("Ada", "Ben")
    everybody = [row["practitioner"] for row in (await caller.get("/caseloads", limit=500))["items"]]
    page = await caller.get("/caseloads", limit=3)
    seen = [row["practitioner"] for row in page["items"]]
    await caller.refer("Cy")
    busier = (await caller.get("/cases"))["items"][0]["lead_professional_id"]
    elsewhere = await caller.ask("/caseloads", team="lt-ely", cursor=page["next_cursor"])
    while page["next_cursor"] is not None:
        page = await caller.get("/caseloads", limit=3, cursor=page["next_cursor"])
        seen += [row["practitioner"] for row in page["items"]]
    assert [each for each in seen if each != busier] == [each for each in everybody if each != busier]
    assert elsewhere.status_code == 422
    assert "belongs to another list" in elsewhere.text


async def test_net_counts_open_cases(caller: Caller) -> None:
    """All three figures, under the names that the pages show."""
    await caller.refer("Ada", "Ben")
    assert await caller.get("/cases/net") == {
        "open_cases": 2,
        "open_cases_without_lead": 0,
        "open_cases_without_deadline": 0,
    }
