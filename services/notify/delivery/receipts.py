"""Receipts of GOV.UK Notify: by its callback, and by polling, because an outage loses callbacks.

A receipt counts once, however it comes and however often.
"""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from mode import Service as Part

from services.kernel.base.clock import Clock, SystemClock
from services.kernel.base.settings import Settings
from services.kernel.postgres.connection import Connection, Engine
from services.kernel.postgres.database import is_transient
from services.kernel.processing.loops import Waiting, keep_doing
from services.notify.delivery.channels.govuk_notify import PROVIDER, Answers, NotifyApi, text_of
from services.notify.delivery.store import queue
from services.notify.delivery.store import receipts as receipt_store

LIMIT = 50
ASK_AGAIN_AFTER = timedelta(minutes=30)

Failure = Literal["permanent_failure", "temporary_failure", "technical_failure"]
FAILURES: dict[str, Failure] = {
    "permanent-failure": "permanent_failure",
    "temporary-failure": "temporary_failure",
    "technical-failure": "technical_failure",
}
"""Temporary failures too: by then Notify's providers have tried for up to 72 hours."""
DELIVERED = "delivered"


async def record(connection: Connection, message_id: UUID, status: str, *, now: datetime) -> int:
    """Record what Notify says of a message; return how many deliveries changed."""
    if status == DELIVERED:
        return await queue.arrived(connection, message_id, now=now)
    failure = FAILURES.get(status)
    if failure is None:
        return 0  # created, sending, pending: nothing is known yet
    return await queue.bounced(connection, message_id, reason=failure, detail=failure, now=now)


def _passes(error: BaseException) -> bool:
    return isinstance(error, Answers) or is_transient(error)


def _named(error: BaseException) -> str:
    return error.name if isinstance(error, Answers) else type(error).__name__


class ReceiptsAsked(Part):
    """Asks Notify for missing receipts, first five minutes after sending.

    A message without a receipt after `sender.ASK_FOR` has failed, and is reported like any failure.
    """

    def __init__(
        self, settings: Settings, engine: Engine, clock: Clock, api: NotifyApi, *, real: Clock | None = None
    ) -> None:
        super().__init__()
        self._interval = settings.scan_seconds
        self._engine = engine
        self._clock = clock
        self._api = api
        self._real = real or SystemClock()

    @Part.task
    async def _ask_for_ever(self) -> None:
        waiting = Waiting("receipts wait", passes=_passes, named=_named)
        await keep_doing(self, self.ask, pause_seconds=self._interval, waiting=waiting)

    async def ask(self) -> int:
        """Ask about what is due; return how many deliveries changed."""
        real = self._real.now()
        async with self._engine.connect() as connection:
            awaited = await receipt_store.claim(
                connection, provider=PROVIDER, now=real, again=real + ASK_AGAIN_AFTER, limit=LIMIT
            )
        news = 0
        for message in awaited:
            status = await self._status(message.reference)
            async with self._engine.begin() as connection:
                found = await record(connection, message.message_id, status, now=self._clock.now())
                if not found and real >= message.ask_until:
                    found = await queue.bounced(
                        connection,
                        message.message_id,
                        reason="gave_up",
                        detail="no_receipt",
                        now=self._clock.now(),
                    )
            news += found
        return news

    async def _status(self, reference: str) -> str:
        try:
            answer = await self._api.call(lambda client: client.get_notification_by_id(reference))
        except Answers as no:
            if no.status == 404:
                return "unknown"  # deleted after Notify's own retention
            raise
        return text_of(answer, "status")
