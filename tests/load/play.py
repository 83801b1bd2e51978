"""One play: alerts at an even rate, senders beside them, and how long each message took to the other side."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic
from uuid import UUID

from sqlalchemy import text

from deploy.embedded.engines import Engines
from schemas import events as e
from schemas.events.codes import Channel
from tests.builders import MONDAY, assessment_started, deadline_overdue, lead_professional_assigned
from tests.connected.notify_rig import Rig, notify_rig, received

PACK = Path(__file__).parents[2] / "deploy" / "policies" / "cambridgeshire.yaml"
TICK = 0.1
SETUP = 100
AGENCIES = {"/agency": "school-1", "/hangs": "school-2", "/fails": "school-3"}
REFUSED = "421 4.3.2 not now"
END_SECONDS = 600.0


@dataclass
class Played:
    """What a play has shown. Waits are seconds from the decision to the other side, by sender."""

    waits: dict[str, list[float]] = field(default_factory=dict)
    alerts: int = 0
    people: int = 0
    deliveries: int = 0
    lost: int = 0
    doubled: int = 0
    seconds: float = 0.0


async def play(
    engines: Engines,
    directory: Path,
    *,
    alerts: int,
    workers: int,
    rate: float,
    trouble_seconds: float,
) -> Played:
    """Tell `alerts` alerts to `workers` workers and return how it went.

    With trouble one agency's webhook hangs, another's answers 500, both until all was told, and the mail
    server refuses for so many seconds.
    """
    cases = alerts // 4  # two alerts each, and two for each referral
    policy = _pack_of(directory, workers)
    async with notify_rig(engines, directory, policy=policy, send_seconds=0.1, database_pool=8) as rig:
        _phones(rig, workers)
        for path, agency in AGENCIES.items():
            await rig.subscribe(path, owner=agency, signed=False)
        await rig.subscribe("/team", signed=False)
        await rig.subscribe("/chat", channel=Channel.CHAT)
        await _set_up(rig, cases, workers)
        if trouble_seconds:
            rig.receiver.at("/hangs").mode = "hang"
            rig.receiver.at("/fails").mode = "error"
            rig.office.refusing = REFUSED
        played = Played()
        begun = monotonic()
        async with rig.sending:
            keeping = asyncio.create_task(_keep_time(rig, begun, trouble_seconds))
            try:
                played.waits["inbox"] = await _tell(rig, cases, begun, rate)
                rig.receiver.at("/hangs").mode = rig.receiver.at("/fails").mode = "ok"
                await _until_sent(rig)
            finally:
                keeping.cancel()
        played.seconds = monotonic() - begun
        await _recount(rig, played, begun)
    return played


async def _set_up(rig: Rig, cases: int, workers: int) -> None:
    """Give every case its lead; what that alerts of is not part of the play."""
    told: list[e.Event] = []
    for number in range(1, cases + 1):
        child, case = UUID(int=10_000 + number), UUID(int=20_000_000 + number)
        told += (
            assessment_started(child, case_id=case),
            lead_professional_assigned(_worker(number % workers), child_id=child, case_id=case),
        )
    for first in range(0, len(told), SETUP):
        await rig.bench.deliver(*told[first : first + SETUP])
    async with rig.bench.engine.begin() as connection:
        await connection.execute(text("DELETE FROM deliveries"))
        await connection.execute(text("DELETE FROM alerts"))


async def _tell(rig: Rig, cases: int, begun: float, rate: float) -> list[float]:
    """Deliver the events at their times; return how long each waited until it was in the inboxes."""
    waits: list[float] = []
    pending = list(_events(cases))
    each = 2 / rate  # two alerts an event
    told = 0
    while told < len(pending):
        due = min(len(pending), int((monotonic() - begun) / each) + 1)
        if due > told:
            rig.bench.clock.move(MONDAY + timedelta(seconds=monotonic() - begun))
            await rig.bench.deliver(*pending[told:due])
            arrived = monotonic() - begun
            waits += [arrived - number * each for number in range(told, due)]
            told = due
        await asyncio.sleep(TICK)
    return waits


def _events(cases: int) -> Iterator[e.Event]:
    agencies = list(AGENCIES.values())
    for number in range(1, cases + 1):
        child, case = UUID(int=10_000 + number), UUID(int=20_000_000 + number)
        yield deadline_overdue(number=30_000_000 + number, child_id=child, about=case, case_id=case)
        yield received(40_000_000 + number, agency_id=agencies[number % len(agencies)])


async def _keep_time(rig: Rig, begun: float, trouble_seconds: float) -> None:
    """Let real time pass for the senders; whoever waits for the end may move it on beside."""
    last = begun
    while True:
        passed = monotonic()
        if passed - begun > trouble_seconds:
            rig.office.refusing = None
        rig.real.move(timedelta(seconds=passed - last))
        last = passed
        await asyncio.sleep(0.02)


async def _until_sent(rig: Rig) -> None:
    """Wait until nothing is queued; the pauses after failures are cut short, a minute at a time."""
    give_up = monotonic() + END_SECONDS
    while monotonic() < give_up:
        rows = await rig.bench.rows("SELECT count(*) FROM deliveries WHERE state = 'queued'")
        if not rows[0][0]:
            return
        await asyncio.sleep(0.5)
        ready = await rig.bench.rows(
            "SELECT FROM deliveries WHERE state = 'queued'"
            " AND (next_attempt_at IS NULL OR next_attempt_at <= :now) LIMIT 1",
            now=rig.real.now(),
        )
        if not ready:
            rig.real.move(timedelta(minutes=1))


async def _recount(rig: Rig, played: Played, begun: float) -> None:
    """Compare what was to be told with what the other sides have, and take the times."""
    rows = await rig.deliveries()
    queued = {str(row.message_id): (row.queued_at - MONDAY).total_seconds() for row in rows}
    arrivals: dict[str, dict[str, float]] = {"email": {}, "sms": {}}
    counted = 0
    for identity, moment in zip(rig.office.ids(), rig.office.moments, strict=True):
        arrivals["email"][identity.strip("<>").partition("@")[0]] = moment
    counted += len(rig.office.kept)
    for kept in rig.stub.kept.values():
        arrivals["sms"][str(kept.reference)] = kept.moment
    counted += len(rig.stub.kept)
    names = {"/agency": "agency webhook", "/team": "team webhook", "/hangs": "hanging", "/fails": "failing"}
    for path, sender in names.items():
        endpoint = rig.receiver.at(path)
        identities = [headers["webhook-id"] for headers in endpoint.headers]
        arrivals[sender] = dict(zip(identities, endpoint.moments, strict=True))
        counted += len(identities)
    for sender, moments in arrivals.items():
        played.waits[sender] = [moment - begun - queued[identity] for identity, moment in moments.items()]
    chats = [row for row in rows if row.channel == Channel.CHAT]
    moments_of_chat = sorted(rig.receiver.at("/chat").moments)
    in_order = sorted((row.queued_at - MONDAY).total_seconds() for row in chats)
    # A chat knows no ids; its sender keeps the order, so the n-th to arrive is the n-th that was queued.
    played.waits["chat"] = [
        moment - begun - since for moment, since in zip(moments_of_chat, in_order, strict=False)
    ]
    distinct = sum(len(each) for each in arrivals.values()) + len(moments_of_chat)
    played.deliveries = len(rows)
    played.lost = len(rows) - distinct + sum(row.state != "sent" for row in rows)
    played.doubled = counted + len(moments_of_chat) - distinct
    (alerts,) = await rig.bench.rows(
        "SELECT count(*) AS alerts, count(DISTINCT recipient_id) AS people FROM alerts"
    )
    played.alerts, played.people = alerts.alerts, alerts.people


def _worker(number: int) -> str:
    return f"W-9{number:04}"


def _pack_of(directory: Path, workers: int) -> Path:
    """Write the council's pack with so many more workers in one team; return the file."""
    lines = PACK.read_text("utf-8").replace("extends: base", f"extends: {PACK.parent / 'base'}")
    more = "".join(
        f"  - {{id: {_worker(number)}, role: family_worker, team: lt-ely, capacity: 24}}\n"
        for number in range(workers)
    )
    written = directory / "pack.yaml"
    written.write_text(lines.replace("practitioners:\n", f"practitioners:\n{more}", 1), encoding="utf-8")
    return written


def _phones(rig: Rig, workers: int) -> None:
    people = rig.bench.settings.directory
    assert people is not None
    lines = [f"{_worker(number)},,079{number:08}\n" for number in range(workers)]
    people.write_text("recipient_id,email,phone\nW-0600,,07700900100\n" + "".join(lines))
