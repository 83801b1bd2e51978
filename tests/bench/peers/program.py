"""What every peer's program has in common: its settings, our relay beside it, and the end by SIGTERM."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from schemas.events import ReferralAccepted
from schemas.topics import REFERRAL
from services.kernel.base.garbage import look_less_often
from services.kernel.base.settings import Settings
from services.kernel.processing.relay import Relay

TOPIC = REFERRAL.name
HANDLED = ReferralAccepted.wire_type
BATCH = 500
"""Events per transaction of those who work in batches: as many as ours."""

FETCH_BYTES = 4 * 1024 * 1024
"""Bytes of one partition that the broker may hand over at once: as many as to us."""

SESSION_SECONDS = 6.0


@asynccontextmanager
async def relaying(settings: Settings) -> AsyncIterator[None]:
    """Publish the outbox for as long as the context lasts, in this process, as our worker does.

    Enter it when everything is imported and built: Python then looks for cycles as seldom as in our worker.
    The objects that it would walk through are mostly our rules' own.
    """
    relay = Relay(settings, service="assessment")
    await relay.start()
    look_less_often()
    try:
        yield
    finally:
        await relay.stop()


def told_to_stop() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set. Call it inside the running loop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
