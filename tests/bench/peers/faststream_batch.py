"""FastStream on aiokafka, batches: one transaction with SQLAlchemy, acknowledged after the commit."""

import asyncio

from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage

from schemas.events import ReferralAccepted
from services.kernel.base.settings import Settings
from tests.bench.peers.deciding import Incoming
from tests.bench.peers.program import (
    BATCH,
    FETCH_BYTES,
    HANDLED,
    SESSION_SECONDS,
    TOPIC,
    relaying,
    told_to_stop,
)
from tests.bench.peers.sql_store import SqlStore

GROUP = "bench-faststream-batch"


async def main() -> None:
    """Run until told to stop."""
    stop = told_to_stop()
    settings = Settings()
    store = SqlStore(settings, wakes=True)
    broker = KafkaBroker(settings.kafka, logger=None)

    @broker.subscriber(
        TOPIC,
        group_id=GROUP,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.NACK_ON_ERROR,
        batch=True,
        max_records=BATCH,
        max_partition_fetch_bytes=FETCH_BYTES,
        session_timeout_ms=int(SESSION_SECONDS * 1000),
        heartbeat_interval_ms=int(SESSION_SECONDS / 3 * 1000),
    )
    async def on_referrals(events: list[ReferralAccepted], message: KafkaMessage) -> None:
        headers = message.batch_headers
        await store.handle(
            [
                Incoming.of(event, own)
                for event, own in zip(events, headers, strict=True)
                if own["ce_type"] == HANDLED
            ]
        )

    await store.open()
    async with relaying(settings), broker:
        await broker.start()
        await stop.wait()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main())
