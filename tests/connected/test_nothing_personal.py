"""Nothing personal comes out: marked values planted everywhere, all outputs of a real run searched for them.

A whole system runs: engines, pages and workers as processes, a mail server, a stub of GOV.UK Notify, webhook
and chat endpoints. Names, addresses, dates of birth and free text go in wherever anything goes in: HTTP,
partner events, statutory returns, the wording of objectives, what a child said.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes
from email.message import Message as Letter
from email.policy import default
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import text

from deploy.embedded.ports import free_port
from deploy.embedded.system import System, running_system
from schemas import events as e
from schemas.events.codes import Channel
from schemas.example_files import example
from schemas.topics import PARTNER, TOPICS
from services.cli.catalogue import SERVICES
from services.county.pace import held_time
from services.kernel.base.clock import HeldClock
from services.kernel.base.settings import Settings
from services.kernel.postgres.database import create_engine
from services.placement.ssda903.importing import import_returns
from tests.builders import MONDAY
from tests.connected.planted import (
    ADDRESS,
    BORN,
    BORN_AS_RETURNED,
    FREE_TEXT,
    NAME,
    NEEDLES,
    PHONE,
    POSTCODE,
    REFERENCE,
    UPN,
    Outputs,
    folded,
    spoilt_bodies,
    spoilt_data,
)
from tests.counterparts.govuk_notify import API_KEY, SMS_TEMPLATE, NotifyStub
from tests.counterparts.serving import serving
from tests.counterparts.webhook_receiver import Receiver
from tests.flow.conftest import TESTS
from tests.homes import free_home

pytestmark = [pytest.mark.connected, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
AGENCY, OTHER_AGENCY, TEAM = "school-1", "police-1", "lt-ely"
LEADS = "recipient_id,email,phone\nW-0600,manager@council.example,07700900100\n"
KINDS_OF_OUTPUT = {
    "answers",
    "emails",
    "texts",
    "webhooks to the agency",
    "webhooks to a team",
    "chat",
    "logs",
    "metrics",
    "referral-events",
    "assessment-events",
    "placement-events",
    "notify-events",
    "chronology",
}

SUBSCRIBE = text("""
    INSERT INTO subscriptions
        (subscription_id, owner_kind, owner_id, channel, url, secret_reference, created_at)
    VALUES (:id, :kind, :owner, :channel, :url, :secret, :now)
""")


@dataclass
class Run:
    """One running system, its clock, and whoever is on the other side."""

    home: Path
    system: System
    settings: Settings
    clock: HeldClock
    stub: NotifyStub
    receiver: Receiver
    metrics: list[int]
    """The workers' ports of metrics."""
    client: httpx.AsyncClient
    answers: list[str] = field(default_factory=list)
    asked: int = 0

    async def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask the site; keep the answer."""
        self.asked += 1
        headers = {"Idempotency-Key": f"planted-{self.asked:06d}", **more.pop("headers", {})}
        answer = await self.client.request(method, path, headers=headers, **more)
        self.answers.append(answer.text)
        return answer

    async def post(self, path: str, body: Any) -> Any:
        """Post what is right, until it is accepted: another service may still have to hear of it."""
        async with asyncio.timeout(60):
            while True:
                self.asked += 1
                headers = {"Idempotency-Key": f"right-{self.asked:06d}"}
                answer = await self.client.post(path, json=body, headers=headers)
                if answer.status_code < 300:
                    return answer.json()
                assert answer.status_code in {404, 409}, answer.text
                await asyncio.sleep(0.2)

    async def rows(self, service: str, sql: str) -> list[Any]:
        engine = create_engine(self.settings, service)
        try:
            async with engine.connect() as connection:
                return list(await connection.execute(text(sql)))
        finally:
            await engine.dispose()

    async def settled(self) -> None:
        """Wait until nothing is on its way: not on the bus, not in an outbox, not in a channel's queue."""

        async def is_settled() -> bool:
            for service in SERVICES:
                status = (await self.client.get(f"/{service}/status")).json()
                idle = status["lag"] is not None and not any(status["lag"].values())
                if not idle or status["outbox_pending"] or status["deadlines_due"] or status["due"]:
                    return False
            queued = "SELECT 1 FROM deliveries WHERE state IN ('queued', 'held')"
            return not await self.rows("notify", queued)

        # Twice in a row: between two looks a message may be with nobody.
        seen = 0
        await until(is_settled, "everything is settled")
        while seen < 2:
            await asyncio.sleep(0.5)
            seen = seen + 1 if await is_settled() else 0


async def until(condition: Callable[[], Awaitable[bool]], what: str, *, within: float = 90.0) -> None:
    """Wait until a condition holds; fail with `what` when it does not in time."""
    try:
        async with asyncio.timeout(within):
            while not await condition():
                await asyncio.sleep(0.2)
    except TimeoutError:
        pytest.fail(f"not within {within:.0f} s: {what}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a worker as a council would; kill it if it does not."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def workers(env: dict[str, str], log: Path) -> Iterator[list[int]]:
    """Run each service's worker as its own process, its log in a file and its metrics on a port."""
    ports = []
    with ExitStack() as stack:
        for service in SERVICES:
            ports.append(free_port())
            file = stack.enter_context((log / f"worker-{service}.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", "services.cli.main", "worker", service],
                cwd=ROOT,
                env={**os.environ, **env, "LEADLINE_METRICS_PORT": str(ports[-1])},
                stdout=file,
                stderr=file,
            )
            stack.callback(stop, process)
        yield ports


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[Run]:
    """Start everything, with every channel led to a counterpart."""
    stub, receiver = NotifyStub(), Receiver()
    secrets = home / "secrets"
    secrets.mkdir(exist_ok=True)
    (secrets / "key").write_text("a-signing-key-of-some-length")
    (home / "people.csv").write_text(LEADS)
    clock = HeldClock(home / "clock")
    clock.set(MONDAY)
    async with serving(stub.app()) as notify_url, serving(receiver.app()) as hooks:
        extra = {
            **held_time(clock),
            "LEADLINE_LOG_LEVEL": "debug",
            "LEADLINE_DIRECTORY": str(home / "people.csv"),
            "LEADLINE_GOVUK_NOTIFY_KEY": API_KEY,
            "LEADLINE_GOVUK_NOTIFY_URL": notify_url,
            "LEADLINE_GOVUK_NOTIFY_TEMPLATES": json.dumps({"sms": SMS_TEMPLATE}),
            "LEADLINE_WEBHOOK_SECRETS": str(secrets),
            "LEADLINE_WEBHOOK_HTTP": "true",
            "LEADLINE_WEBHOOK_PRIVATE_HOSTS": "127.0.0.1",
        }
        starting = running_system(
            home,
            say=lambda _: None,
            environ=os.environ,
            services=(),
            extra_env=extra,
            fresh=True,
            free_ports=True,
            cache=ROOT / "var" / "engines",
        )
        async with in_a_thread(starting) as system:
            settings = Settings(
                kafka=system.engines.kafka,
                kafka_idempotent=system.engines.kafka_idempotent,
                database=system.engines.database_url,
            )
            await subscribe(settings, hooks)
            with workers(dict(system.env), home / "log") as metrics:
                async with httpx.AsyncClient(base_url=system.site or "", timeout=30) as client:
                    yield Run(home, system, settings, clock, stub, receiver, metrics, client)


@asynccontextmanager
async def in_a_thread(starting: AbstractContextManager[System]) -> AsyncIterator[System]:
    """Start and stop a system that waits for its parts, while the counterparts of this loop answer."""
    system = await asyncio.to_thread(starting.__enter__)
    try:
        yield system
    finally:
        await asyncio.to_thread(starting.__exit__, None, None, None)


async def subscribe(settings: Settings, hooks: str) -> None:
    """Let the agency and the team hear by webhook, and the team by chat."""
    engine = create_engine(settings, "notify")
    async with engine.begin() as connection:
        for kind, owner, channel in (
            ("agency", AGENCY, Channel.WEBHOOK),
            ("team", TEAM, Channel.WEBHOOK),
            ("team", TEAM, Channel.CHAT),
        ):
            path = f"/{owner}/{channel.value}"
            values = {"id": uuid5(TESTS, path), "kind": kind, "owner": owner, "channel": channel.value}
            secret = "key" if channel is Channel.WEBHOOK else None
            await connection.execute(
                SUBSCRIBE, {**values, "url": f"{hooks}{path}", "secret": secret, "now": MONDAY}
            )
    await engine.dispose()


def child(number: int) -> str:
    return str(UUID(int=7_000_000 + number))


def referral_of(number: int, **more: Any) -> dict[str, Any]:
    return {
        "child_id": child(number),
        "agency": "school",
        "agency_id": AGENCY,
        "locality": "ely",
        "concerns": ["N1", "N5"],
        **more,
    }


async def a_journey(run: Run) -> None:
    """One child from referral to exit interview: the objective and the child's words are marked."""
    made = await run.post("/referrals", referral_of(1, agency_reference=REFERENCE))
    decision = {"decided_by": "W-0600", "outcome": "accept", "override_reason": "seen"}
    await run.post(f"/referrals/{made['referral_id']}/decision", decision)
    cases: list[dict[str, Any]] = []

    async def has_case() -> bool:
        cases[:] = (await run.client.get("/cases", params={"child_id": child(1)})).json()["items"]
        return bool(cases)

    await until(has_case, "the case is open")
    case_id, lead = cases[0]["case_id"], cases[0]["lead_professional_id"]
    needs = [{"domain": "safety", "level": 4}, {"domain": "basic_care", "level": 4}]
    await run.post(f"/cases/{case_id}/assessment", {"needs": needs, "completed_by": lead})
    asked = {"case_id": case_id, "kind": "residential", "need_group": "safety", "requested_by": lead}
    placement = await run.post("/placements", asked)
    where = f"/placements/{placement['placement_id']}"
    began = await run.post(
        f"{where}/start",
        {
            "provider_id": "P-1",
            "kind": "residential",
            "location": "in_county",
            "objectives": [{"domain": "safety", "words": f"{NAME} is safe at {ADDRESS}."}],
            "started_on": MONDAY.date().isoformat(),
        },
    )
    await run.post(f"{where}/end", {"ended_on": MONDAY.date().isoformat(), "reason": "planned"})
    (objective,) = began["objectives"]
    said = {"objective_id": objective["objective_id"], "met": True, "childs_words": FREE_TEXT}
    answers = {"outcomes": [said], "held_on": MONDAY.date().isoformat(), "held_by": lead}
    await run.post(f"{where}/exit-interview", answers)


async def planted_over_http(run: Run) -> None:
    """Marked values in every field, header, path and query of a referral and of the decision on it."""
    refused = 0
    good = referral_of(2, family_id=child(3), agency_reference="REF-2", immediate_risk=False)
    for body in spoilt_bodies(good):
        answer = await run.send("POST", "/referrals", json=body)
        assert answer.status_code in {400, 409, 422}, (body, answer.text)
        refused += 1
    assert refused > 50
    made = await run.post("/referrals", referral_of(4, agency_id=OTHER_AGENCY, agency="police"))
    where = f"/referrals/{made['referral_id']}/decision"
    for body in spoilt_bodies({"decided_by": "W-0600", "override_reason": "seen", "outcome": "redirect"}):
        assert (await run.send("POST", where, json=body)).status_code in {400, 409, 422}, body
    strange = {
        "User-Agent": NAME,
        "X-Child": ADDRESS,
        "traceparent": NAME,
        "Idempotency-Key": f"{NAME} {BORN}",
    }
    answer = await run.send("POST", "/referrals", json=referral_of(5), headers=strange)
    assert answer.status_code == 201, "an Idempotency-Key may be any text"
    await run.send("POST", "/referrals", content=f"{NAME}: {FREE_TEXT}".encode())
    for path in (f"/referrals/{NAME}", f"/alerts/{NAME}", f"/cases/{ADDRESS}", f"/{NAME}/status", f"/{NAME}"):
        assert (await run.send("GET", path)).status_code in {404, 422}
    for query in ({"agency_id": NAME}, {"child_id": NAME}, {"locality": ADDRESS}, {"status": FREE_TEXT}):
        assert (await run.send("GET", "/referrals", params=query)).status_code == 422
    key = {"Authorization": f"Bearer {NAME}"}
    assert (await run.send("GET", "/referrers/school-1/updates", headers=key)).status_code == 401
    await run.post(where, {"decided_by": "W-0600", "outcome": "redirect", "override_reason": "seen"})


async def planted_on_the_bus(run: Run) -> int:
    """Marked values in data, key and headers of partner events; return how many records that were."""
    good = example(e.ReferralMade, "full") | {"agency_id": AGENCY, "locality": "ely"}
    producer = AIOKafkaProducer(bootstrap_servers=run.settings.kafka)
    await producer.start()
    sent = 0
    try:
        for number, data in enumerate(spoilt_data(good)):
            await send(producer, data, key=good["child_id"], event_id=f"spoilt-{number}")
            sent += 1
        data = json.dumps(good | {"agency_reference": "REF-BUS"}).encode()
        for number, (name, value) in enumerate(
            (
                ("ce_source", f"/partners/{NAME}"),
                ("ce_id", f"{NAME} {BORN}"),
                ("ce_subject", NAME),
                ("ce_type", f"partner.{NAME}.v1"),
                ("ce_time", f"{BORN}: {FREE_TEXT}"),
                ("ce_correlationid", NAME),
                ("ce_traceparent", ADDRESS),
                ("ce_childname", NAME),
                (NAME, FREE_TEXT),
            )
        ):
            reference = json.loads(data) | {"agency_reference": f"REF-BUS-{number}"}
            content = json.dumps(reference).encode()
            await send(producer, content, key=good["child_id"], event_id=f"head-{number}", **{name: value})
            sent += 1
        await send(producer, data, key=f"{NAME}, {ADDRESS}", event_id="key")
    finally:
        await producer.stop()
    return sent + 1


async def send(producer: AIOKafkaProducer, data: bytes, *, key: str, event_id: str, **headers: str) -> None:
    """Publish one record as a partner would; `headers` replace or join the usual ones."""
    usual = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_source": "/partners/school-1",
        "ce_type": "partner.referral_made.v1",
        "ce_time": "2026-09-07T08:00:00Z",
    }
    given = [(name, value.encode()) for name, value in (usual | headers).items()]
    await producer.send_and_wait(PARTNER.name, data, key.encode(), headers=given)


def planted_return(directory: Path) -> None:
    """A statutory return with marked values in every column that names or places a child; some rows wrong."""
    directory.mkdir(parents=True, exist_ok=True)
    number = folded(NAME).upper()
    (directory / "2026-header.csv").write_text(
        "CHILD,SEX,DOB,ETHNIC,UPN,MOTHER,MC_DOB\n"
        f"{number},F,{BORN_AS_RETURNED},WBRI,{UPN},1,{BORN_AS_RETURNED}\n"
        f"{number}-2,{NAME},{BORN_AS_RETURNED},{ADDRESS},{UPN},,\n"
        f"{NAME},F,{FREE_TEXT.splitlines()[0]},WBRI,{UPN},,\n"
    )
    (directory / "2026-episodes.csv").write_text(
        "CHILD,DECOM,RNE,LS,CIN,PLACE,PLACE_PROVIDER,DEC,REC,HOME_POST,PL_POST,URN\n"
        f"{number},02/05/2025,S,C2,N1,U6,PR4,,,{POSTCODE},{POSTCODE},{UPN}\n"
        f"{number}-2,{BORN_AS_RETURNED},{NAME},C2,N1,U6,PR4,,,{POSTCODE},{POSTCODE},{UPN}\n"
        f"{number}-3,{NAME},S,{ADDRESS},{FREE_TEXT.splitlines()[0]},U6,{PHONE},,,{POSTCODE},{POSTCODE},x\n"
    )
    (directory / "2026-reviews.csv").write_text(
        f"CHILD,DOB,REVIEW,REVIEW_CODE\n{number},{BORN_AS_RETURNED},03/06/2025,PN1\n"
        f"{number},{BORN_AS_RETURNED},04/06/2025,{NAME}\n"
    )
    (directory / "2026-missing.csv").write_text(
        f"CHILD,DOB,MISSING,MIS_START,MIS_END\n{number},{BORN_AS_RETURNED},M,03/06/2025,04/06/2025\n"
        f"{number},{BORN_AS_RETURNED},{NAME},05/06/2025,06/06/2025\n"
    )


async def everything_that_came_out(run: Run) -> Outputs:
    """Collect what left the system, and what it says of itself."""
    outputs = Outputs()
    outputs.add("answers", *run.answers)
    for file in sorted((run.home / "mail").glob("*.eml")):
        outputs.add("emails", *texts_of(message_from_bytes(file.read_bytes(), policy=default)))
    for kept in run.stub.kept.values():
        outputs.add("texts", kept.to, str(kept.reference), *kept.personalisation.values())
    for kind, path in (
        ("webhooks to the agency", f"/{AGENCY}/webhook"),
        ("webhooks to a team", f"/{TEAM}/webhook"),
        ("chat", f"/{TEAM}/chat"),
    ):
        endpoint = run.receiver.at(path)
        outputs.add(kind, *(body.decode() for body in endpoint.bodies), *map(json.dumps, endpoint.headers))
    outputs.add(
        "logs", *(file.read_text("utf-8", "replace") for file in sorted((run.home / "log").iterdir()))
    )
    outputs.add("metrics", (await run.client.get("/metrics")).text)
    for port in run.metrics:
        outputs.add("metrics", (await run.client.get(f"http://127.0.0.1:{port}/metrics")).text)
    for name, records in await asyncio.to_thread(records_by_topic, run.settings.kafka):
        outputs.add(name, *records)
    rows = await run.rows("notify", "SELECT CAST(chronology AS text) AS row FROM chronology")
    outputs.add("chronology", *(row.row for row in rows))
    return outputs


def texts_of(letter: Letter) -> list[str]:
    """Return an email's headers and parts, decoded."""
    parts = [part for part in letter.walk() if not part.is_multipart()]
    contents = [(part.get_payload(decode=True) or b"") for part in parts]
    decoded = [each.decode("utf-8", "replace") for each in contents if isinstance(each, bytes)]
    return [*(f"{name}: {value}" for name, value in letter.items()), *decoded]


def records_by_topic(kafka: str) -> list[tuple[str, list[str]]]:
    """Return key, headers and value of everything that services have published, by topic."""
    found = []
    for topic in (topic for topic in TOPICS if topic is not PARTNER):
        consumer = KafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest")
        places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        records = []
        while any(consumer.position(place) < ends[place] for place in places):
            for batch in consumer.poll(timeout_ms=500).values():
                for record in batch:
                    head = " ".join(f"{name}={(value or b'').decode()}" for name, value in record.headers)
                    records.append(f"{(record.key or b'').decode()} {head} {(record.value or b'').decode()}")
        consumer.close()
        found.append((topic.name, records))
    return found


async def test_no_planted_value_comes_out_anywhere(tmp_path: Path) -> None:
    """Not in an email, a text, a webhook, a chat, a log line, a metric, an answer or an event."""
    with free_home(ROOT / "var" / "test" / "personal") as home:
        outputs, kept, parked, sent = await planted_and_collected(home, tmp_path)

    assert set(outputs.by_kind) == KINDS_OF_OUTPUT
    assert all(any(texts) for texts in outputs.by_kind.values()), "every way out was used"
    assert [(row.words, row.childs_words) for row in kept] == [(f"{NAME} is safe at {ADDRESS}.", FREE_TEXT)]
    assert len(parked) > sent / 2, "what was planted has arrived"
    assert outputs.found(NEEDLES) == {}
    # An agency's own number is a code that may travel to services and back to the agency, and no further.
    assert set(outputs.found([folded(REFERENCE)])) == {
        "webhooks to the agency",
        "referral-events",
        "chronology",
    }


async def planted_and_collected(
    home: Path, returns: Path
) -> tuple[Outputs, Sequence[Any], Sequence[Any], int]:
    """Run a system, plant everything, and return what came out: with it the proof that it went in."""
    async with running(home) as run:
        await a_journey(run)
        await planted_over_http(run)
        sent = await planted_on_the_bus(run)
        planted_return(returns)
        report = await asyncio.to_thread(
            import_returns, returns, settings=run.settings, local_authority="test-council"
        )
        assert report.handled
        assert report.refusals
        await run.settled()
        run.clock.set(MONDAY + timedelta(days=3))  # two referrals were not decided: managers are told at once
        await until(lambda: _have_come(run), "texts and overdue alerts have gone out")
        await run.settled()
        outputs = await everything_that_came_out(run)
        kept = await run.rows("placement", "SELECT words, childs_words FROM objectives")
        parked = await run.rows("referral", "SELECT 1 FROM dead_letters")
        return outputs, kept, parked, sent


async def _have_come(run: Run) -> bool:
    return bool(run.stub.kept) and any((run.home / "mail").glob("*.eml"))


@pytest.mark.parametrize(
    "said",
    [
        f"x {NAME} y",
        json.dumps({"n": NAME.upper()}),
        "name=Zebedee%20Quillfeather",
        "WmViZWRlZSBRdWlsbGZlYXRoZXI=",
        "\\u005aebedee",
        f"born {BORN_AS_RETURNED}",
        f"born {BORN}",
        "ZQ99-9QZ",
        "call 07700-900 942",
    ],
)
def test_the_search_finds_a_planted_value_in_any_guise(said: str) -> None:
    """A search that finds nothing would be content with everything."""
    outputs = Outputs()
    outputs.add("emails", "nothing here", said)
    outputs.add("logs", "nothing there")
    assert set(outputs.found(NEEDLES)) == {"emails"}
