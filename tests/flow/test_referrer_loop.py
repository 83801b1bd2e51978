"""The referrer's loop on the real store: each agency sees its own referrals, in order, without gaps."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import yaml
from fastapi import APIRouter, FastAPI
from sqlalchemy import text

from schemas import events as e
from schemas.events import Event
from schemas.events.codes import Channel
from services.kernel.base.settings import Settings
from services.kernel.processing.batches import BatchProcessor
from services.kernel.web.api import install_errors
from services.notify.api import referrers as referrers_api
from services.notify.app import build
from services.notify.delivery.channels.content import body
from services.notify.delivery.store import claims
from services.notify.delivery.store.claims import SenderKey
from services.notify.referrers.store import keys as agency_keys
from services.notify.referrers.store import updates as agency_updates
from tests.builders import (
    MONDAY,
    a_child,
    assessment_started,
    case_closed,
    case_of,
    lead_professional_assigned,
    referral_accepted,
    referral_of,
    referral_received,
    referral_redirected,
)
from tests.flow.conftest import Bench, MakeBench

pytestmark = pytest.mark.connected

POLICIES = Path(__file__).parents[2] / "deploy" / "policies"
SCHOOL, POLICE = "school-1", "police/2"
SUBSCRIPTION = UUID(int=900)
SHOWN = {
    "update_id",
    "referral_id",
    "agency_reference",
    "state",
    "occurred_at",
    "redirected_to",
    "lead_professional",
}
DECIDED, BEGAN = MONDAY + timedelta(minutes=1), MONDAY + timedelta(minutes=2)


@pytest.fixture
async def notify(bench: MakeBench) -> Bench:
    return await bench("notify", build)


@pytest.fixture
async def polling(notify: Bench) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API alone."""
    app, routes = FastAPI(), APIRouter()
    install_errors(app)
    referrers_api.add(routes, notify.executor)
    app.include_router(routes)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def case(number: int) -> UUID:
    return case_of(a_child(number))


def referral(number: int) -> UUID:
    return referral_of(a_child(number))


def received(number: int = 1, agency: str = SCHOOL) -> e.ReferralReceived:
    return referral_received(a_child(number), agency_id=agency, agency_reference=f"REF-{number}")


def accepted(number: int = 1, agency: str = SCHOOL) -> e.ReferralAccepted:
    return referral_accepted(a_child(number), agency_id=agency, received_at=MONDAY, at=DECIDED)


def redirected(number: int = 1, agency: str = SCHOOL) -> e.ReferralRedirected:
    return referral_redirected(a_child(number), agency_id=agency, at=DECIDED)


def began(number: int = 1) -> e.AssessmentStarted:
    return assessment_started(a_child(number), at=BEGAN)


def led(number: int = 1) -> e.LeadProfessionalAssigned:
    return lead_professional_assigned(child_id=a_child(number), at=BEGAN)


def ended(number: int = 1) -> e.CaseClosed:
    return case_closed(a_child(number), at=MONDAY + timedelta(days=40))


def journey(number: int = 1, agency: str = SCHOOL) -> tuple[Event, ...]:
    return (received(number, agency), accepted(number, agency), began(number), led(number), ended(number))


STATES = ["received", "accepted", "lead_professional_assigned", "closed"]


async def key_of(bench: Bench, agency: str = SCHOOL) -> dict[str, str]:
    """Issue a key; return the header that shows it."""
    key = agency_keys.new_key()
    async with bench.engine.begin() as connection:
        await agency_keys.issue(connection, agency, key, by="W-0001", now=bench.clock.now())
    return {"Authorization": f"Bearer {key}"}


async def ask(client: httpx.AsyncClient, headers: dict[str, str], **query: Any) -> dict[str, Any]:
    answer = await client.get(f"/referrers/{SCHOOL}/updates", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def positions(bench: Bench, agency: str = SCHOOL) -> list[int]:
    rows = await bench.rows(
        "SELECT position FROM referrer_updates WHERE agency_id = :agency ORDER BY position", agency=agency
    )
    return [row.position for row in rows]


async def lose(bench: Bench) -> None:
    """Let the store forget all that it has heard and said."""
    async with bench.engine.begin() as connection:
        await connection.execute(
            text("TRUNCATE referrer_updates, referrer_positions, heard_events, inbox, alerts CASCADE")
        )
        await connection.execute(text("TRUNCATE journal, outbox"))


async def test_an_agency_follows_its_referral_from_receipt_to_the_end(
    notify: Bench, polling: httpx.AsyncClient
) -> None:
    """Reference, state, moment, the lead's id and team; and not one field more."""
    await notify.deliver(*journey())
    found = await ask(polling, await key_of(notify))
    assert [item["state"] for item in found["items"]] == STATES
    assert all(set(item) == SHOWN for item in found["items"])
    assert {item["agency_reference"] for item in found["items"]} == {"REF-1"}
    assert {item["referral_id"] for item in found["items"]} == {str(referral(1))}
    assert [item["lead_professional"] for item in found["items"]] == [
        None,
        None,
        {"id": "W-0601", "team": "lt-ely"},
        None,
    ]
    assert found["items"][0]["occurred_at"] == "2026-09-07T09:00:00Z"
    assert found["more"] is False


async def test_a_redirected_referral_says_to_whom(notify: Bench, polling: httpx.AsyncClient) -> None:
    """The service's code, as the council calls it."""
    await notify.deliver(received(), redirected())
    found = await ask(polling, await key_of(notify))
    assert [(item["state"], item["redirected_to"]) for item in found["items"]] == [
        ("received", None),
        ("redirected", "early_help"),
    ]


async def test_a_cursor_leads_through_all_updates_once(notify: Bench, polling: httpx.AsyncClient) -> None:
    """Pages join up, an empty one returns the cursor it was asked with, and what comes later follows it."""
    for number in range(1, 6):
        await notify.deliver(*journey(number))
    headers = await key_of(notify)
    seen, cursor, more = [], None, True
    while more:
        found = await ask(polling, headers, limit=3, **({} if cursor is None else {"after": cursor}))
        seen += [item["update_id"] for item in found["items"]]
        cursor, more = found["cursor"], found["more"]
    assert len(seen) == len(set(seen)) == 20
    assert await ask(polling, headers, after=cursor) == {"items": [], "cursor": cursor, "more": False}
    await notify.deliver(received(6))
    later = await ask(polling, headers, after=cursor)
    assert [item["agency_reference"] for item in later["items"]] == ["REF-6"]


async def test_before_the_first_update_there_is_no_cursor(notify: Bench, polling: httpx.AsyncClient) -> None:
    """Whoever asks early begins from the beginning later on."""
    assert await ask(polling, await key_of(notify)) == {"items": [], "cursor": None, "more": False}


async def test_an_agency_sees_its_own_referrals_only(notify: Bench, polling: httpx.AsyncClient) -> None:
    """Also where two agencies have referred the same child; ids with a slash are ids."""
    mine, theirs = received(1), received(1, POLICE).model_copy(update={"referral_id": referral(2)})
    await notify.deliver(mine, theirs, accepted(1))
    await notify.deliver(*journey(3, POLICE))
    found = await ask(polling, await key_of(notify))
    assert [(item["state"], item["referral_id"]) for item in found["items"]] == [
        ("received", str(referral(1))),
        ("accepted", str(referral(1))),
    ]
    answer = await polling.get(
        "/referrers/police%2F2/updates", headers=await key_of(notify, POLICE), params={"limit": 500}
    )
    assert Counter(item["referral_id"] for item in answer.json()["items"]) == {
        str(referral(2)): 1,
        str(referral(3)): 4,
    }


async def test_only_the_agency_s_own_key_opens_its_updates(notify: Bench, polling: httpx.AsyncClient) -> None:
    """No key or an unknown one: 401. Another agency's: 403. Each says what to do, none quotes the key."""
    await notify.deliver(*journey())
    where = f"/referrers/{SCHOOL}/updates"
    nobody = await polling.get(where)
    unknown = await polling.get(where, headers={"Authorization": "Bearer leadline-agency-made-up"})
    basic = await polling.get(where, headers={"Authorization": "Basic c2Nob29sOm5vbmU="})
    other = await polling.get(where, headers=await key_of(notify, POLICE))
    assert [each.status_code for each in (nobody, unknown, basic, other)] == [401, 401, 401, 403]
    assert nobody.headers["www-authenticate"] == "Bearer"
    for answer in (nobody, unknown, basic, other):
        assert answer.headers["content-type"] == "application/problem+json"
        assert "items" not in answer.json()
        assert "made-up" not in answer.text
        assert len(answer.json()["detail"]) > 20


async def test_a_revoked_key_opens_nothing_and_another_one_still_does(
    notify: Bench, polling: httpx.AsyncClient
) -> None:
    """Keys are changed without a pause: the new one is issued before the old one is revoked."""
    old, new = await key_of(notify), await key_of(notify)
    async with notify.engine.begin() as connection:
        first, second = await agency_keys.list_keys(connection, SCHOOL)
        assert first.agency_id == second.agency_id == SCHOOL
        by_old = agency_keys._hash(old["Authorization"].removeprefix("Bearer ")).hex()[:12]
        assert await agency_keys.revoke(connection, by_old, now=MONDAY) == SCHOOL
        assert await agency_keys.revoke(connection, by_old, now=MONDAY) is None
    where = f"/referrers/{SCHOOL}/updates"
    assert (await polling.get(where, headers=old)).status_code == 401
    assert (await polling.get(where, headers=new)).status_code == 200


async def test_no_key_is_stored(notify: Bench) -> None:
    """Whoever reads the store cannot ask in an agency's name."""
    key = (await key_of(notify))["Authorization"].removeprefix("Bearer ")
    (row,) = await notify.rows("SELECT CAST(agency_keys AS text) AS everything FROM agency_keys")
    assert key not in row.everything
    assert key.encode().hex() not in row.everything


@pytest.mark.parametrize("cursor", ["x", "", "MTox", "é", "MTowOjZkMmE2YjZjNmYwZTVkMmY5ZDBjMWMzYTdmNWY5YTEw"])
async def test_a_text_that_is_no_cursor_is_refused(
    notify: Bench, polling: httpx.AsyncClient, cursor: str
) -> None:
    """A cursor is given back as it came; anything else is a mistake, not a beginning."""
    answer = await polling.get(
        f"/referrers/{SCHOOL}/updates", params={"after": cursor}, headers=await key_of(notify)
    )
    assert answer.status_code == 422
    assert "cursor" in answer.json()["detail"]


async def test_a_cursor_of_a_store_that_was_lost_is_not_taken_for_one_of_this(
    notify: Bench, polling: httpx.AsyncClient
) -> None:
    """Filled again from the bus, positions may mean something else: better begin again than skip."""
    headers = await key_of(notify)
    await notify.deliver(*journey())
    first = await ask(polling, headers)
    cursor = first["cursor"]
    await lose(notify)
    answer = await polling.get(f"/referrers/{SCHOOL}/updates", params={"after": cursor}, headers=headers)
    assert answer.status_code == 410
    assert "without a cursor" in answer.json()["detail"]
    await notify.deliver(*journey())
    assert await ask(polling, headers) == first, "an update keeps its id, and the same updates their cursor"


async def test_a_cursor_counts_only_where_it_stands_for_the_same_updates(
    notify: Bench, polling: httpx.AsyncClient
) -> None:
    """The same update at the same place is not enough: before it, another one may stand that was not read."""
    headers = await key_of(notify)
    one, other = (received(1), redirected(1)), (received(2), redirected(2))
    for event in (received(1), received(2), received(3), redirected(2), redirected(1)):
        await notify.deliver(event)
    cursors = [(await ask(polling, headers, limit=limit))["cursor"] for limit in range(1, 6)]
    await lose(notify)
    for event in (*one, *other, received(3)):
        await notify.deliver(event)
    asked = [
        await polling.get(f"/referrers/{SCHOOL}/updates", params={"after": cursor}, headers=headers)
        for cursor in cursors
    ]
    # 1 and 5: the same ones have been read. Of 4 the fourth is the same, and the third is another one.
    assert [answer.status_code for answer in asked] == [200, 410, 410, 410, 200]


@pytest.mark.parametrize("at_once", [1, 2, 5])
async def test_the_digest_is_of_all_updates_so_far(notify: Bench, at_once: int) -> None:
    """Told in one transaction or in several, for each agency by itself."""
    events = [received(1), received(2), received(3, POLICE), redirected(2), redirected(1)]
    for begin in range(0, len(events), at_once):
        await notify.deliver(*events[begin : begin + at_once])
    rows = await notify.rows("SELECT * FROM referrer_updates ORDER BY agency_id, position")
    read = Counter[str]()
    for row in rows:
        read[row.agency_id] ^= row.update_id.int >> 64
        assert row.digest % 2**64 == read[row.agency_id]
    assert read.keys() == {SCHOOL, POLICE}
    last = await notify.rows("SELECT agency_id, digest FROM referrer_positions")
    assert {row.agency_id: row.digest % 2**64 for row in last} == read


async def test_redelivery_tells_nothing_twice(notify: Bench) -> None:
    """The same events again, and one that the store has not seen among them."""
    records = [notify.record(event) for event in journey()]
    await notify.delivery.deliver(records)
    await notify.delivery.deliver([*records, notify.record(received(2))])
    assert await positions(notify) == [1, 2, 3, 4, 5]


async def test_a_crash_before_commit_leaves_no_update_and_no_gap(
    notify: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positions belong to the transaction: what is rolled back takes its numbers with it."""
    await notify.deliver(received(1))
    tell = agency_updates.tell

    async def crash(*arguments: Any) -> None:
        await tell(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(agency_updates, "tell", crash)
        with pytest.raises(KeyboardInterrupt):
            await notify.deliver(received(2))
    assert await positions(notify) == [1]
    await notify.deliver(received(3), received(2))
    assert await positions(notify) == [1, 2, 3]


async def test_a_reader_never_passes_a_position_that_is_still_to_be_committed(notify: Bench) -> None:
    """A later transaction of the same agency waits for the earlier one; readers see them in this order."""
    first = notify.delivery.prepare([notify.record(received(1))]).arrivals
    second = BatchProcessor(notify.service, notify.engine, notify.clock, calendar=notify.calendar)
    async with notify.engine.begin() as slow:
        await notify.service.project(slow, first)  # type: ignore[misc]  # this service has a projection
        task = asyncio.create_task(second.deliver([notify.record(received(2))]))
        async with asyncio.timeout(20):
            while not await notify.rows("SELECT 1 FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
        assert await positions(notify) == []
        assert not task.done()
    await task
    rows = await notify.rows("SELECT agency_reference FROM referrer_updates ORDER BY position")
    assert [row.agency_reference for row in rows] == ["REF-1", "REF-2"]


async def test_whoever_polls_while_workers_write_misses_nothing(notify: Bench) -> None:
    """Four workers, one agency, one reader with a cursor: it has every update, each once, in order."""
    numbers = range(1, 121)
    workers = [
        BatchProcessor(notify.service, notify.engine, notify.clock, calendar=notify.calendar)
        for _ in range(4)
    ]
    done = asyncio.Event()

    async def work(worker: BatchProcessor[Any], mine: Sequence[int]) -> None:
        for number in mine:
            await worker.deliver([notify.record(event) for event in (received(number), accepted(number))])

    async def read() -> list[int]:
        seen, last = [], 0
        while True:
            finished = done.is_set()
            async with notify.engine.connect() as connection:
                found = await agency_updates.after(connection, SCHOOL, last, limit=7)
            seen += [each.position for each in found]
            last = seen[-1] if seen else 0
            if finished and not found:
                return seen
            await asyncio.sleep(0)

    reading = asyncio.create_task(read())
    await asyncio.gather(*[work(worker, numbers[index::4]) for index, worker in enumerate(workers)])
    done.set()
    assert await reading == list(range(1, 241))


async def test_workers_of_two_topics_lose_no_update_between_them(notify: Bench) -> None:
    """One reads a child's referral while the other reads its case: whoever is later sees both."""
    numbers = range(1, 41)
    of_referrals, of_cases = (
        BatchProcessor(notify.service, notify.engine, notify.clock, calendar=notify.calendar)
        for _ in range(2)
    )

    async def work(worker: BatchProcessor[Any], *which: int) -> None:
        for number in numbers:
            events = journey(number)
            await worker.deliver([notify.record(events[index]) for index in which])

    await asyncio.gather(work(of_referrals, 0, 1), work(of_cases, 2, 3, 4))
    rows = await notify.rows("SELECT referral_id, state FROM referrer_updates ORDER BY position")
    by_referral: dict[UUID, list[str]] = {}
    for row in rows:
        by_referral.setdefault(row.referral_id, []).append(row.state)
    assert by_referral == {referral(number): STATES for number in numbers}
    assert await positions(notify) == list(range(1, 161))


async def test_the_pack_decides_what_is_seen_of_a_lead(
    bench: MakeBench, polling_of: Any, tmp_path: Path
) -> None:
    """A council that tells only the team stores nothing else for the agency."""
    base = (POLICIES / "cambridgeshire.yaml").as_posix()
    (tmp_path / "pack.yaml").write_text(f"extends: {base}\nreferrers: {{lead_professional: team}}\n")
    settings = {"policy": tmp_path / "pack.yaml"}
    notify = await bench("notify", lambda given: build(given.model_copy(update=settings)))
    await notify.deliver(*journey())
    async with polling_of(notify) as client:
        found = await ask(client, await key_of(notify))
    assert [item["lead_professional"] for item in found["items"] if item["lead_professional"]] == [
        {"id": None, "team": "lt-ely"}
    ]
    assert await notify.rows("SELECT 1 FROM referrer_updates WHERE lead_professional_id IS NOT NULL") == []


@pytest.fixture
def polling_of() -> Any:
    """Make a client of one service's API."""

    def make(bench: Bench) -> httpx.AsyncClient:
        app, routes = FastAPI(), APIRouter()
        install_errors(app)
        referrers_api.add(routes, bench.executor)
        app.include_router(routes)
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

    return make


def reachable(settings: Settings, **changes: Any) -> Any:
    """Return the service with mail and webhooks configured; nothing is asked to send."""
    configured = {"smtp": "127.0.0.1:1", "webhook_secrets": Path("/nowhere"), **changes}
    return build(settings.model_copy(update=configured))


async def subscribe(bench: Bench, agency: str) -> None:
    async with bench.engine.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO subscriptions (subscription_id, owner_kind, owner_id, channel, url, created_at)
                VALUES (:id, 'agency', :agency, 'webhook', 'https://school.example/hook', :now)
            """),
            {"id": SUBSCRIPTION, "agency": agency, "now": MONDAY},
        )


async def test_each_step_goes_to_the_agency_s_webhook_with_what_it_may_see(bench: MakeBench) -> None:
    """One request a step, its update in it as the API would show it; another agency's steps go nowhere."""
    notify = await bench("notify", reachable)
    await subscribe(notify, SCHOOL)
    await notify.deliver(*journey(1))
    await notify.deliver(*journey(2, POLICE))
    async with notify.engine.begin() as connection:
        messages = await claims.claim(
            connection,
            SenderKey(Channel.WEBHOOK, SUBSCRIPTION),
            limit=50,
            claim_id=UUID(int=5),
            now=MONDAY,
            until=MONDAY + timedelta(minutes=1),
        )
        own = [each.update.shown() for each in await agency_updates.after(connection, SCHOOL, 0, limit=50)]
    bodies = [body(message, notify.settings) for message in messages]
    told = [update for each in bodies for alert in each["alerts"] for update in alert["updates"]]
    assert [update["state"] for update in told] == STATES
    assert told == own
    assert {each["recipient_id"] for each in bodies} == {SCHOOL}


async def test_whoever_joins_a_case_learns_who_leads_it_by_the_acceptance(bench: MakeBench) -> None:
    """The second agency was not there when the lead was assigned."""
    notify = await bench("notify", reachable)
    await subscribe(notify, POLICE)
    second = {"referral_id": referral(9)}
    await notify.deliver(received(1), accepted(1), began(1), led(1))
    later = MONDAY + timedelta(hours=5)
    await notify.deliver(
        received(1, POLICE).model_copy(update={**second, "received_at": later}),
        accepted(1, POLICE).model_copy(update={**second, "decided_at": later}),
    )
    async with notify.engine.begin() as connection:
        messages = await claims.claim(
            connection,
            SenderKey(Channel.WEBHOOK, SUBSCRIPTION),
            limit=50,
            claim_id=UUID(int=5),
            now=MONDAY,
            until=MONDAY + timedelta(minutes=1),
        )
    told = [
        [update["state"] for update in alert["updates"]]
        for message in messages
        for alert in body(message, notify.settings)["alerts"]
    ]
    assert told == [["received"], ["accepted", "lead_professional_assigned"]]


async def test_agencies_whose_referrals_were_decided_otherwise_are_not_told_of_the_case(
    notify: Bench,
) -> None:
    """The last referrer is not the one whose referral led to the case."""
    other = {"referral_id": referral(9)}
    await notify.deliver(received(1), accepted(1))
    await notify.deliver(
        received(1, POLICE).model_copy(update={**other, "received_at": MONDAY + timedelta(minutes=5)}),
        redirected(1, POLICE).model_copy(update=other),
    )
    await notify.deliver(began(1), led(1))
    await notify.deliver(ended(1))
    rows = await notify.rows(
        "SELECT recipient_id, kind FROM alerts WHERE role = 'referrer' ORDER BY raised_at, kind"
    )
    told = Counter((row.recipient_id, row.kind) for row in rows)
    assert told[SCHOOL, "lead_professional.assigned"] == 1
    assert told[SCHOOL, "case.closed"] == 1
    assert {kind for agency, kind in told if agency == POLICE} == {
        "referral.received",
        "referral.redirected",
    }


async def test_a_council_may_have_agencies_mailed(bench: MakeBench, tmp_path: Path) -> None:
    """One word in the rules of the role `referrer`; each step is one email in the queue."""
    shipped = yaml.safe_load((POLICIES / "base" / "england.yaml").read_text(encoding="utf-8"))["alerts"]
    # To YAML 1.1 the word `on` is a truth value.
    rules = [{"on" if name is True else name: value for name, value in rule.items()} for rule in shipped]
    for rule in rules:
        if rule["to"] == ["referrer"]:
            rule["channels"] = ["email"]
    base = (POLICIES / "cambridgeshire.yaml").as_posix()
    pack = tmp_path / "mailing.yaml"
    pack.write_text(yaml.safe_dump({"extends": base, "alerts": rules}), encoding="utf-8")
    notify = await bench("notify", lambda settings: reachable(settings, policy=pack))
    await notify.deliver(*journey())
    rows = await notify.rows(
        "SELECT kind FROM deliveries JOIN alerts USING (alert_id)"
        " WHERE deliveries.recipient_id = :agency AND channel = 'email' ORDER BY position",
        agency=SCHOOL,
    )
    assert [row.kind for row in rows] == [
        "referral.received",
        "referral.accepted",
        "lead_professional.assigned",
        "case.closed",
    ]
