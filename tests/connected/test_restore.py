"""A store that is restored to an earlier moment, or lost, rejoins as if nothing had been."""

import asyncio
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid5

import httpx
import pytest

from deploy.embedded.engines import running_engines
from deploy.embedded.ports import free_port
from schemas import events as e
from schemas.events import Event
from schemas.topics import NOTIFY, PARTNER
from services.cli.catalogue import SERVICES
from services.cli.demo import START
from services.county.driver import Play, PlayedMoment
from services.county.pace import held_time
from services.county.pack import CountyPack
from services.county.partner_bus import PartnerBus
from services.county.plan import county_month
from services.county.practitioners import Practitioners
from services.county.settled import settled
from services.county.site import Site
from services.county.timetable import moments
from services.kernel.base.clock import HeldClock
from services.kernel.base.settings import Settings
from services.kernel.kafka.admin import Bus
from services.kernel.kafka.producer import Publisher
from services.kernel.messages.envelope import Envelope, encode
from services.kernel.pack.model import load_pack
from services.kernel.processing.commands import request_id
from tests.connected.conftest import ROOT
from tests.connected.restoring import Tables, Town, differences, living, mail_server, partners
from tests.needs_kafka import needs_kafka

pytestmark = [pytest.mark.connected, pytest.mark.timeout(600)]

SEED, DAYS = 5, 5
BACKUP_AFTER = 0.4
"""Of the play; what follows is what a restored store has lost."""

ARRANGED = {"preferences", "quiet_hours", "delegations", "subscriptions", "agency_keys"}
"""What people have told the notify service and no event carries."""

REQUESTS = "SELECT key FROM requests"

IDS = UUID("7be0c1de-0000-4000-8000-000000000000")
CHILD = uuid5(IDS, "child")
REVIEW_KEY = "restore-review"
SAID = "I want to see my brother more often."
AGENCY = "police-1"
TEAM = "lt-ely"
LEAD, STAND_IN = "W-0601", "W-0603"
LEADS = (LEAD, STAND_IN, "W-0602", "W-0611")
"""Whoever may lead a case of that team."""


@dataclass
class Lived:
    """A county that has lived, with backups from the middle of it, at rest."""

    town: Town
    reference: dict[str, Tables]
    requests: dict[str, set[str]]
    """By service, the ids of all requests that were done."""
    mails: list[str]
    asked: dict[str, int]
    """How often each partner's endpoint was asked."""
    readers: list["Reader"]
    now: datetime
    case_id: str
    placement_id: str


@dataclass(frozen=True)
class Reader:
    """An agency's system that has read its updates up to some moment."""

    key: str
    known: frozenset[str] = frozenset()
    cursor: str | None = None

    async def read_on(self, http: httpx.AsyncClient) -> "Reader":
        """Read what has come since; begin again where its cursor counts for nothing any more."""
        headers = {"Authorization": f"Bearer {self.key}"}
        known, cursor, more = self.known, self.cursor, True
        while more:
            asked = {} if cursor is None else {"after": cursor}
            answer = await http.get(f"/referrers/{AGENCY}/updates", params=asked, headers=headers)
            if answer.status_code == httpx.codes.GONE:
                cursor = None
                continue
            page = answer.raise_for_status().json()
            known |= {update["update_id"] for update in page["items"]}
            cursor, more = page["cursor"], page["more"]
        return Reader(self.key, known, cursor)


def report_of(event_id: str, **facts: Any) -> tuple[str, Event]:
    """Return what a return says of one stay of a child, with the id of the message."""
    common = {"child_id": CHILD, "episode_id": uuid5(IDS, "episode"), "started_on": date(2025, 5, 1)}
    codes = {"reason_started": "S", "legal_status": "C2", "need": "N1", "placement_type": "U4"}
    return event_id, e.LookedAfterEpisodeReported.model_validate(common | codes | facts)


async def from_partner(town: Town, *events: tuple[str, Event], at: datetime) -> None:
    """Publish as a partner does."""
    settings = Settings(kafka=town.engines.kafka, kafka_idempotent=town.engines.kafka_idempotent)
    async with Publisher(settings, PARTNER.name) as publisher:
        envelopes = [
            Envelope(
                id=event_id,
                source="/partners/test",
                type=event.wire_type,
                time=at,
                data=event.encode(),
                subject=str(event.subject),
                key=str(event.child_id),
            )
            for event_id, event in events
        ]
        await publisher.publish(
            [(key or b"", value, headers) for key, value, headers in map(encode, envelopes)]
        )


@dataclass
class People:
    """Sends what people do, one thing after the other, and waits until the system has come to rest."""

    site: Site
    http: httpx.AsyncClient
    now: datetime

    async def do(self, path: str, body: dict[str, Any], *, key: str) -> dict[str, Any]:
        response = await self.http.post(path, json=body, headers={"Idempotency-Key": key})
        assert response.is_success, response.text
        await self.rest()
        answer: dict[str, Any] = response.json()
        return answer

    async def rest(self) -> None:
        await settled(self.site, self.now)

    async def all_sent(self) -> None:
        """Wait until nothing is on its way to anybody either, nor anything that comes of it."""
        async with asyncio.timeout(120):
            while True:
                before = await settled(self.site, self.now)
                deliveries = (await self.site.get("/alerts/figures"))["deliveries"].values()
                after = await settled(self.site, self.now)
                if not any(states.get("queued") for states in deliveries) and before.events == after.events:
                    return

    async def refer(self, child: UUID) -> str:
        """Refer a child; return the referral's id."""
        body = {
            "child_id": str(child),
            "agency": "police",
            "agency_id": AGENCY,
            "locality": "ely",
            "concerns": ["N1"],
            "immediate_risk": True,
        }
        await self.do("/referrals", body, key=f"restore-refer-{child}")
        (shown,) = (await self.site.get("/referrals", child_id=str(child)))["items"]
        return str(shown["referral_id"])

    async def accept(self, referral_id: str) -> None:
        """Decide that a child is to be assessed."""
        body = {"decided_by": "W-0600", "outcome": "accept", "override_reason": "told-so"}
        await self.do(f"/referrals/{referral_id}/decision", body, key=f"restore-accept-{referral_id}")

    async def case_of(self, child: UUID) -> str:
        (shown,) = (await self.site.get("/cases", child_id=str(child)))["items"]
        return str(shown["case_id"])


async def arrange(people: People, town: Town) -> str:
    """Let people and partners arrange how they hear of things; return the agency's key."""
    for kind, lead in product(("lead_professional.assigned", "key_worker.assigned"), LEADS):
        digest = {"kind": kind, "channel": "email", "choice": "digest"}
        await people.do(f"/workers/{lead}/preferences", digest, key=f"restore-{kind}-{lead}")
    worker = f"/workers/{LEAD}"
    quiet = {"quiet_from": "18:00", "quiet_until": "08:30", "digest": "daily", "digest_at": "09:15"}
    await people.do(f"{worker}/quiet-hours", quiet, key="restore-quiet")
    begins, ends = (people.now + timedelta(days=days) for days in (1, 3))
    away = {"to_id": STAND_IN, "starts_at": begins.isoformat(), "ends_at": ends.isoformat()}
    await people.do(f"{worker}/absences", away | {"declared_by": LEAD}, key="restore-absence")
    for owner in (f"--agency={AGENCY}", f"--team={TEAM}", "--team=lt-wisbech"):
        path = f"{town.hooks}/{owner[2:]}"
        done = await asyncio.to_thread(town.cli, "subscriptions", "add", path, owner, "--key=key")
        assert done.returncode == 0, done.stderr
    town.receiver.at("/team=lt-wisbech").mode = "gone"
    return await issue_key(town)


async def issue_key(town: Town) -> str:
    """Return a new key of the agency."""
    issued = await asyncio.to_thread(town.cli, "agency-keys", "issue", AGENCY)
    assert issued.returncode == 0, issued.stderr
    return issued.stdout.strip()


async def one_childs_way(people: People) -> tuple[str, str]:
    """Take a child through everything, from referral to exit interview; return its case and placement."""
    await people.accept(await people.refer(CHILD))
    case_id = await people.case_of(CHILD)
    for number, worker in enumerate(("W-0602", None, "W-0602")):  # the second time it is no news to them
        key_worker = {"key_worker_id": worker, "assigned_by": "W-0600"}
        await people.do(f"/children/{CHILD}/key-worker", key_worker, key=f"restore-key-worker-{number}")
    (alert, *_) = (await people.site.get("/alerts", kind="lead_professional.assigned"))["items"]
    snooze = {"snoozed_by": alert["recipient_id"], "until": (people.now + timedelta(hours=2)).isoformat()}
    await people.do(f"/alerts/{alert['alert_id']}/snooze", snooze, key="restore-snooze")
    needs = [{"domain": "safety", "level": 4}]
    case, today = f"/cases/{case_id}", people.now.date().isoformat()
    await people.do(f"{case}/assessment", {"needs": needs, "completed_by": "W-0600"}, key="restore-complete")
    review = {"outcome": "continue", "reviewed_by": "W-0600"}
    await people.do(f"{case}/reviews", review, key=REVIEW_KEY)
    asked = {"case_id": case_id, "kind": "kinship", "need_group": "safety", "requested_by": "W-0600"}
    await people.do("/placements", asked, key="restore-request")
    (shown,) = (await people.site.get("/placements", child_id=str(CHILD)))["items"]
    placement = f"/placements/{shown['placement_id']}"
    objectives = [{"domain": "safety", "words": "Sleeps through the night."}]
    start = {"provider_id": "P-1", "kind": "kinship", "location": "in_county", "started_on": today}
    await people.do(f"{placement}/start", start | {"objectives": objectives}, key="restore-start")
    await people.do(f"{placement}/reviews", {"reviewed_on": today, "reviewed_by": "IRO-1"}, key="restore-iro")
    await people.do(f"{placement}/end", {"ended_on": today, "reason": "planned-move"}, key="restore-end")
    page = await people.site.get(placement)
    outcome = {"objective_id": page["objectives"][0]["objective_id"], "met": True, "childs_words": SAID}
    answers = {"outcomes": [outcome], "held_on": today, "held_by": "W-0600"}
    await people.do(f"{placement}/exit-interview", answers, key="restore-interview")
    return case_id, str(shown["placement_id"])


async def live(town: Town, clock: HeldClock) -> Lived:
    """Let the county live, and back every store up in the middle."""
    pack = load_pack(ROOT / Settings().policy, CountyPack)
    calendar = pack.working_calendar
    stops = moments(START, DAYS, calendar)
    plan = county_month(SEED, START, DAYS, 1.0, localities=pack.places)

    connection = {"bootstrap_servers": town.engines.kafka}
    async with (
        Site(town.site) as site,
        PartnerBus(connection) as bus,
        httpx.AsyncClient(base_url=town.site, timeout=60) as http,
    ):
        await from_partner(town, report_of("r1", return_year=2025), at=START)
        readers = [Reader(await arrange(People(site, http, START), town))]

        async def watch(moment: PlayedMoment) -> None:
            if moment.number == int(moment.of * BACKUP_AFTER):
                await asyncio.to_thread(town.back_up)
                readers.append(await readers[0].read_on(http))

        county = Play(site, bus, clock, Practitioners(SEED, pack, calendar))
        played = await county.run(plan, stops, watch=watch)
        assert played.differences == []
        now = stops[-1] + timedelta(hours=10)
        clock.set(now)
        ended = {"ended_on": date(2026, 2, 1), "reason_ended": "E4A"}
        await from_partner(
            town,
            report_of("r2", return_year=2026, **ended),
            report_of("r3", return_year=2025),  # an earlier year, read later: it changes nothing
            ("r4", e.LookedAfterChildReported(child_id=CHILD, return_year=2026)),
            at=now,
        )
        people = People(site, http, now)
        case_id, placement_id = await one_childs_way(people)
        await people.all_sent()
        readers.append(await readers[1].read_on(http))
    reference = {service.value: await town.tables(service) for service in SERVICES}
    requests = {
        service.value: {str(request_id(service, row["key"])) for row in await town.rows(service, REQUESTS)}
        for service in SERVICES
    }
    asked = {path: endpoint.asked for path, endpoint in town.receiver.endpoints.items()}
    return Lived(town, reference, requests, town.mails, asked, readers, now, case_id, placement_id)


@pytest.fixture(scope="module")
def lived() -> Iterator[Lived]:
    """A county that has lived eight days on engines of its own."""
    var = ROOT / "var" / "test" / "restored"
    clock = HeldClock(var / "clock")
    clock.set(START)
    port, mail = free_port(), var / "mail"
    secrets = var / "secrets"
    secrets.mkdir(parents=True, exist_ok=True)
    (secrets / "key").write_text("a-signing-key-of-some-length")
    shutil.rmtree(mail, ignore_errors=True)
    with (
        mail_server(mail) as smtp,
        partners() as (receiver, hooks),
        running_engines(
            var, say=lambda _: None, free_ports=True, fresh=True, cache=ROOT / "var" / "engines"
        ) as engines,
    ):
        needs_kafka(engines)
        env = {
            **engines.env(),
            **held_time(clock),
            "LEADLINE_SMTP": smtp,
            "LEADLINE_WEBHOOK_SECRETS": str(secrets),
            "LEADLINE_WEBHOOK_HTTP": "true",
            "LEADLINE_WEBHOOK_PRIVATE_HOSTS": "127.0.0.1",
            "LEADLINE_PORT": str(port),
            "LEADLINE_LOG_LEVEL": "warning",
        }

        async def apply() -> None:
            async with Bus(Settings(kafka=engines.kafka)) as bus:
                await bus.apply()

        asyncio.run(apply())
        town = Town(engines, env, f"http://127.0.0.1:{port}", var / "backups", mail, receiver, hooks)
        with living(town):
            yield asyncio.run(live(town, clock))


async def rejoined(lived: Lived, service: str) -> dict[str, Any]:
    """Let a service rejoin and start again, wait until all is at rest, return what the command said."""
    report = await rejoin(lived, service)
    await asyncio.to_thread(lived.town.start, service)
    await lived.town.at_work(service)
    async with Site(lived.town.site) as site, httpx.AsyncClient() as http:
        await People(site, http, lived.now).all_sent()
    return report


async def rejoin(lived: Lived, service: str) -> dict[str, Any]:
    """Let a service that stands still rejoin; return what the command said."""
    done = await asyncio.to_thread(lived.town.cli, "rejoin", service, "--json")
    assert done.stdout, done.stderr
    assert SAID not in done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == bool(report["losses"])
    answers = [loss["ids"] for loss in report["losses"] if loss["what"].startswith("answers to requests")]
    assert all(set(ids) <= lived.requests[service] for ids in answers), "a request that nobody has made"
    return report


async def assert_as_before(lived: Lived, *, but: Mapping[str, set[str]] | None = None) -> None:
    """Every store holds what it held, and nothing twice; nobody was told again; the audit finds nothing.

    `but`: by service, the tables whose loss is expected.
    """
    for service in SERVICES:
        found = differences(lived.reference[service], await lived.town.tables(service))
        assert found.keys() == (but or {}).get(service, set()), (service, found)
    assert lived.town.mails == lived.mails
    assert {path: one.asked for path, one in lived.town.receiver.endpoints.items()} == lived.asked
    audit = await asyncio.to_thread(lived.town.cli, "audit", "--grace", "5")
    assert audit.returncode == 0, audit.stdout


async def assert_agencies_miss_nothing(lived: Lived, *, key: str) -> None:
    """However far an agency had read: its cursor goes on from there, or it is told to begin again."""
    wanted = {
        row["update_id"]
        for row in map(json.loads, lived.reference["notify"]["referrer_updates"])
        if row["agency_id"] == AGENCY
    }
    assert len(wanted) > len(lived.readers[1].known) > 0, "nothing was told before the backup, or after it"
    async with httpx.AsyncClient(base_url=lived.town.site, timeout=60) as http:
        for reader in lived.readers:
            assert (await replace(reader, key=key).read_on(http)).known == wanted


def losses(report: dict[str, Any]) -> dict[str, int]:
    """Return how much could not be brought back, by what it is."""
    return {loss["what"].partition(",")[0].partition(":")[0]: loss["count"] for loss in report["losses"]}


def test_the_county_had_something_to_lose(lived: Lived) -> None:
    """Every table that is compared holds something, and most of it came after the backup."""
    empty = {
        "deadlines",
        "dead_letters",
        "outbox",
        "refused_events",
        "looked_after_reviews",
        "missing_episodes",
    }
    for service, tables in lived.reference.items():
        assert {name for name, rows in tables.items() if not rows} <= empty, service
    notify = lived.reference["notify"]
    deliveries = [json.loads(row) for row in notify["deliveries"]]
    assert {row["state"] for row in deliveries} >= {"held", "sent", "failed", "not_needed"}
    assert {row["channel"] for row in deliveries} == {"email", "webhook"}
    assert any(row["digest"] for row in deliveries if row["state"] == "sent")
    assert len(lived.mails) > 20
    told = {json.loads(row)["type"] for row in notify["journal"]}
    without: tuple[type[Event], ...] = (e.NotificationDelivered, e.EventParked, e.AlertRaisedV1)
    assert NOTIFY.types - told == {event.wire_type for event in without}  # no receipts; nothing was set aside


@pytest.mark.parametrize("service", SERVICES)
async def test_a_restored_store_rejoins_as_if_nothing_had_been(lived: Lived, service: str) -> None:
    """Field by field what it was, for the service and for all others; only what no bus carries is missing.

    Rejoining twice changes nothing. What else holds of a restored store is asked of it while it is there.
    """
    town = lived.town
    await asyncio.to_thread(town.stop, service)
    await asyncio.to_thread(town.restore, service)
    behind = differences(lived.reference[service], await town.tables(service))
    assert "journal" in behind, "the backup is as new as the store: nothing would be tested"
    if service == "assessment":
        await assert_the_audit_finds_what_is_missing(lived)
    report = await rejoin(lived, service)
    again = await rejoined(lived, service)
    assert (again["taken_back"], again["learned"], again["delivered"]) == ({}, 0, 0)
    await assert_as_before(lived)
    assert sum(report["taken_back"].values()) > 5
    expected = {
        "referral": {"answers to requests"},
        "assessment": {"answers to requests"},
        "placement": {"answers to requests", "placements"},
        "notify": {"answers to requests"},
    }
    assert set(losses(report)) == expected[service]
    match service:
        case "assessment":
            await assert_a_request_that_is_sent_again_is_not_done_twice(lived)
        case "placement":
            await assert_what_people_wrote_is_named_as_lost(lived, report)
        case "notify":
            await assert_agencies_miss_nothing(lived, key=lived.readers[0].key)


async def assert_the_audit_finds_what_is_missing(lived: Lived) -> None:
    """An operator who forgets to let a store rejoin is told: what others had sent it is missing."""
    audit = await asyncio.to_thread(lived.town.cli, "audit", "--grace", "0", "--json")
    assert audit.returncode == 1
    checks = {(one["service"], one["check"]) for one in json.loads(audit.stdout)["checks"] if one["count"]}
    assert ("assessment", "from referral") in checks


async def assert_a_request_that_is_sent_again_is_not_done_twice(lived: Lived) -> None:
    """Its answer is lost, its deed is not: the caller is told so, and no second review comes of it."""
    async with httpx.AsyncClient(base_url=lived.town.site, timeout=60) as http:
        again = await http.post(
            f"/cases/{lived.case_id}/reviews",
            json={"outcome": "continue", "reviewed_by": "W-0600"},
            headers={"Idempotency-Key": REVIEW_KEY},
        )
    assert again.status_code == 409, again.text
    assert "its answer was lost" in again.json()["detail"]
    assert differences(lived.reference["assessment"], await lived.town.tables("assessment")) == {}


async def assert_what_people_wrote_is_named_as_lost(lived: Lived, report: Mapping[str, Any]) -> None:
    """The wording of objectives and what the child said have never left the store; their place is kept."""
    told = {loss["what"].partition(": ")[2]: loss["ids"] for loss in report["losses"]}
    assert lived.placement_id in told["the wording of objectives"]
    assert lived.placement_id in told["what the child said at the exit interview"]
    (row,) = await lived.town.rows(
        "placement",
        "SELECT words, outcome, childs_words FROM objectives WHERE placement_id = $1",
        UUID(lived.placement_id),
    )
    assert row["words"].startswith("(The wording was lost")
    assert (row["outcome"], row["childs_words"]) == ("met", None)


async def test_nobody_rejoins_beside_a_running_service(lived: Lived) -> None:
    """The command says what to stop and changes nothing."""
    done = await asyncio.to_thread(lived.town.cli, "rejoin", "assessment")
    assert done.returncode == 1
    assert done.stderr.strip().endswith("stop its workers and the web process first.")
    await assert_as_before(lived)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_lost_store_is_rebuilt_from_the_bus(lived: Lived, service: str) -> None:
    """With nothing but an empty database, while the bus has everything: the same, word for word."""
    town = lived.town
    await asyncio.to_thread(town.stop, service)
    await asyncio.to_thread(town.lose, service)
    report = await rejoined(lived, service)
    await assert_as_before(lived, but={"notify": ARRANGED} if service == "notify" else None)
    assert sum(report["taken_back"].values()) == len(lived.reference[service]["journal"])
    if service == "notify":
        rows = await town.rows("notify", "SELECT subscription_id::text, url, active FROM subscriptions")
        (lost,) = [loss for loss in report["losses"] if loss["what"].startswith("subscriptions")]
        assert sorted(lost["ids"]) == sorted(row["subscription_id"] for row in rows)
        assert {(row["url"], row["active"]) for row in rows} == {("https://lost.invalid/", False)}
        await assert_agencies_miss_nothing(lived, key=await issue_key(town))
