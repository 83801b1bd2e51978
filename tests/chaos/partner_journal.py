"""What partners have published and were told is safe: their own journal, from which they send again.

A broker that is wiped takes with it what partners had published and nobody had read yet. Only they still have
it: told of a loss, they publish everything again, from their first event, and inboxes drop what was read.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from random import Random
from threading import Lock

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.topics import PARTNER
from tests.chaos.feed import Act

CHUNK = 500
"""Messages that are sent before their acknowledgements are waited for."""

PATIENCE_SECONDS = 60.0
RETRY_SECONDS = 0.2
REQUEST_SECONDS = 10.0

Published = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]
"""Key, value and headers of a message, whatever it is."""


class PartnerJournal:
    """Every act that the broker acknowledged, in order. For any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._acts: list[Act] = []
        self._losses = 0

    @property
    def losses(self) -> int:
        """Return how many losses were announced."""
        return self._losses

    def keep(self, acts: Sequence[Act], *, losses: int) -> bool:
        """Keep acts as acknowledged, sent when there had been so many losses.

        False when another loss was announced meanwhile: who has acknowledged them, nobody knows, and they
        must be sent again.
        """
        with self._lock:
            if losses != self._losses:
                return False
            self._acts += acts
            return True

    def lost(self) -> list[Act]:
        """Announce that the bus was lost; return what is to be sent again, in order."""
        with self._lock:
            self._losses += 1
            return list(self._acts)

    def some(self, chance: Random, count: int) -> list[Act]:
        """Return up to so many acts of any age, in any order."""
        with self._lock:
            return chance.sample(self._acts, min(count, len(self._acts)))


def publish(kafka: str, messages: Iterable[Published]) -> None:
    """Publish to the partners' topic, in order, until everything is acknowledged. Blocks; needs no loop.

    TimeoutError when patience ends first.
    """
    asyncio.run(_publish(kafka, iter(messages)))


async def _publish(kafka: str, messages: Iterator[Published]) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    chunk = list(islice(messages, CHUNK))
    while chunk:
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka, acks="all", request_timeout_ms=int(REQUEST_SECONDS * 1000)
        )
        try:
            await producer.start()
            while chunk:
                sent = [
                    await producer.send(PARTNER.name, value, key, headers=headers)
                    for key, value, headers in chunk
                ]
                await asyncio.gather(*sent)
                chunk = list(islice(messages, CHUNK))
        except (KafkaError, OSError, TimeoutError) as error:
            if time.monotonic() > give_up:
                message = "partners could not publish"
                raise TimeoutError(message) from error
            await asyncio.sleep(RETRY_SECONDS)
        finally:
            with suppress(KafkaError, OSError, TimeoutError):  # what was not acknowledged is sent again
                async with asyncio.timeout(REQUEST_SECONDS):
                    await producer.stop()
