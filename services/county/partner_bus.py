"""How partner agencies publish: CloudEvents on `partner-events`, with ids that are the same in every run."""

import asyncio
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.events.base import dataschema_uri
from schemas.topics import PARTNER
from services.county.plan import Step
from services.county.site import PATIENCE_SECONDS, PlayError
from services.kernel.messages.envelope import Envelope, Headers, encode

_PAUSE_SECONDS = 0.5


class PartnerBus:
    """A producer of partner agencies. `connection`: aiokafka's arguments, with `bootstrap_servers`."""

    def __init__(self, connection: Mapping[str, Any], *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._connection = connection
        self._patience = patience_seconds
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._disconnect()

    async def publish(self, steps: Iterable[Step]) -> None:
        """Publish, in order; return when the broker has acknowledged all.

        While no broker answers it tries again; what was sent twice carries the same id and is handled once.
        Raises PlayError when nobody answers for the whole patience.
        """
        messages = [message_of(step) for step in steps]
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._patience
        while messages:
            try:
                producer = await self._connected()
                sent = [
                    await producer.send(PARTNER.name, value, key, headers=headers)
                    for key, value, headers in messages
                ]
                await asyncio.gather(*sent)
            except (KafkaError, OSError) as error:
                await self._disconnect()
                if loop.time() > give_up:
                    trouble = type(error).__name__
                    message = f"no broker takes partner events for {self._patience:.0f} seconds: {trouble}"
                    raise PlayError(message) from error
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(**self._connection, acks="all", linger_ms=0)
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                await producer.stop()
            except (KafkaError, OSError):
                return  # what was not acknowledged is sent again by the next producer


def message_of(step: Step) -> tuple[bytes | None, bytes, Headers]:
    """Return the Kafka key, value and headers of what an agency publishes."""
    referral = step.referral
    return encode(
        Envelope(
            id=step.message_id,
            source=step.source,
            type=referral.wire_type,
            time=referral.made_at,
            data=referral.encode(),
            subject=str(referral.subject),
            key=str(referral.child_id),
            dataschema=dataschema_uri(type(referral)),
        )
    )
