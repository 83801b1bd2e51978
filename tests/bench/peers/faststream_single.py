"""FastStream on aiokafka, one event and one transaction at a time, acknowledged after the commit."""

import asyncio

from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage

from schemas.events import ReferralAccepted
from services.kernel.base.settings import Settings
from tests.bench.peers.deciding import Incoming
from tests.bench.peers.program import HANDLED, TOPIC, relaying, told_to_stop
from tests.bench.peers.sql_store import SqlStore

GROUP = "bench-faststream-single"


async def main() -> None:
    """Run until told to stop."""
    stop = told_to_stop()
    settings = Settings()
    store = SqlStore(settings, wakes=False)
    broker = KafkaBroker(settings.kafka, logger=None)

    @broker.subscriber(
        TOPIC, group_id=GROUP, auto_offset_reset="earliest", ack_policy=AckPolicy.NACK_ON_ERROR
    )
    async def on_referral(event: ReferralAccepted, message: KafkaMessage) -> None:
        if message.headers["ce_type"] == HANDLED:
            await store.handle([Incoming.of(event, message.headers)])

    await store.open()
    async with relaying(settings), broker:
        await broker.start()
        await stop.wait()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main())
