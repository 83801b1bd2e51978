"""Waiting until the system has nothing left to do."""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from math import inf

import asyncpg
from aiokafka.errors import KafkaError

from schemas.topics import read_by
from services.kernel.bus import Bus
from services.kernel.settings import Settings
from tests.chaos.target import SERVICES, Target

PATIENCE_SECONDS = 120.0
"""How long there may be no progress; after a storm there is much to do, and each minute there is less."""

LOOK_SECONDS = 0.5
LOOKS = 3
"""What a service writes last is read by another: rest must be seen several times in a row."""

LEFT_OF_ALERTS = """
    SELECT (SELECT count(*) FROM alerts WHERE next_escalation_at <= $1)
        + (SELECT count(*) FROM delegations WHERE NOT begun AND starts_at <= $1)
        + (SELECT count(*) FROM deliveries WHERE state = 'held' AND held_until <= $1)
"""
LEFT = """
    SELECT (SELECT count(*) FROM outbox) AS outbox,
        (SELECT count(*) FROM deadlines WHERE next_at <= $1) AS deadlines
"""


async def at_rest(target: Target, *, now: datetime) -> list[str]:
    """Return when nothing is left to do at the held moment `now`, else a sentence for what was in the end."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    calm = 0
    least: float = inf
    left: Mapping[str, int] = {}
    while calm < LOOKS:
        try:
            left = await _left(target, now)
        except (KafkaError, OSError, TimeoutError, asyncpg.PostgresError) as error:
            left = {type(error).__name__: 1}
        else:
            if sum(left.values()) < least:
                least, give_up = sum(left.values()), time.monotonic() + PATIENCE_SECONDS
        calm = calm + 1 if not left else 0
        if time.monotonic() > give_up:
            return [
                f"no progress for {PATIENCE_SECONDS:.0f} s: {count} {what}" for what, count in left.items()
            ]
        await asyncio.sleep(LOOK_SECONDS)
    return []


async def _left(target: Target, now: datetime) -> dict[str, int]:
    left: dict[str, int] = {}
    async with Bus(Settings(kafka=target.system.engines.kafka)) as bus:
        for service in SERVICES:
            for topic, behind in (await bus.lag(service, read_by(service))).items():
                left[f"unread by {service} on {topic}"] = behind
    for service in SERVICES:
        connection = await asyncpg.connect(target.dsn(service))
        try:
            ((outbox, deadlines),) = await connection.fetch(LEFT, now)
            if service == "notify":
                left["alerts and deliveries due"] = await connection.fetchval(LEFT_OF_ALERTS, now)
        finally:
            await connection.close()
        left |= {f"in the outbox of {service}": outbox, f"deadlines due in {service}": deadlines}
    return {what: count for what, count in left.items() if count}
