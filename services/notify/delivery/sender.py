"""One sender: claims its messages, hands them to its carrier, records the outcomes."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import NamedTuple
from uuid import UUID, uuid4

import structlog

from services.kernel.base.clock import Clock
from services.kernel.postgres.connection import Connection, Engine
from services.kernel.postgres.database import is_transient
from services.notify import metrics
from services.notify.delivery.channels.breaker import Breaker
from services.notify.delivery.channels.carrier import Away, Carrier, Later, Outcome, Rejected, Taken
from services.notify.delivery.store import claims, queue
from services.notify.delivery.store.claims import SenderKey
from services.notify.delivery.store.queue import Message

log = structlog.get_logger()

REFUSALS_ALLOWED = 3
"""How many times a provider may refuse a message before it is given up."""

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)

BATCH_SECONDS = 45.0
"""After this long no further message of a batch is started."""

ASK_FIRST_AFTER = timedelta(minutes=5)
ASK_FOR = timedelta(hours=73)
"""GOV.UK Notify's providers try for up to 72 hours; silence after that counts as a failure."""

RECORD_PAUSES = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Between attempts to record while the database is away: no other worker resends within the lease."""


class Tried(NamedTuple):
    """A message and its outcome; None: it was not tried."""

    message: Message
    outcome: Outcome | None


class Sender:
    """Sends the messages of one channel or endpoint in order, batch by batch.

    At least once: if this process or the database fails before an outcome is recorded, the message goes
    again with the same id when its lease is over. That affects at most one batch of `carrier.at_once`
    messages. Nothing is lost: temporary failures are tried again, refusals `REFUSALS_ALLOWED` times, and
    giving up is an event. Pauses are in real time even when the county's time is simulated, because
    providers know only real time.
    """

    def __init__(
        self,
        key: SenderKey,
        engine: Engine,
        *,
        clock: Clock,
        real: Clock,
        lease: timedelta,
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self.key = key
        self._engine = engine
        self._clock = clock
        self._real = real
        self._lease = lease
        self._new_id = new_id
        self.breaker = Breaker()
        self._stopping = False

    def stop(self) -> None:
        """Begin no further batch."""
        self._stopping = True

    def may_send(self) -> bool:
        """Return whether the breaker lets messages through now."""
        return not self.breaker.is_open(self._real.now())

    async def drain(self, carrier: Carrier) -> int:
        """Send what is due until nothing is left or the far side is away; return how many were taken."""
        taken = 0
        try:
            while not self._stopping and self.may_send():
                tried = await self.send_batch(carrier)
                taken += sum(isinstance(each.outcome, Taken) for each in tried)
                if not tried:
                    break
        finally:
            await carrier.rest()
        return taken

    async def send_batch(self, carrier: Carrier) -> list[Tried]:
        """Claim, send and record one batch."""
        limit = 1 if self.breaker.is_probing else carrier.at_once
        messages = await self._claim(limit)
        if not messages:
            return []
        tried = await self._send(messages, carrier)
        self._judge(tried)
        await self._record(tried, carrier)
        for each in tried:
            outcome = "not_tried" if each.outcome is None else each.outcome.label
            metrics.SENDINGS.labels(self.key.channel.value, outcome).inc()
        return tried

    async def _claim(self, limit: int) -> list[Message]:
        now = self._real.now()
        async with self._engine.connect() as connection:
            return await claims.claim(
                connection, self.key, limit=limit, claim_id=self._new_id(), now=now, until=now + self._lease
            )

    async def _send(self, messages: Sequence[Message], carrier: Carrier) -> list[Tried]:
        slots = asyncio.Semaphore(carrier.side_by_side)
        give_up = monotonic() + BATCH_SECONDS
        away = False

        async def send(message: Message) -> Tried:
            nonlocal away
            async with slots:
                if away or monotonic() > give_up:
                    return Tried(message, None)
                begun = monotonic()
                try:
                    async with asyncio.timeout(carrier.timeout_seconds):
                        outcome = await carrier.send(message)
                except TimeoutError:
                    outcome = Later("TimeoutError", unknown=True)
                metrics.SENDING_SECONDS.labels(self.key.channel.value).observe(monotonic() - begun)
                away = away or isinstance(outcome, Away)
                return Tried(message, outcome)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(send(message)) for message in messages]
        return [task.result() for task in tasks]

    def _judge(self, tried: Sequence[Tried]) -> None:
        """Tell the breaker how the far side is. A refusal is an answer: the far side is well."""
        now = self._real.now()
        for outcome in (each.outcome for each in tried):
            match outcome:
                case Away(reason, pause):
                    lasts = self.breaker.trip(now, pause)
                    log.warning(
                        "far side away, messages wait",
                        channel=self.key.channel.value,
                        subscription_id=_shown(self.key.subscription_id),
                        reason=reason,
                        pause_seconds=lasts.total_seconds(),
                    )
                    return
                case Taken() | Rejected() | Later(answered=True):
                    self.breaker.succeed()
                case Later():
                    self.breaker.fail(now)

    async def _record(self, tried: Sequence[Tried], carrier: Carrier) -> None:
        for pause in (*RECORD_PAUSES, None):
            try:
                async with self._engine.begin() as connection:
                    await self._write(connection, tried, carrier)
            except Exception as error:
                if pause is None or not is_transient(error):
                    raise
                log.warning("database away, what was sent is recorded later", error=type(error).__name__)
                await asyncio.sleep(pause)
            else:
                return

    async def _write(self, connection: Connection, tried: Sequence[Tried], carrier: Carrier) -> None:
        now = self._clock.now()
        plain = [each.message for each in tried if each.outcome == Taken()]
        if plain:
            await queue.sent(connection, *plain, provider=carrier.provider, now=now)
        for message, outcome in tried:
            match outcome:
                case Taken(str() as reference):
                    real = self._real.now()
                    await queue.sent(
                        connection,
                        message,
                        provider=carrier.provider,
                        reference=reference,
                        ask_at=real + ASK_FIRST_AFTER,
                        ask_until=real + ASK_FOR,
                        now=now,
                    )
                case Rejected() | Later():
                    await self._write_failure(connection, message, outcome, carrier, now=now)
        left = [each.message for each in tried if each.outcome is None or isinstance(each.outcome, Away)]
        if left:
            await claims.release(connection, left)

    async def _write_failure(
        self,
        connection: Connection,
        message: Message,
        outcome: Rejected | Later,
        carrier: Carrier,
        *,
        now: datetime,
    ) -> None:
        refused = isinstance(outcome, Rejected)
        refusals = message.refusals + refused
        tired = carrier.attempts_allowed is not None and message.attempts + 1 >= carrier.attempts_allowed
        if isinstance(outcome, Rejected) and (outcome.final or refusals >= REFUSALS_ALLOWED):
            why = outcome.kind
        elif tired:
            why = "gave_up"
        else:
            await queue.try_later(
                connection,
                message,
                refusals=refusals,
                reason=outcome.reason,
                next_attempt_at=self._real.now() + pause_after(message.attempts),
                unknown=isinstance(outcome, Later) and outcome.unknown,
            )
            return
        await queue.fail(
            connection,
            message,
            reason=why,
            detail=outcome.reason,
            provider=carrier.provider,
            refusals=refusals,
            now=now,
        )
        log.error(
            "message given up",
            channel=self.key.channel.value,
            message_id=str(message.message_id),
            reason=outcome.reason,
        )


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after a failed attempt, given the number of attempts before it."""
    doubled: timedelta = FIRST_PAUSE * 2 ** min(attempts, 16)
    return min(doubled, LONGEST_PAUSE)


def _shown(subscription_id: UUID | None) -> str | None:
    return None if subscription_id is None else str(subscription_id)
