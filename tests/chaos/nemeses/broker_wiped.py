"""The broker's disk is lost: it comes back empty, with another cluster id.

What the journals hold the relays publish again, by themselves. Two things are an operator's, and this nemesis
is the operator: to create the topics (`leadline topics apply`), and to tell the partners, who publish again
what they had published.
"""

import asyncio
import os
import shutil
import time
from pathlib import Path
from random import Random

import psutil  # type: ignore[import-untyped]  # ships no types
from aiokafka.errors import KafkaError

from deploy.embedded import kafka
from deploy.embedded.ready import kafka_answers
from services.kernel.base.settings import Settings
from services.kernel.kafka.admin import Bus
from tests.chaos import feed
from tests.chaos.nemeses.patience import NotBroughtAbout, until
from tests.chaos.partner_journal import publish
from tests.chaos.target import Target

ENDED_SECONDS = 0.002
"""Between two looks at the broker that was killed: it is started again after a quarter of a second."""

RETRY_SECONDS = 0.1
HOPELESS_SECONDS = 120.0


def act(target: Target, _chance: Random) -> None:
    """Kill the broker, put an empty directory in the place of its own, and bring back what others have."""
    broker = target.engine("kafka")
    process = broker.process()
    if process is None:
        message = "the broker was not there to be wiped"
        raise NotBroughtAbout(message)
    home = (target.home / "kafka").resolve()
    data = home / "data"
    fresh = _formatted(home, process)
    process.kill()
    while broker.process() is not None:
        time.sleep(ENDED_SECONDS)
    lost = data.with_name("data.lost")
    data.rename(lost)
    fresh.rename(data)
    shutil.rmtree(lost)
    kafka_at = target.system.engines.kafka
    # Half-way there is no way back: without topics the system would wait for ever.
    until(lambda: kafka_answers(kafka_at), "the broker did not come back", within=HOPELESS_SECONDS)
    asyncio.run(_apply_topics(kafka_at))
    publish(kafka_at, map(feed.message, target.partners.lost()))


def _formatted(home: Path, broker: psutil.Process) -> Path:
    """Return an empty data directory with an own cluster id, for a broker that still runs on another."""
    argv = broker.cmdline()
    artifact, *_ = argv[argv.index("-cp") + 1].split(os.pathsep)
    fresh = home / "fresh"
    kafka.format_data(fresh, like=Path(artifact).parent / kafka.FORMATTED)
    return fresh


async def _apply_topics(address: str) -> None:
    give_up = time.monotonic() + HOPELESS_SECONDS
    while True:
        try:
            async with Bus(Settings(kafka=address)) as bus:
                await bus.apply()
            return
        except (KafkaError, OSError, TimeoutError):
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(RETRY_SECONDS)
