"""Waiting until the system has nothing left to do."""

import asyncio
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf

import asyncpg
from aiokafka.errors import KafkaError

from schemas.topics import NOTIFY, read_by
from services.kernel.base.settings import Settings
from services.kernel.kafka.admin import Bus
from tests.chaos.target import SERVICES, Target

PATIENCE_SECONDS = 120.0
"""How long there may be no progress; after a storm there is much to do, and each minute there is less."""

MAIL_SECONDS = 180.0
"""How long emails may go on: longer than the lease of a sender that died, two minutes, and much shorter than
what a long run leaves in the queue."""

LOOK_SECONDS = 0.5
LOOKS = 3
"""What a service writes last is read by another: rest must be seen several times in a row."""

LEFT_OF_ALERTS = """
    SELECT (SELECT count(*) FROM alerts WHERE next_escalation_at <= $1)
        + (SELECT count(*) FROM delegations WHERE NOT begun AND starts_at <= $1)
        + (SELECT count(*) FROM deliveries WHERE state = 'held' AND held_until <= $1)
"""
QUEUED = """
    SELECT count(*) AS queued, count(*) FILTER (WHERE claim IS NULL) AS free
    FROM deliveries WHERE state = 'queued'
"""
LEFT = """
    SELECT (SELECT count(*) FROM outbox) AS outbox,
        (SELECT count(*) FROM deadlines WHERE next_at <= $1) AS deadlines
"""


@dataclass(frozen=True)
class Mailed:
    """How the mailer fared once everything else was over."""

    queued: int
    """Emails that waited then."""
    left: int
    """Those that wait still: the mail server was stopped, so that the rest can come to rest."""
    seconds: float
    """Until all had gone but for those of senders that had died, whose leases must run out."""

    @property
    def per_second(self) -> float:
        """How many have gone, those that were added meanwhile left out."""
        return (self.queued - self.left) / self.seconds if self.seconds else 0.0


NOTHING_MAILED = Mailed(0, 0, 0.0)


async def mailed(target: Target) -> Mailed:
    """Wait until no email is queued any more; stop the mail server when that takes too long."""
    begun = time.monotonic()
    first = queued, free = await _queued(target)
    seconds = 0.0
    while queued and time.monotonic() < begun + MAIL_SECONDS:
        await asyncio.sleep(LOOK_SECONDS)
        if free:
            seconds = time.monotonic() - begun
        queued, free = await _queued(target)
    if queued:
        target.system.supervisor.kill("mail", signal.SIGSTOP)
    return Mailed(first[0], queued, seconds)


async def at_rest(target: Target, *, now: datetime, mailing: bool = False) -> list[str]:
    """Return when nothing is left to do at the held moment `now`, else a sentence for what was in the end.

    With `mailing` emails may still go out, and what notify publishes about them is not waited for.
    """
    give_up = time.monotonic() + PATIENCE_SECONDS
    calm = 0
    least: float = inf
    left: Mapping[str, int] = {}
    while calm < LOOKS:
        try:
            left = await _left(target, now, mailing=mailing)
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


async def _queued(target: Target) -> tuple[int, int]:
    """Return how many emails wait, and how many of them no sender has claimed."""
    connection = await asyncpg.connect(target.dsn("notify"))
    try:
        ((queued, free),) = await connection.fetch(QUEUED)
        return queued, free
    finally:
        await connection.close()


async def _left(target: Target, now: datetime, *, mailing: bool) -> dict[str, int]:
    left: dict[str, int] = {}
    async with Bus(Settings(kafka=target.system.engines.kafka)) as bus:
        for service in SERVICES:
            for topic, behind in (await bus.lag(service, read_by(service))).items():
                if not mailing or topic != NOTIFY.name:
                    left[f"unread by {service} on {topic}"] = behind
    for service in SERVICES:
        connection = await asyncpg.connect(target.dsn(service))
        try:
            ((outbox, deadlines),) = await connection.fetch(LEFT, now)
            if service == "notify":
                left["alerts and deliveries due"] = await connection.fetchval(LEFT_OF_ALERTS, now)
        finally:
            await connection.close()
        if not mailing or service != "notify":
            left[f"in the outbox of {service}"] = outbox
        left[f"deadlines due in {service}"] = deadlines
    return {what: count for what, count in left.items() if count}
