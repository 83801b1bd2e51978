"""The audit on real stores: a system that is well is clean, and each kind of damage is found and named."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from deploy.embedded.engines import Engines
from schemas.events.codes import Channel
from schemas.topics import published_by
from services.cli.catalogue import ServiceName, build_of
from services.kernel.audit import passing as audit_passing
from services.kernel.audit import queries as audit_queries
from services.kernel.audit.between import Crossing
from services.kernel.audit.queries import looking
from services.kernel.base.settings import Settings
from services.kernel.messages.record import Record
from services.kernel.processing.outgoing import Encoder
from services.kernel.processing.service import Service
from services.kernel.store.relaying import Relaying
from services.notify.alerts.model import AcknowledgeAlert, AssignKeyWorker
from services.notify.delivery.store import claims, queue
from services.notify.delivery.store.claims import SenderKey
from services.referral.model import DecideReferral
from tests.builders import MONDAY, a_child, deadline_overdue, referral_made
from tests.connected.conftest import ROOT
from tests.connected.test_cli import Cli
from tests.flow.conftest import Bench, MakeBench
from tests.flow.test_delivery import accepted

pytestmark = pytest.mark.connected

NAMES = tuple(ServiceName)
Stores = Mapping[str, Bench]


class Damage(NamedTuple):
    """What somebody does to a service's store, and the checks that must find it: no others may."""

    service: str
    sql: str
    found: set[tuple[str, str]]


def with_mail(build: Callable[[Settings], Service[Any]]) -> Callable[[Settings], Service[Any]]:
    """Return how to build a service where a mail server is configured."""
    return lambda settings: build(settings.model_copy(update={"smtp": "127.0.0.1:1"}))


@pytest.fixture
async def stores(bench: MakeBench) -> dict[str, Bench]:
    """All four stores, after two referrals: one has become a case, one is undecided."""
    benches = {name.value: await bench(name, with_mail(build_of(name))) for name in NAMES}
    referral = benches["referral"]
    await referral.deliver(referral_made(a_child(1)), referral_made(a_child(2)))
    ((referral_id,),) = await referral.rows(
        "SELECT referral_id FROM referrals WHERE child_id = :child", child=referral_made(a_child(1)).child_id
    )
    await referral.execute(
        DecideReferral(
            referral_id=referral_id, decided_by="W-1", outcome="accept", override_reason="known-family"
        )
    )
    for one in benches.values():
        await one.scan()  # a referral's decision is due soon from its first moment
    await carry(benches)
    return benches


async def carry(stores: Stores) -> None:
    """Do what relays and bus do, until every outbox is empty."""
    moved = True
    while moved:
        moved = False
        for name, bench in stores.items():
            topic = published_by(name)
            async with Relaying(bench.settings.database_of(name), topic.name) as relaying:
                pending = await relaying.pending(1000)
                if not pending:
                    continue
                moved = True
                encoder = Encoder(f"/leadline/{name}")
                records = []
                for one in pending:
                    key, value, headers = encoder.encode(one)
                    records.append(Record(topic.name, 0, one.position, key, value, tuple(headers)))
                for reader in topic.readers:
                    await stores[reader].delivery.deliver(records)
                await relaying.sent([one.position for one in pending], {0: 1}, cluster_id="test")


async def damage(bench: Bench, sql: str) -> None:
    async with bench.engine.begin() as connection:
        await connection.execute(text(sql))


class Auditor(Cli):
    """`leadline audit` on the benches' Monday, so that no deadline passes by itself."""

    async def report(self, *options: str, code: int, grace: str = "0", **env: str) -> dict[str, Any]:
        """Audit and return the report."""
        environment = {"LEADLINE_CLOCK_START": MONDAY.isoformat(), **env}
        result = await self("audit", "--json", "--grace", grace, *options, code=code, **environment)
        report = json.loads(result.stdout)
        assert isinstance(report, dict)
        return report

    async def found(self, *options: str, grace: str = "0") -> set[tuple[str, str]]:
        """Audit stores that must not be clean; return service and check of each finding."""
        return findings(await self.report(*options, code=1, grace=grace))


def findings(report: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(one["service"], one["check"]) for one in report["checks"] if one["outcome"] == "finding"}


@pytest.fixture
def auditor(topics: Engines, stores: Stores) -> Auditor:
    return Auditor(topics)


async def test_a_system_that_is_well_is_clean(auditor: Auditor, stores: Stores) -> None:
    """Code 0, and every check of every store has answered; nothing has changed."""
    journals = [await bench.rows("SELECT * FROM journal ORDER BY 1") for bench in stores.values()]
    report = await auditor.report(code=0)
    assert (report["outcome"], report["grace_seconds"]) == ("clean", 0)
    assert {one["outcome"] for one in report["checks"]} == {"ok"}
    checks = {(one["service"], one["check"]) for one in report["checks"]}
    assert {
        *((name.value, check) for name in NAMES for check in ("numbers", "event ids", "deadlines", "due")),
        ("assessment", "net"),
        ("assessment", "caseloads"),
        ("placement", "cases of assessment"),
        ("notify", "cases of assessment"),
        ("referral", "net"),
        ("assessment", "from referral"),
        ("notify", "from assessment"),
        ("placement", "from placement"),
    } <= checks
    assert len(checks) == len(report["checks"])
    assert journals == [await bench.rows("SELECT * FROM journal ORDER BY 1") for bench in stores.values()]


async def test_whatever_has_become_of_deliveries_is_clean(auditor: Auditor, stores: Stores) -> None:
    """Sent, received, bounced, refused, seen before they went; and a child with a key worker."""
    notify = stores["notify"]
    await notify.deliver(*(deadline_overdue(number=number, kind=f"test_{number}") for number in range(4)))
    async with notify.engine.begin() as connection:
        times = {"now": MONDAY, "until": MONDAY + timedelta(minutes=2)}
        messages = await claims.claim(
            connection, SenderKey(Channel.EMAIL), limit=4, claim_id=uuid4(), **times
        )
        refused, *taken = messages
        why: queue.FailReason = "refused"
        await queue.fail(
            connection, refused, reason=why, detail="550 5.1.1", provider="test", refusals=3, now=MONDAY
        )
        await queue.sent(connection, *taken, provider="test", now=MONDAY)
        await queue.arrived(connection, taken[0].message_id, now=MONDAY)
        await queue.bounced(connection, taken[1].message_id, reason=why, detail="gone", now=MONDAY)
    for row in await notify.rows("SELECT alert_id FROM alerts ORDER BY raised_at LIMIT 5"):
        await notify.execute(AcknowledgeAlert(alert_id=row.alert_id, acknowledged_by="W-1"))
    child = referral_made(a_child(1)).child_id
    await notify.execute(AssignKeyWorker(child_id=child, key_worker_id="W-0601", assigned_by="W-1"))
    await carry(stores)
    states = await notify.rows("SELECT DISTINCT state FROM deliveries ORDER BY 1")
    assert [row.state for row in states] == ["delivered", "failed", "not_needed", "queued", "sent"]
    await auditor.report(code=0)
    await damage(notify, "UPDATE key_workers SET version = 7")
    assert await auditor.found() == {("notify", "aggregates")}


async def test_the_journals_of_the_test_are_not_empty(stores: Stores) -> None:
    """A clean audit of nothing would prove nothing."""
    counts = {name: len(await stores[name].journal_types()) for name in ("referral", "assessment", "notify")}
    assert min(counts.values()) >= 3, counts
    assert await stores["assessment"].rows("SELECT 1 FROM cases WHERE status <> 'closed'")


DAMAGES = {
    "an event that a service has not had": Damage(
        "assessment", "DELETE FROM inbox", {("assessment", "from referral")}
    ),
    "a lost event": Damage(
        "referral",
        "DELETE FROM journal WHERE type = 'referral.received.v1' AND subject IN"
        " (SELECT referral_id FROM referrals WHERE status = 'accepted')",
        {("referral", "numbers"), ("referral", "aggregates")},
    ),
    "a history that has lost its end": Damage(
        "assessment",
        "DELETE FROM journal WHERE type = 'lead_professional.assigned.v1'",
        {("assessment", "aggregates")},
    ),
    "a lost history": Damage(
        "assessment",
        "DELETE FROM journal WHERE type LIKE 'deadline.%'",
        {("assessment", "deadlines")},
    ),
    "an event id of somebody's making": Damage(
        "notify",  # of whose alerts nobody reads: they have not arrived anywhere under another id
        "UPDATE journal SET event_id = gen_random_uuid() WHERE type = 'alert.raised.v2'",
        {("notify", "event ids")},
    ),
    "an event that never leaves": Damage(
        "notify", "INSERT INTO outbox SELECT max(position) FROM journal", {("notify", "pending")}
    ),
    "a pending event that is not there": Damage(
        "referral", "INSERT INTO outbox VALUES (999999)", {("referral", "outbox")}
    ),
    "a deadline in another state": Damage(
        "assessment",
        "UPDATE deadlines SET state = 'overdue', next_at = NULL",
        {("assessment", "deadlines")},
    ),
    "a deadline that nobody looks at": Damage(
        "assessment", "UPDATE deadlines SET next_at = NULL", {("assessment", "alarms")}
    ),
    "a deadline that nobody has raised": Damage(
        "assessment",
        "UPDATE deadlines SET next_at = trigger_at - interval '1 hour'",
        {("assessment", "due"), ("assessment", "alarms")},
    ),
    "a lost deadline of an open case": Damage(
        "assessment", "DELETE FROM deadlines", {("assessment", "rows"), ("assessment", "net")}
    ),
    "a lead who is none": Damage(
        "assessment",
        "UPDATE cases SET lead_professional_id = 'nobody'",
        {("assessment", "net"), ("assessment", "caseloads"), ("notify", "cases of assessment")},
    ),
    "a lost case": Damage(
        "assessment",
        "DELETE FROM cases",
        {("assessment", "rows"), ("assessment", "caseloads"), ("notify", "cases of assessment")},
    ),
    "a caseload that forgets a case": Damage(
        "assessment", "UPDATE caseloads SET cases = 0, points = 0", {("assessment", "caseloads")}
    ),
    "a caseload that counts a case twice": Damage(
        "assessment",
        "UPDATE caseloads SET cases = cases + 1, points = points + 1",
        {("assessment", "caseloads")},
    ),
    "an alert's way to somebody else": Damage(
        "notify", "UPDATE cases SET lead_professional_id = 'nobody'", {("notify", "cases of assessment")}
    ),
    "a case that notify has never heard of": Damage(
        "notify", "DELETE FROM cases", {("notify", "cases of assessment")}
    ),
    "a case that notify takes for closed": Damage(
        "notify",
        "UPDATE cases SET status = 'closed', lead_professional_id = NULL",
        {("notify", "cases of assessment")},
    ),
    "a case that only placement knows": Damage(
        "placement",
        "INSERT INTO known_cases VALUES (gen_random_uuid(), gen_random_uuid(), 2, now(), 'open')",
        {("placement", "cases of assessment")},
    ),
    "a referral in another state": Damage(
        "referral",
        "UPDATE referrals SET status = 'closed', decided_at = received_at WHERE status = 'received'",
        {("referral", "aggregates")},
    ),
    "a referral that nobody is reminded of": Damage(
        "referral",
        "UPDATE deadlines SET state = 'paused', next_at = NULL WHERE state <> 'met'",
        {("referral", "deadlines"), ("referral", "net")},
    ),
    "an alert that has had no event": Damage(
        "notify", "UPDATE alerts SET version = 7", {("notify", "aggregates")}
    ),
    "a delivery that has had no event": Damage(
        "notify", "UPDATE deliveries SET version = 7", {("notify", "aggregates")}
    ),
    "a lost delivery": Damage("notify", "DELETE FROM deliveries", {("notify", "rows")}),
    "an answer that nobody gave": Damage(
        "referral", "UPDATE requests SET status = 500", {("referral", "requests")}
    ),
}


@pytest.mark.parametrize("kind", DAMAGES)
async def test_damage_is_found_and_named(auditor: Auditor, stores: Stores, kind: str) -> None:
    """Code 1, by the checks that are meant for it and by no other; each says what to do."""
    done = DAMAGES[kind]
    await damage(stores[done.service], done.sql)
    report = await auditor.report(code=1)
    assert findings(report) == done.found
    assert report["outcome"] == "findings"
    wrong = [one for one in report["checks"] if one["outcome"] == "finding"]
    assert all(one["count"] >= 1 and one["words"] and one["advice"] for one in wrong)


@pytest.mark.parametrize(
    "kind",
    [
        "an event that a service has not had",
        "a lost event",
        "a lost history",
        "a pending event that is not there",
        "a lost case",
        "a case that notify has never heard of",
        "a case that only placement knows",
    ],
)
async def test_damage_is_found_in_pieces_as_well(
    auditor: Auditor, stores: Stores, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that is longer than one look is read to its end, and so is every table."""
    monkeypatch.setattr(audit_queries, "CHUNK", 1)
    done = DAMAGES[kind]
    await damage(stores[done.service], done.sql)
    assert await auditor.found() == done.found


async def test_a_missed_event_is_named_by_its_position(auditor: Auditor, stores: Stores) -> None:
    """From there on the producer's journal is to be replayed, as the advice says."""
    await damage(stores["assessment"], "DELETE FROM inbox")
    ((position,),) = await stores["referral"].rows(
        "SELECT position FROM journal WHERE type = 'referral.accepted.v1'"
    )
    report = await auditor.report(code=1)
    (wrong,) = [one for one in report["checks"] if one["outcome"] == "finding"]
    assert (wrong["count"], wrong["examples"]) == (1, [str(position)])
    assert f"`leadline journal replay referral --since {position}`" in wrong["advice"]


async def test_an_event_that_is_set_aside_has_arrived(auditor: Auditor, stores: Stores) -> None:
    """It waits for a person: the dead letter is the finding, not a loss."""
    broken = stores["assessment"].record(accepted(7))._replace(value=b"{}")
    await stores["assessment"].delivery.deliver([broken])
    await carry(stores)
    assert await auditor.found() == {("assessment", "dead letters")}


async def test_what_waits_for_nothing_is_found(auditor: Auditor, stores: Stores) -> None:
    """A release that was broken off leaves such events; the command that the advice names handles them."""
    assessment = stores["assessment"]
    broken = assessment.record(accepted(7, referral=70))._replace(value=b"{}")
    await assessment.delivery.deliver([broken, assessment.record(accepted(7, referral=71))])
    await carry(stores)
    assert await auditor.found() == {("assessment", "dead letters")}
    await damage(assessment, "UPDATE dead_letters SET state = 'discarded' WHERE state = 'parked'")
    report = await auditor.report(code=1)
    assert findings(report) == {("assessment", "waiting")}
    (wrong,) = [one for one in report["checks"] if one["outcome"] == "finding"]
    (letter,) = wrong["examples"]
    assert f"`leadline dead-letters replay {letter}`" in wrong["advice"]
    await auditor("dead-letters", "replay", letter, LEADLINE_CLOCK_START=MONDAY.isoformat())
    await carry(stores)
    await auditor.report(code=0)


async def test_only_the_service_that_is_asked_for_is_looked_at(auditor: Auditor, stores: Stores) -> None:
    """Its store, and what passes between it and others."""
    await damage(stores["notify"], "UPDATE alerts SET version = 7")
    report = await auditor.report("--service", "referral", code=0)
    assert {(one["service"], one["check"]) for one in report["checks"] if one["service"] != "referral"} == {
        ("assessment", "from referral"),
        ("notify", "from referral"),
    }
    assert await auditor.found("--service", "notify") == {("notify", "aggregates")}


async def test_what_is_older_than_the_part_that_is_looked_at_is_left_out(
    auditor: Auditor, stores: Stores
) -> None:
    """By position or by number of events; within the part it is found."""
    referral = stores["referral"]
    ((first, last),) = await referral.rows("SELECT min(position), max(position) FROM journal")
    await damage(referral, f"UPDATE journal SET event_id = gen_random_uuid() WHERE position = {first}")
    ids = ("referral", "event ids")
    one = ("--service", "referral")
    assert ids in await auditor.found(*one, "--since", str(first))
    assert ids in await auditor.found("--last", "1000")
    await auditor.report(*one, "--since", str(first + 1), code=0)
    await auditor.report("--last", str(last - first), code=0)


async def test_what_arrives_within_the_grace_is_no_finding(
    auditor: Auditor, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The audit has missed it, looks again, and is content as soon as it is there."""
    asked = threading.Event()
    again = Crossing.again

    async def told(self: Crossing) -> None:
        asked.set()
        await again(self)

    monkeypatch.setattr(Crossing, "again", told)
    monkeypatch.setattr(audit_passing, "LOOK_SECONDS", 0.05)
    assessment = stores["assessment"]
    ((message_id,),) = await assessment.rows("SELECT message_id FROM inbox")
    await damage(assessment, "DELETE FROM inbox")
    running = asyncio.create_task(auditor.report(code=0, grace="60"))
    assert await asyncio.to_thread(asked.wait, 60)
    await damage(assessment, f"INSERT INTO inbox VALUES ('{message_id}', now())")
    assert (await running)["outcome"] == "clean"


async def test_what_stays_away_beyond_the_grace_is_a_finding(auditor: Auditor, stores: Stores) -> None:
    """Events, pending ones and deadlines alike, all within one grace."""
    await damage(stores["assessment"], "DELETE FROM inbox")
    await damage(stores["assessment"], "UPDATE deadlines SET next_at = trigger_at - interval '1 hour'")
    await damage(stores["notify"], "INSERT INTO outbox SELECT max(position) FROM journal")
    assert await auditor.found(grace="0.3") == {
        ("assessment", "from referral"),
        ("assessment", "due"),
        ("assessment", "alarms"),
        ("notify", "pending"),
    }


async def test_a_store_that_does_not_exist_could_not_be_looked_at(auditor: Auditor, topics: Engines) -> None:
    """Code 2: nothing is known to be wrong, and nothing is known to be right."""
    elsewhere = topics.database_url.replace("{service}", "nowhere_{service}")
    report = await auditor.report(code=2, LEADLINE_DATABASE=elsewhere)
    assert {one["outcome"] for one in report["checks"]} == {"could not look"}
    stores = [one for one in report["checks"] if one["check"] == "store"]
    assert len(stores) == 4
    assert "`leadline worker referral` makes and migrates it" in stores[0]["words"]


async def test_one_store_that_is_away_hides_no_finding_of_another(auditor: Auditor, stores: Stores) -> None:
    """Code 1; what could not be looked at is told beside it."""
    await damage(stores["notify"], "ALTER TABLE inbox RENAME TO inbox_elsewhere")
    await damage(stores["referral"], "UPDATE requests SET status = 500")
    try:
        report = await auditor.report(code=1)
    finally:
        await damage(stores["notify"], "ALTER TABLE inbox_elsewhere RENAME TO inbox")
    assert findings(report) == {("referral", "requests")}
    blind = {(one["service"], one["check"]) for one in report["checks"] if one["outcome"] == "could not look"}
    assert ("notify", "from referral") in blind
    assert not {service for service, _ in blind} - {"notify"}


async def test_a_person_gets_a_table_and_what_to_do(auditor: Auditor, stores: Stores) -> None:
    """One line for each check, then one for each finding, then the sum."""
    await damage(stores["referral"], "UPDATE requests SET status = 500")
    environment = {"LEADLINE_CLOCK_START": MONDAY.isoformat()}
    lines = (await auditor("audit", "--grace", "0", code=1, **environment)).stdout.splitlines()
    assert lines[0].split() == ["outcome", "service", "check", "what", "was", "found"]
    told = [entry for entry in lines if entry.startswith(("ok ", "finding "))]
    (wrong,) = [entry for entry in told if entry.startswith("finding ")]
    assert wrong.split()[:3] == ["finding", "referral", "requests"]
    assert any(entry.startswith("-> referral, requests: ") for entry in lines)
    assert lines[-1] == f"1 finding, 0 could not look, {len(told)} checks"


async def test_a_look_can_write_nothing_and_cannot_take_long(stores: Stores) -> None:
    """The limits are the transaction's own: whoever uses the connection next has none of them."""
    engine = stores["referral"].engine
    async with looking(engine) as connection:
        assert (await connection.execute(text("SHOW statement_timeout"))).scalar_one() == "20s"
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with looking(engine) as connection:
            await connection.execute(text("DELETE FROM inbox"))
    async with engine.begin() as connection:
        for limit in ("statement_timeout", "lock_timeout"):
            assert (await connection.execute(text(f"SHOW {limit}"))).scalar_one() == "0"
        assert (await connection.execute(text("SHOW transaction_read_only"))).scalar_one() == "off"


@contextmanager
def repeating(engines: Engines) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run the audit as a scheduled job; give the process and the address of its metrics."""
    command = [sys.executable, "-m", "services.cli.main", "audit", "--every", "300", "--metrics-port", "0"]
    process = subprocess.Popen(
        [*command, "--grace", "0"],
        cwd=ROOT,
        env={**os.environ, **engines.env(), "LEADLINE_CLOCK_START": MONDAY.isoformat()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("metrics: http://"), said
        yield process, said.split()[1]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_scheduled_job_serves_metrics_until_it_is_told_to_stop(
    topics: Engines, stores: Stores, number: signal.Signals
) -> None:
    """The finding is in the metrics, the report says only what is wrong, and the code is 0."""
    await damage(stores["referral"], "UPDATE requests SET status = 500")
    with repeating(topics) as (process, address):
        async with httpx.AsyncClient() as http, asyncio.timeout(60):
            while "leadline_audit_ended_timestamp_seconds{" not in (shown := (await http.get(address)).text):
                await asyncio.sleep(0.05)
        assert 'leadline_audit_findings{check="requests",service="referral"} 1.0' in shown
        assert 'leadline_audit_findings{check="numbers",service="referral"} 0.0' in shown
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(4)]
        assert told[1].split()[:3] == ["finding", "referral", "requests"]
        assert told[3].startswith("1 finding, 0 could not look, ")
        process.send_signal(number)
        assert process.wait(15) == 0
