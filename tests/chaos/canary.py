"""How long the system takes to be itself again: until a new referral has led to its alert."""

import asyncio
import time
from collections.abc import Callable
from uuid import uuid5

import asyncpg
from aiohttp import ClientSession

from tests.chaos import feed
from tests.chaos.feed import NAMESPACE, Act
from tests.chaos.feeder import persist
from tests.chaos.ledger import Ledger
from tests.chaos.target import Target

PATIENCE_SECONDS = 90.0
LOOK_SECONDS = 0.1

ALERTED = "SELECT EXISTS (SELECT FROM alerts WHERE child_id = $1 AND kind = 'lead_professional.assigned')"


class Canary:
    """Sends referrals of its own, which are recounted like all others."""

    def __init__(self, target: Target, session: ClientSession, ledger: Ledger, seed: int) -> None:
        self._dsn = target.dsn("notify")
        self._session = session
        self._ledger = ledger
        self._child: Callable[[int], Act] = lambda number: Act(
            number, "http", uuid5(NAMESPACE, f"{seed}/canary/{number}")
        )

    async def recovered(self, number: int) -> float | None:
        """Return after how many seconds a referral made now has its alert; None when patience ends first."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._accepted(self._child(number))
                await self._alerted(self._child(number))
        except TimeoutError:
            return None
        return time.monotonic() - begun

    async def _accepted(self, act: Act) -> None:
        shown = await persist(
            self._session, "/referrals", feed.request(act), key=f"refer-{act.child_id}", ledger=self._ledger
        )
        if shown is None:
            return
        self._ledger.referred.add(act.child_id)
        self._ledger.in_doubt.add(act.child_id)
        path = f"/referrals/{shown['referral_id']}/decision"
        key = f"decide-{act.child_id}"
        if await persist(self._session, path, feed.decision(act), key=key, ledger=self._ledger) is not None:
            self._ledger.decided[act.child_id] = "accepted"

    async def _alerted(self, act: Act) -> None:
        while True:
            try:
                connection = await asyncpg.connect(self._dsn, timeout=5.0)
                try:
                    while not await connection.fetchval(ALERTED, act.child_id):
                        await asyncio.sleep(LOOK_SECONDS)
                    return
                finally:
                    connection.terminate()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(LOOK_SECONDS)
