"""Sends the feed as partners would: the same again and again until somebody says that it is safe."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.topics import PARTNER
from tests.chaos import feed
from tests.chaos.feed import Act
from tests.chaos.ledger import Ledger
from tests.chaos.partner_journal import PartnerJournal

TICK_SECONDS = 0.05
AT_ONCE = 24
"""HTTP requests under way at the same time."""

REFUSALS = 8
"""A 409 may mean that others were at the same moment; one that stays is an answer."""

PAUSES = (0.1, 0.2, 0.5, 1.0)
SEND_SECONDS = 10.0


def client(site: str, *, answer_seconds: float = SEND_SECONDS) -> ClientSession:
    """Return an HTTP client as an agency has it; it waits for so long for an answer."""
    return ClientSession(site, connector=TCPConnector(limit=64), timeout=ClientTimeout(answer_seconds))


async def persist(
    session: ClientSession,
    path: str,
    body: dict[str, Any],
    *,
    key: str,
    ledger: Ledger,
    pauses: Sequence[float] = PAUSES,
) -> dict[str, Any] | None:
    """POST until a 2xx comes, and return its body; None when the system contradicts what is right."""
    refusals, attempt = 0, 0
    while True:
        try:
            async with session.post(path, json=body, headers={"Idempotency-Key": key}) as answer:
                if answer.ok:
                    shown: dict[str, Any] = await answer.json()
                    ledger.events += 1
                    return shown
                if 400 <= answer.status < 500:
                    refusals += 1
                    if refusals == REFUSALS or answer.status != 409:
                        ledger.contradicted.append(f"{answer.status} for {key}: {await answer.text()}"[:300])
                        return None
        except (ClientError, TimeoutError, OSError):
            pass  # nobody knows what became of the request: the key makes asking again harmless
        await asyncio.sleep(pauses[min(attempt, len(pauses) - 1)])
        attempt += 1


class Feeder:
    """Sends the acts evenly over so many seconds, whether or not earlier answers have come.

    What was published is kept in the partners' journal: who wipes the broker lets them send it again.
    """

    def __init__(
        self,
        acts: Sequence[Act],
        seconds: float,
        ledger: Ledger,
        partners: PartnerJournal,
        *,
        site: str,
        kafka: str,
    ) -> None:
        self._acts = acts
        self._seconds = seconds
        self._ledger = ledger
        self._partners = partners
        self._site = site
        self._kafka = kafka
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._published: asyncio.Queue[list[Act] | None] = asyncio.Queue()
        self._producer: AIOKafkaProducer | None = None

    async def run(self) -> None:
        """Return when everything has been sent and acknowledged. Cancel it to give up."""
        async with client(self._site) as session, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish_all())
            loop = asyncio.get_running_loop()
            begun, sent = loop.time(), 0
            while sent < len(self._acts):
                due = int(len(self._acts) * min(1.0, (loop.time() - begun) / self._seconds))
                acts = self._acts[sent:due]
                sent = max(sent, due)
                for act in acts:
                    if act.kind == "http":
                        tasks.create_task(self._refer(session, act))
                self._published.put_nowait([act for act in acts if act.kind != "http"])
                await asyncio.sleep(TICK_SECONDS)
            self._published.put_nowait(None)

    async def _refer(self, session: ClientSession, act: Act) -> None:
        async with self._gate:
            key = f"refer-{act.child_id}"
            shown = await persist(session, "/referrals", feed.request(act), key=key, ledger=self._ledger)
            if shown is None:
                return
            self._ledger.referred.add(act.child_id)
            referral_id = UUID(shown["referral_id"])
            if self._ledger.referral_ids.setdefault(act.child_id, referral_id) != referral_id:
                self._ledger.contradicted.append(f"two referrals for {key}")
            self._ledger.in_doubt.add(act.child_id)
            path, key = f"/referrals/{referral_id}/decision", f"decide-{act.child_id}"
            shown = await persist(session, path, feed.decision(act), key=key, ledger=self._ledger)
            if shown is not None:
                self._ledger.decided[act.child_id] = "accepted" if act.outcome == "accept" else "closed"

    async def _publish_all(self) -> None:
        try:
            while (acts := await self._published.get()) is not None:
                while acts and not await self._published_safely(acts):
                    await asyncio.sleep(PAUSES[1])
                self._ledger.referred |= {act.child_id for act in acts if act.kind == "bus"}
                self._ledger.events += len(acts)
        finally:
            await self._disconnect()

    async def _published_safely(self, acts: Sequence[Act]) -> bool:
        """Publish; return whether the broker has acknowledged all of it and has not been wiped meanwhile."""
        losses = self._partners.losses
        try:
            await self._send(acts)
        except (KafkaError, OSError, TimeoutError):
            await self._disconnect()
            return False
        return self._partners.keep(acts, losses=losses)

    async def _send(self, acts: Sequence[Act]) -> None:
        """Return when the broker has acknowledged all of them."""
        producer = self._producer = self._producer or await self._connected()
        messages = map(feed.message, acts)
        sent = [
            await producer.send(PARTNER.name, value, key, headers=headers) for key, value, headers in messages
        ]
        await asyncio.gather(*sent)

    async def _connected(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._kafka, acks="all", request_timeout_ms=int(SEND_SECONDS * 1000)
        )
        try:
            await producer.start()
        except BaseException:
            await _stop(producer)
            raise
        return producer

    async def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await producer.stop()
    except (KafkaError, OSError, TimeoutError):
        return  # what was not acknowledged is sent again by the next producer
