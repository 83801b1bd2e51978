"""Referrals on the real store: once in effect, whatever the bus does."""

import asyncio
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from services.kernel.messages.faults import Refused
from services.kernel.web.api import install_errors
from services.referral.app import build
from services.referral.model import DecideReferral, ReceiveReferral
from services.referral.web import router
from tests.builders import referral_made
from tests.flow.conftest import Bench, MakeBench

pytestmark = pytest.mark.connected

CHILD = UUID(int=7)


@pytest.fixture
async def referral(bench: MakeBench) -> Bench:
    return await bench("referral", build)


async def state(bench: Bench) -> list[object]:
    tables = ("referrals", "journal", "outbox", "deadlines", "dead_letters")
    return [await bench.rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables]


async def test_a_partner_event_becomes_a_referral_with_a_deadline(referral: Bench) -> None:
    """One event in, two out: the referral and its one-working-day clock."""
    await referral.deliver(referral_made())
    assert await referral.journal_types() == ["referral.received.v1", "deadline.scheduled.v1"]


@pytest.mark.parametrize("batches", [1, 2])
async def test_a_redelivered_referral_changes_nothing(referral: Bench, batches: int) -> None:
    """The same event twice, in one poll or in two, is one referral."""
    await referral.deliver(referral_made())
    before = await state(referral)
    for _ in range(batches):
        await referral.deliver(*[referral_made()] * (3 - batches))
    assert await state(referral) == before


async def test_an_agency_that_sends_its_referral_again_has_made_one(referral: Bench) -> None:
    """Another event id with the agency's own reference of an earlier referral changes nothing."""
    first = referral_made(agency_reference="case-77")
    again = first.model_copy(update={"made_at": first.made_at + timedelta(minutes=5)})
    await referral.deliver(first, again)
    await referral.deliver(again.model_copy(update={"made_at": first.made_at + timedelta(hours=1)}))
    assert len(await referral.rows("SELECT 1 FROM referrals")) == 1


async def test_a_crash_before_commit_leaves_nothing_and_redelivery_everything(
    referral: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claims, referrals and events stand or fall together."""
    save = type(referral.service.store).save

    async def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(referral.service.store), "save", crash)
    with pytest.raises(KeyboardInterrupt):
        await referral.deliver(referral_made())
    assert not await referral.rows("SELECT 1 FROM inbox")
    monkeypatch.setattr(type(referral.service.store), "save", save)
    await referral.deliver(referral_made())
    assert len(await referral.rows("SELECT 1 FROM referrals")) == 1


async def test_an_undecided_referral_becomes_due_and_overdue_once(referral: Bench) -> None:
    """Each state is raised once, however often the scanner looks."""
    await referral.deliver(referral_made())
    for days in (1, 1, 1, 1):
        referral.clock.move(timedelta(days=days))
        await referral.scan()
        await referral.scan()
    raised = [name for name in await referral.journal_types() if name.startswith("deadline.")]
    assert raised == ["deadline.scheduled.v1", "deadline.due.v1", "deadline.overdue.v1"]


async def test_a_decision_meets_the_deadline_and_is_taken_once(referral: Bench) -> None:
    """The same key returns the first answer; another key is refused."""
    await referral.deliver(referral_made())
    ((referral_id,),) = await referral.rows("SELECT referral_id FROM referrals")
    command = DecideReferral(
        referral_id=referral_id, decided_by="W-1", outcome="accept", override_reason="known-family"
    )
    first = await referral.execute(command, key="decision-1")
    assert first == await referral.execute(command, key="decision-1")
    assert first["events"] == ["referral.accepted.v1", "deadline.met.v1"]
    with pytest.raises(Refused, match="already accepted"):
        await referral.execute(command, key="decision-2")


async def test_one_key_for_two_requests_is_refused(referral: Bench) -> None:
    """A key that was used for something else is the caller's mistake, and said so."""
    first = ReceiveReferral.model_validate(referral_made().model_dump(exclude={"made_at"}))
    await referral.execute(first, key="same-key-1")
    with pytest.raises(Refused, match="another request"):
        await referral.execute(first.model_copy(update={"child_id": CHILD}), key="same-key-1")


@pytest.fixture
async def http(referral: Bench) -> httpx.AsyncClient:
    app = FastAPI()
    install_errors(app)
    app.include_router(router(referral.executor))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://leadline")


BODY = {
    "child_id": str(CHILD),
    "agency": "school",
    "agency_id": "school-1",
    "locality": "huntingdon",
    "concerns": ["N1"],
}


async def test_posting_twice_with_one_key_makes_one_referral(http: httpx.AsyncClient) -> None:
    """An impatient caller gets the same answer twice."""
    answers = [
        await http.post("/referrals", json=BODY, headers={"Idempotency-Key": "school-1-0001"})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert (await http.get("/referrals")).json()["total"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"locality": "atlantis"}, "There is no locality atlantis: use one of"),
        ({"concerns": []}, "must not be empty"),
        ({"concerns": ["N99"]}, "N1"),
        ({"child_id": "Jane"}, "must be an id"),
        ({"name": "Jane"}, "is not a known field"),
    ],
)
async def test_bad_input_is_answered_with_what_to_do(
    http: httpx.AsyncClient, change: dict[str, object], words: str
) -> None:
    """A problem document that names the field and never repeats the value of an unknown one."""
    answer = await http.post("/referrals", json=BODY | change, headers={"Idempotency-Key": "school-1-0002"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.text
    assert "Jane" not in answer.text


async def test_a_post_without_a_key_is_refused(http: httpx.AsyncClient) -> None:
    """Without a key a repeated request could double a referral."""
    answer = await http.post("/referrals", json=BODY)
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.text


async def test_one_referral_is_shown_with_its_advice_and_its_deadline(
    referral: Bench, http: httpx.AsyncClient
) -> None:
    """What the list shows of a referral is what its own page shows, and there its deadline is, too."""
    await referral.deliver(referral_made())
    (shown,) = (await http.get("/referrals")).json()["items"]
    one = (await http.get(f"/referrals/{shown['referral_id']}")).json()
    assert one == shown | {"deadlines": one["deadlines"]}
    assert one["advice"]["words"]
    assert one["deadlines"][0]["kind"] == "triage_decision"


async def test_two_sendings_at_the_same_moment_make_one_referral(referral: Bench) -> None:
    """The database decides who is first; the other is told which referral it has already made."""
    command = ReceiveReferral.model_validate(
        referral_made(agency_reference="case-78").model_dump(exclude={"made_at"})
    )
    outcomes = await asyncio.gather(
        *(referral.execute(command, key=f"at-once-{number}") for number in range(4)), return_exceptions=True
    )
    refusals = [str(outcome) for outcome in outcomes if isinstance(outcome, Refused)]
    assert len(refusals) == 3
    assert all("already made" in refusal for refusal in refusals)
    assert len(await referral.rows("SELECT 1 FROM referrals")) == 1
