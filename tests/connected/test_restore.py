"""A store that is restored to an earlier moment, or lost, rejoins as if nothing had been."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import httpx
import pytest

from deploy.embedded.engines import running_engines
from deploy.embedded.ports import free_port
from schemas import events as e
from schemas.events import Event
from schemas.topics import PARTNER
from services.cli.catalogue import SERVICES
from services.cli.demo import START
from services.county.driver import Moment, Play
from services.county.pack import CountyPack
from services.county.partner_bus import PartnerBus
from services.county.plan import county_month
from services.county.practitioners import Practitioners
from services.county.settled import settled
from services.county.site import Site
from services.county.timetable import moments
from services.kernel.bus import Bus
from services.kernel.clock import HeldClock
from services.kernel.envelope import Envelope, encode
from services.kernel.pack import load_pack
from services.kernel.publisher import Publisher
from services.kernel.settings import Settings
from tests.connected.conftest import ROOT
from tests.connected.restoring import Tables, Town, differences, living

pytestmark = [pytest.mark.connected, pytest.mark.timeout(600)]

SEED, DAYS = 5, 5
BACKUP_AFTER = 0.4
"""Of the play; what follows is what a restored store has lost."""

IDS = UUID("7be0c1de-0000-4000-8000-000000000000")
CHILD = uuid5(IDS, "child")
REVIEW_KEY = "restore-review"
SAID = "I want to see my brother more often."


@dataclass
class Lived:
    """A county that has lived, with backups from the middle of it, at rest."""

    town: Town
    reference: dict[str, Tables]
    now: datetime
    case_id: str
    placement_id: str


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

    async def refer(self, child: UUID) -> str:
        """Refer a child; return the referral's id."""
        body = {
            "child_id": str(child),
            "agency": "police",
            "agency_id": "police-1",
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


async def one_childs_way(people: People) -> tuple[str, str]:
    """Take a child through everything, from referral to exit interview; return its case and placement."""
    await people.accept(await people.refer(CHILD))
    case_id = await people.case_of(CHILD)
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

    async def watch(moment: Moment) -> None:
        if moment.number == int(moment.of * BACKUP_AFTER):
            await asyncio.to_thread(town.back_up)

    connection = {"bootstrap_servers": town.engines.kafka}
    async with (
        Site(town.site) as site,
        PartnerBus(connection) as bus,
        httpx.AsyncClient(base_url=town.site, timeout=60) as http,
    ):
        await from_partner(town, report_of("r1", return_year=2025), at=START)
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
        await people.rest()
    reference = {service.value: await town.tables(service) for service in SERVICES}
    return Lived(town, reference, now, case_id, placement_id)


@pytest.fixture(scope="module")
def lived() -> Iterator[Lived]:
    """A county that has lived eight days on engines of its own."""
    var = ROOT / "var" / "test" / "restored"
    clock = HeldClock(var / "clock")
    clock.set(START)
    port = free_port()
    with running_engines(
        var, say=lambda _: None, free_ports=True, fresh=True, cache=ROOT / "var" / "engines"
    ) as engines:
        env = {
            **engines.env(),
            "LEADLINE_CLOCK_FILE": str(clock.file),
            "LEADLINE_SCAN_SECONDS": "0.1",
            "LEADLINE_PORT": str(port),
            "LEADLINE_LOG_LEVEL": "warning",
        }

        async def apply() -> None:
            async with Bus(Settings(kafka=engines.kafka)) as bus:
                await bus.apply()

        asyncio.run(apply())
        town = Town(engines, env, f"http://127.0.0.1:{port}", var / "backups")
        with living(town):
            yield asyncio.run(live(town, clock))


async def rejoined(lived: Lived, service: str) -> dict[str, Any]:
    """Let a service rejoin and start again, wait until all is at rest, return what the command said."""
    done = await asyncio.to_thread(lived.town.cli, "rejoin", service, "--json")
    assert done.stdout, done.stderr
    assert SAID not in done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == bool(report["losses"])
    await asyncio.to_thread(lived.town.start, service)
    await lived.town.at_work(service)
    async with Site(lived.town.site) as client:
        await settled(client, lived.now)
    return report


async def assert_as_before(lived: Lived) -> None:
    """Every store holds what it held, and nothing twice; the audit finds nothing."""
    for service in SERVICES:
        found = differences(lived.reference[service], await lived.town.tables(service))
        assert found == {}, service
    audit = await asyncio.to_thread(lived.town.cli, "audit", "--grace", "5")
    assert audit.returncode == 0, audit.stdout


def losses(report: dict[str, Any]) -> dict[str, int]:
    """Return how much could not be brought back, by what it is."""
    return {loss["what"].partition(",")[0].partition(":")[0]: loss["count"] for loss in report["losses"]}


def test_the_county_had_something_to_lose(lived: Lived) -> None:
    """Every table that is compared holds something, and most of it came after the backup."""
    empty = {"deadlines", "dead_letters", "outbox", "looked_after_reviews", "missing_episodes"}
    for service, tables in lived.reference.items():
        assert {name for name, rows in tables.items() if not rows} <= empty, service


@pytest.mark.parametrize("service", SERVICES)
async def test_a_restored_store_rejoins_as_if_nothing_had_been(lived: Lived, service: str) -> None:
    """Field by field what it was, for the service and for all others; only what no bus carries is missing."""
    town = lived.town
    await asyncio.to_thread(town.stop, service)
    await asyncio.to_thread(town.restore, service)
    behind = differences(lived.reference[service], await town.tables(service))
    assert "journal" in behind, "the backup is as new as the store: nothing would be tested"
    report = await rejoined(lived, service)
    await assert_as_before(lived)
    assert sum(report["taken_back"].values()) > 5
    expected = {
        "referral": {"answers to requests"},
        "assessment": {"answers to requests"},
        "placement": {"answers to requests", "placements"},
        "notify": {"answers to requests", "alerts"},
    }
    assert set(losses(report)) == expected[service]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_lost_store_is_rebuilt_from_the_bus(lived: Lived, service: str) -> None:
    """With nothing but an empty database, while the bus has everything: the same, word for word."""
    town = lived.town
    await asyncio.to_thread(town.stop, service)
    await asyncio.to_thread(town.lose, service)
    report = await rejoined(lived, service)
    await assert_as_before(lived)
    assert sum(report["taken_back"].values()) == len(lived.reference[service]["journal"])


async def test_what_people_wrote_is_named_as_lost(lived: Lived) -> None:
    """The wording of objectives and what the child said have never left the store; their place is kept."""
    await asyncio.to_thread(lived.town.stop, "placement")
    await asyncio.to_thread(lived.town.restore, "placement")
    report = await rejoined(lived, "placement")
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


async def test_a_request_that_is_sent_again_after_a_restore_is_not_done_twice(lived: Lived) -> None:
    """Its answer is lost, its deed is not: the caller is told so, and no second review comes of it."""
    await asyncio.to_thread(lived.town.stop, "assessment")
    await asyncio.to_thread(lived.town.restore, "assessment")
    await rejoined(lived, "assessment")
    async with httpx.AsyncClient(base_url=lived.town.site, timeout=60) as http:
        again = await http.post(
            f"/cases/{lived.case_id}/reviews",
            json={"outcome": "continue", "reviewed_by": "W-0600"},
            headers={"Idempotency-Key": REVIEW_KEY},
        )
    assert again.status_code == 409, again.text
    assert "its answer was lost" in again.json()["detail"]
    assert differences(lived.reference["assessment"], await lived.town.tables("assessment")) == {}


async def test_a_store_that_has_not_rejoined_is_found_by_the_audit(lived: Lived) -> None:
    """An operator who forgets the step is told: what others had sent it is missing."""
    await asyncio.to_thread(lived.town.stop, "assessment")
    await asyncio.to_thread(lived.town.restore, "assessment")
    audit = await asyncio.to_thread(lived.town.cli, "audit", "--grace", "0", "--json")
    assert audit.returncode == 1
    checks = {(one["service"], one["check"]) for one in json.loads(audit.stdout)["checks"] if one["count"]}
    assert ("assessment", "from referral") in checks
    await rejoined(lived, "assessment")
    await assert_as_before(lived)


async def test_nobody_rejoins_beside_a_running_service(lived: Lived) -> None:
    """The command says what to stop and changes nothing."""
    done = await asyncio.to_thread(lived.town.cli, "rejoin", "assessment")
    assert done.returncode == 1
    assert done.stderr.strip().endswith("stop its workers and the web process first.")
    await assert_as_before(lived)


async def test_rejoining_twice_changes_nothing(lived: Lived) -> None:
    """Whoever is not sure whether it was done does it again."""
    await asyncio.to_thread(lived.town.stop, "placement")
    report = await rejoined(lived, "placement")
    assert (report["taken_back"], report["learned"], report["delivered"]) == ({}, 0, 0)
    await assert_as_before(lived)
