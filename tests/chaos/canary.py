"""How long the system takes to be itself again: until a new referral has led to all that it leads to."""

import asyncio
import time
from typing import Any
from uuid import UUID, uuid5

import asyncpg
from aiohttp import ClientSession

from tests.chaos import feed
from tests.chaos.feed import NAMESPACE, Act
from tests.chaos.feeder import persist
from tests.chaos.ledger import Ledger
from tests.chaos.target import Target

PATIENCE_SECONDS = 90.0
LOOK_SECONDS = 0.05
ANSWER_SECONDS = 3.0
"""Whoever measures does not wait long for an answer that may never come: asking again is harmless."""

ALERTED = "SELECT case_id FROM alerts WHERE child_id = $1 AND kind = $2"
KNOWN = "SELECT case_id FROM known_cases WHERE case_id = $1 AND level IS NOT NULL"

WORKER = "W-0101"
FINDINGS = {"needs": [{"domain": "safety", "level": 4}], "completed_by": WORKER}
"""Severe needs: the child may be placed."""

BEFORE, AFTER = -1, -2
"""The numbers of the canaries that no fault has."""


class Canary:
    """Sends referrals of its own through all four services; they are recounted like all others."""

    def __init__(self, target: Target, session: ClientSession, ledger: Ledger, seed: int) -> None:
        self._target = target
        self._session = session
        self._ledger = ledger
        self._seed = seed

    async def recovered(self, number: int) -> float | None:
        """Return after how many seconds a referral made now is where it must be; None when patience ends.

        It is decided on, its case has a lead professional who knows, the assessment is concluded, a placement
        is asked for and the placements officer knows. `number` names the child.
        """
        begun = time.monotonic()
        act = Act(number, "http", uuid5(NAMESPACE, f"{self._seed}/canary/{number}"))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._referred(act)
                case_id = await self._seen("notify", ALERTED, act.child_id, "lead_professional.assigned")
                await self._placed(act.child_id, case_id)
                await self._seen("notify", ALERTED, act.child_id, "placement.requested")
        except TimeoutError:
            return None
        return time.monotonic() - begun

    async def _referred(self, act: Act) -> None:
        shown = await self._persist("/referrals", feed.request(act), f"refer-{act.child_id}")
        if shown is None:
            return
        self._ledger.referred.add(act.child_id)
        self._ledger.in_doubt.add(act.child_id)
        path = f"/referrals/{shown['referral_id']}/decision"
        if await self._persist(path, feed.decision(act), f"decide-{act.child_id}") is not None:
            self._ledger.decided[act.child_id] = "accepted"

    async def _placed(self, child_id: UUID, case_id: UUID) -> None:
        await self._persist(f"/cases/{case_id}/assessment", FINDINGS, f"assess-{child_id}")
        await self._seen("placement", KNOWN, case_id)
        wanted = {
            "case_id": str(case_id),
            "kind": "residential",
            "need_group": "safety",
            "requested_by": WORKER,
        }
        if await self._persist("/placements", wanted, f"place-{child_id}") is not None:
            self._ledger.placed.add(child_id)

    async def _persist(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any] | None:
        return await persist(self._session, path, body, key=key, ledger=self._ledger, pauses=(LOOK_SECONDS,))

    async def _seen(self, service: str, query: str, *about: Any) -> UUID:
        """Return the case that a service's store names, once it does."""
        while True:
            try:
                connection = await asyncpg.connect(
                    self._target.dsn(service), timeout=ANSWER_SECONDS, command_timeout=ANSWER_SECONDS
                )
                try:
                    while (case_id := await connection.fetchval(query, *about)) is None:
                        await asyncio.sleep(LOOK_SECONDS)
                    return UUID(str(case_id))
                finally:
                    connection.terminate()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(LOOK_SECONDS)
