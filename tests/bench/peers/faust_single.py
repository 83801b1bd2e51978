"""Faust, one event and one transaction at a time: an agent with SQLAlchemy, acknowledged after its body."""

import sys
from pathlib import Path
from typing import Any

import faust
from faust.types import StreamT

from schemas.events import ReferralAccepted
from services.kernel.base.garbage import look_less_often
from services.kernel.base.settings import Settings
from services.kernel.processing.relay import Relay
from tests.bench.peers.deciding import Incoming
from tests.bench.peers.program import HANDLED, SESSION_SECONDS, TOPIC
from tests.bench.peers.sql_store import SqlStore

GROUP = "bench-faust-single"
ROOT = Path(__file__).parents[3]


def create_app(settings: Settings) -> faust.App:
    """Return the application with its one agent."""
    app = faust.App(
        GROUP,
        broker=f"kafka://{settings.kafka}",
        store="memory://",
        datadir=str(ROOT / "var" / "bench" / "faust"),
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        value_serializer="raw",
        stream_wait_empty=True,  # a stop waits for the running event
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=SESSION_SECONDS / 3,
    )
    topic = app.topic(TOPIC, key_type=bytes, value_type=bytes, value_serializer="raw")
    store = SqlStore(settings, wakes=False)

    @app.agent(topic)
    async def referrals(stream: StreamT[bytes]) -> None:
        await store.open()
        async for event in stream.events():
            headers = {name: value.decode() for name, value in dict(event.headers).items()}
            if headers["ce_type"] == HANDLED:
                await store.handle([Incoming.of(ReferralAccepted.model_validate_json(event.value), headers)])

    @app.service
    class Published(Relay):
        """Our relay, in the same process."""

        def __init__(self, **_: Any) -> None:
            super().__init__(settings, service="assessment")

        async def on_shutdown(self) -> None:
            """Disconnect."""
            await store.close()

    return app


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "worker", "--loglevel", "warn", "--without-web"]
    app = create_app(Settings())
    look_less_often()  # as our worker does, and all other peers
    app.main()
