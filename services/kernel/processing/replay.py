"""How operators settle dead letters: replay or discard them, and release the events behind them, in order."""

from dataclasses import dataclass
from typing import Generic, Literal
from uuid import UUID

from services.kernel.base.clock import Clock
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.messages.arrivals import Subscriber
from services.kernel.messages.faults import InvalidMessage, Refused
from services.kernel.postgres.connection import Connection, Engine
from services.kernel.processing.batches import frames
from services.kernel.processing.publication import number, write
from services.kernel.processing.service import B, Context, Service
from services.kernel.store import dead_letters
from services.kernel.store.dead_letters import Letter


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one dead letter."""

    letter: Letter
    outcome: Literal["replayed", "discarded", "failed again"]
    words: str = ""


class Replay(Generic[B]):
    """Settles one service's dead letters."""

    def __init__(
        self, service: Service[B], engine: Engine, clock: Clock, *, calendar: WorkingCalendar
    ) -> None:
        self._service = service
        self._engine = engine
        self._clock = clock
        self._calendar = calendar
        types = {event_class.wire_type: event_class for event_class in service.handlers}
        # Size was a reason to check an event first, not to refuse it for good: a replay accepts any size.
        self._reception = Subscriber(service.name, types, max_value_bytes=2**31)

    async def replay(self, dead_letter_id: UUID, *, by: str) -> list[Settled]:
        """Handle a parked event again and, if it succeeds, everything that waits behind it, in order.

        A waiting event with no parked one before it, as after an interrupted release, is handled with the
        other such events of its case, in order. Stops at the first event that fails again; it stays parked
        and later ones go on waiting. Raises Refused for an unknown or already settled letter, and for one
        that still waits behind a parked one.
        """
        stranded = await self._find_stranded(dead_letter_id)
        if stranded is not None:
            return await self._release(stranded, by=by)
        settled = [await self._one(dead_letter_id, by=by)]
        if settled[0].outcome == "replayed":
            settled.extend(await self._release(settled[0].letter, by=by))
        return settled

    async def discard(self, dead_letter_id: UUID, *, by: str) -> list[Settled]:
        """Discard a parked event for good and release what waits behind it, in order.

        Raises Refused for an unknown letter or one that is not parked.
        """
        async with self._engine.begin() as connection:
            letter = await self._open(connection, dead_letter_id)
            await dead_letters.settle(
                connection, dead_letter_id, state="discarded", by=by, now=self._clock.now()
            )
        return [Settled(letter, "discarded"), *await self._release(letter, by=by)]

    async def _find_stranded(self, dead_letter_id: UUID) -> Letter | None:
        """Return the letter if it waits with no parked one before it; else None."""
        async with self._engine.begin() as connection:
            letter = await dead_letters.get(connection, dead_letter_id)
            if letter is None or letter.state != "waiting" or letter.record.key is None:
                return None
            free = await dead_letters.waiting_behind(connection, letter.record.key)
            return letter if any(one.dead_letter_id == dead_letter_id for one in free) else None

    async def _release(self, letter: Letter, *, by: str) -> list[Settled]:
        settled: list[Settled] = []
        key = letter.record.key
        while key is not None:
            async with self._engine.begin() as connection:
                behind = await dead_letters.waiting_behind(connection, key)
            if not behind:
                break
            settled.append(await self._one(behind[0].dead_letter_id, by=by, waiting=True))
            if settled[-1].outcome == "failed again":
                break
        return settled

    async def _one(self, dead_letter_id: UUID, *, by: str, waiting: bool = False) -> Settled:
        """Handle one letter in one transaction; a failure is recorded in a transaction of its own."""
        try:
            async with self._engine.begin() as connection:
                letter = await self._open(connection, dead_letter_id, waiting=waiting)
                await self._handle(connection, letter)
                await dead_letters.settle(
                    connection, dead_letter_id, state="replayed", by=by, now=self._clock.now()
                )
            return Settled(letter, "replayed")
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the error, the letter stays parked with it
            fault = error if isinstance(error, InvalidMessage) else None
            async with self._engine.begin() as connection:
                letter = await self._open(connection, dead_letter_id, waiting=waiting)
                words = fault.words if fault is not None else type(error).__qualname__
                await dead_letters.failed_again(
                    connection,
                    dead_letter_id,
                    reason=fault.reason if fault is not None else "failed",
                    words=words,
                    traceback=frames(error),
                )
            return Settled(letter, "failed again", words)

    async def _handle(self, connection: Connection, letter: Letter) -> None:
        arrival = self._reception.receive(letter.record)
        if arrival is None:
            return  # of a type that this service no longer handles
        if arrival.fault is not None or arrival.event is None:
            raise arrival.fault or InvalidMessage("malformed", "no event")
        now = self._clock.now()
        context = Context(now, arrival.message_id, arrival.correlation, self._calendar)
        book = await self._service.store.load(connection, [arrival.event])
        handler = self._service.handlers[type(arrival.event)]
        produced = number(book, handler(book, arrival.event, context), context)
        await write(connection, self._service.store, book, produced, now=now)
        if self._service.project is not None:
            await self._service.project(connection, [arrival])

    async def _open(self, connection: Connection, dead_letter_id: UUID, *, waiting: bool = False) -> Letter:
        letter = await dead_letters.get(connection, dead_letter_id)
        if letter is None:
            raise Refused(f"There is no dead letter {dead_letter_id} here.", missing=True)
        if letter.state == "waiting" and not waiting:
            raise Refused("This event waits behind a parked one of its case: settle that one first.")
        if letter.state not in {"parked", "waiting"}:
            raise Refused(f"This dead letter is already {letter.state}.")
        return letter
