"""Every HTTP API on its real store: whatever is sent, the answer is an answer."""

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid5

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from schemas.events.codes import AgencyKind, Concern, Location, NeedDomain, PlacementKind
from services.assessment.app import build as build_assessment
from services.assessment.web import router as assessment_routes
from services.kernel.web.api import PROBLEM, install_errors
from services.kernel.web.pages.routes import shell_routes
from services.kernel.web.pages.shell import Shell
from services.notify.app import build as build_notify
from services.notify.pages import pages as notify_pages
from services.notify.web import router as notify_routes
from services.placement.app import build as build_placement
from services.placement.model import (
    EndPlacement,
    ObjectiveAsked,
    RequestPlacement,
    StartPlacement,
)
from services.placement.web import router as placement_routes
from services.referral.app import build as build_referral
from services.referral.model import ReceiveReferral
from services.referral.store import LIST, ReferralFilter
from services.referral.web import router as referral_routes
from tests.builders import MONDAY, referral_accepted, referral_received, threshold_met
from tests.flow.conftest import TESTS, Bench, MakeBench
from tests.flow.notify_browser import Browser
from tests.fuzz.effort import MARKER, effort
from tests.fuzz.http_calls import Call, Operation, calls, operations

pytestmark = pytest.mark.connected

CHILDREN = [uuid5(TESTS, f"child of the web {number}") for number in range(6)]
PAGES = ("/inbox", "/children", "/board", "/preferences", "/absences", "/sign-")


@dataclass(frozen=True)
class Site:
    """All APIs on one port, with something in every store."""

    app: FastAPI
    http: httpx.AsyncClient
    operations: Sequence[Operation]
    definitions: Mapping[str, Any]
    known: Mapping[str, Sequence[str]]

    async def send(self, call: Call) -> httpx.Response:
        """Send a call; an exception that no handler answers comes out here."""
        return await self.http.request(
            call.method, call.target, headers=list(call.headers), content=call.content
        )


async def refer(referral: Bench) -> None:
    for child_id in CHILDREN:
        await referral.execute(
            ReceiveReferral(
                child_id=child_id,
                agency=AgencyKind.SCHOOL,
                agency_id="school-1",
                locality="ely",
                concerns=(Concern.LOW_INCOME,),
            )
        )


async def accept(assessment: Bench) -> None:
    await assessment.deliver(*(referral_accepted(child_id, level=3) for child_id in CHILDREN))


async def place(placement: Bench) -> None:
    """Two placements of each state."""
    for child_id in CHILDREN:
        await placement.deliver(threshold_met(child_id, case_id=uuid5(child_id, "case"), level=3))
        await placement.execute(
            RequestPlacement(
                case_id=uuid5(child_id, "case"),
                kind=PlacementKind.KINSHIP,
                need_group=NeedDomain.SEMH,
                requested_by="W-1",
            )
        )
    ids = await known_ids(placement, "placement_id", "placements")
    for placement_id in ids[:4]:
        await placement.execute(
            StartPlacement(
                placement_id=UUID(placement_id),
                provider_id="P-1",
                kind=PlacementKind.KINSHIP,
                location=Location.IN_COUNTY,
                objectives=(ObjectiveAsked(domain=NeedDomain.SEMH, words="Sleeps through the night"),),
                started_on=MONDAY.date(),
            )
        )
    for placement_id in ids[:2]:
        await placement.execute(
            EndPlacement(placement_id=UUID(placement_id), ended_on=MONDAY.date(), reason="moved-home")
        )


async def tell(notify: Bench) -> None:
    await notify.deliver(*(referral_received(child_id) for child_id in CHILDREN))


async def known_ids(bench: Bench, column: str, table: str) -> list[str]:
    return [
        str(row[0]) for row in await bench.rows(f"SELECT DISTINCT {column} FROM {table} ORDER BY {column}")
    ]


@pytest.fixture
async def site(bench: MakeBench) -> AsyncIterator[Site]:
    """Four services with referrals, cases, placements in each state, and alerts."""
    referral = await bench("referral", build_referral)
    assessment = await bench("assessment", build_assessment)
    placement = await bench("placement", build_placement)
    notify = await bench("notify", build_notify)
    await refer(referral)
    await accept(assessment)
    await place(placement)
    await tell(notify)
    recipients = await known_ids(notify, "recipient_id", "alerts")
    cases = await known_ids(assessment, "case_id", "cases")
    known = {
        "referral_id": await known_ids(referral, "referral_id", "referrals"),
        "case_id": cases,
        "placement_id": await known_ids(placement, "placement_id", "placements"),
        "alert_id": await known_ids(notify, "alert_id", "alerts"),
        "worker_id": recipients,
        "recipient": recipients,
        "child_id": [str(child_id) for child_id in CHILDREN],
        "locality": ["ely"],
    }
    assert all(known.values())
    app = FastAPI()
    install_errors(app)
    app.include_router(referral_routes(referral.executor))
    app.include_router(assessment_routes(assessment.executor))
    app.include_router(placement_routes(placement.executor))
    app.include_router(notify_routes(notify.executor))
    shell = Shell(notify.settings.model_copy(update={"sign_in": "demo"}), notify.executor.clock)
    app.include_router(notify_pages(notify.executor, shell))
    app.include_router(shell_routes(shell))
    document = app.openapi()
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://leadline") as http:
        known["cursor"] = [
            (await http.get(path, params={"limit": 1})).json()["next_cursor"]
            for path in ("/referrals", "/cases", "/placements", "/alerts", "/caseloads")
        ]
        # Of all people the county's manager sees most pages.
        assert (await Browser(http).sign_in("W-0001")).status_code == 303
        yield Site(app, http, operations(document), document["components"]["schemas"], known)


def is_clean(call: Call, answer: httpx.Response) -> bool:
    """Whether an answer is one: no fault of ours, a problem in the agreed form, nothing quoted."""
    if answer.status_code < 400:
        return True
    if MARKER in answer.text or answer.status_code >= 500:
        return False
    kind = answer.headers["content-type"]
    if call.target.startswith(PAGES) and kind.startswith("text/html"):
        return answer.status_code in {403, 404, 409, 422}
    return kind == PROBLEM and answer.json()["status"] == answer.status_code


@effort(250)
@given(data=st.data())
async def test_every_call_gets_an_answer_and_every_mistake_a_problem(site: Site, data: st.DataObject) -> None:
    """Whatever stands in path, query, headers and body: no exception, no 5xx, no value quoted."""
    operation = data.draw(st.sampled_from(site.operations))
    call = data.draw(calls(operation, site.definitions, site.known))
    answer = await site.send(call)
    assert is_clean(call, answer), (call.method, call.target[:200], answer.status_code, answer.text[:500])


JSON = (b"content-type", b"application/json")
HOSTILE_KEYS: tuple[tuple[object, ...], ...] = (
    (2**62, 1),
    (2**63, UUID(int=1).hex),
    (-(2**62), UUID(int=1).hex),
    ("\ud800", "\x00"),
    (None, None),
    (),
)


def spoilt_cursor(key: tuple[object, ...]) -> str:
    """Return a cursor of the list of referrals as somebody makes it who knows how; its key is none."""
    mark = LIST["newest"].cursors(ReferralFilter().parameters()).mark
    raw = json.dumps([1, mark, *key], separators=(",", ":")).encode()
    return urlsafe_b64encode(raw).decode().rstrip("=")


def keyed(number: int) -> tuple[bytes, bytes]:
    return (b"idempotency-key", f"regression {number}".encode())


async def test_calls_that_once_failed_are_told_what_is_wrong(site: Site) -> None:
    """Found by fuzzing: each of these was answered with status 500, or not as a problem."""
    referral_id, placement_id = site.known["referral_id"][0], site.known["placement_id"][-1]
    start = {
        "provider_id": "P-1",
        "kind": "kinship",
        "location": "in_county",
        "objectives": [{"domain": "semh", "words": "a\x00b"}],
        "started_on": str(MONDAY.date()),
    }
    decision = f"/referrals/{referral_id}/decision"
    posts: list[tuple[str, bytes, int]] = [
        (decision, json.dumps({"decided_by": MARKER}).encode(), 422),
        (decision, b'{"decided_by": "W-1", "outcome": "accept", "close_reason": "duplicate"}', 422),
        (decision, b'{"decided_by": "W-1", "\\ud800": 1}', 422),
        (decision, b"[" * 100_000, 400),
        (decision, b'{"decided_by": ' + b"9" * 5000 + b"}", 400),
        (f"/placements/{placement_id}/start", json.dumps(start).encode(), 422),
    ]
    gets = [
        ("/referrals?offset=9223372036854775808", 422),
        (f"/alerts?cursor={site.known['cursor'][0]}", 422),
        *((f"/referrals?cursor={quote(spoilt_cursor(key))}", 422) for key in HOSTILE_KEYS),
        ("/referrals?agency_id=a%00b", 422),
        ("/referrals?locality=a%00b", 422),
        ("/alerts?kind=a%00b", 422),
        ("/nowhere", 404),
    ]
    sent = [
        *(
            (Call("POST", path, (keyed(number), JSON), content), status)
            for number, (path, content, status) in enumerate(posts)
        ),
        *((Call("GET", target, (), None), status) for target, status in gets),
        (Call("DELETE", "/referrals", (), None), 405),
    ]
    for call, status in sent:
        answer = await site.send(call)
        assert (call.target, answer.status_code) == (call.target, status)
        assert is_clean(call, answer)


async def test_a_refused_method_still_says_which_are_allowed(site: Site) -> None:
    """The header that HTTP demands stays beside the problem."""
    answer = await site.send(Call("PUT", "/alerts", (), None))
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]
