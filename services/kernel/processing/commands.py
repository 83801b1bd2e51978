"""Commands from people and programs: decided, applied and published in the same way as events."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Generic
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from schemas.events import Event
from services.kernel.base.clock import Clock
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.messages.envelope import MESSAGES
from services.kernel.messages.faults import InvalidMessage, Refused
from services.kernel.messages.ids import derived
from services.kernel.postgres.connection import Engine
from services.kernel.postgres.database import is_conflict, is_transient
from services.kernel.processing.publication import number, write
from services.kernel.processing.service import B, Command, Context, S_co, Service
from services.kernel.store import requests
from services.kernel.store.requests import Answer

ATTEMPTS = 3

DONE_BEFORE = "This request was carried out, but its answer was lost: check its result."
"""Sent to a caller who repeats a request after the store was restored to a time before it."""

Respond = Callable[[B, Sequence[Event]], BaseModel | dict[str, Any]]
"""Makes the answer's body from the book after the command and the events it produced."""


class CommandExecutor(Generic[B, S_co]):
    """Executes one service's commands."""

    def __init__(
        self, service: Service[B, S_co], engine: Engine, clock: Clock, *, calendar: WorkingCalendar
    ) -> None:
        self.service = service
        self.engine = engine
        self.clock = clock
        self._calendar = calendar

    async def execute(self, command: Command, *, key: str, respond: Respond[B]) -> dict[str, Any]:
        """Execute a command once per Idempotency-Key and return the answer.

        The same key with the same command returns the first answer again and changes nothing; with another
        command it is refused. Raises Refused when the rules do not allow the command. A refusal is not
        stored, so the caller may try again when things have changed. Concurrent commands on the same data run
        one after the other: the later one reloads and decides on the new state. If the connection breaks, the
        command is executed once more on a new one; the key shows whether it was executed before.
        """
        fingerprint = _fingerprint(command)
        was_away = False
        for _ in range(ATTEMPTS):
            try:
                return await self._execute(command, key=key, fingerprint=fingerprint, respond=respond)
            except Exception as error:
                if is_transient(error):
                    if was_away:
                        raise
                    was_away = True
                    continue
                if isinstance(error, InvalidMessage):  # an event of the command is too large
                    raise Refused(f"Send less in one request: {error.words}.") from None
                # Whatever the reason, this same request may already have been executed.
                earlier = await self._find_answer(key, fingerprint)
                if earlier is not None:
                    return earlier
                if not is_conflict(error):
                    raise
        raise Refused("Someone else is changing this at the same time: reload it, then try again.")

    async def _execute(
        self, command: Command, *, key: str, fingerprint: str, respond: Respond[B]
    ) -> dict[str, Any]:
        now = self.clock.now()
        cause = request_id(self.service.name, key)
        context = Context(now, cause, cause, self._calendar)
        async with self.engine.begin() as connection:
            book: B = await self.service.store.load(connection, [command])
            handler = self.service.commands[type(command)]
            produced = number(book, handler(book, command, context), context)
            events = await write(connection, self.service.store, book, produced, now=now)
            body: dict[str, Any] = to_jsonable_python(respond(book, events))
            # Last, not first: one statement both claims the key and stores the answer. If the key is taken,
            # it fails and everything above is rolled back.
            answer = Answer(fingerprint, 200, body)
            if not await requests.keep(connection, key, answer, cause=cause, now=now):
                raise Refused(DONE_BEFORE)
            return body

    async def _find_answer(self, key: str, fingerprint: str) -> dict[str, Any] | None:
        """Return the earlier answer to this request. Raises Refused if the key belongs to another request."""
        async with self.engine.connect() as connection:
            earlier = await requests.find(connection, key)
        if earlier is None:
            return None
        if earlier.fingerprint != fingerprint:
            raise Refused("This Idempotency-Key was used for another request: send a new key.")
        return dict(earlier.body)


def _fingerprint(command: Command) -> str:
    return hashlib.sha256(f"{type(command).__name__}{command.model_dump_json()}".encode()).hexdigest()


def request_id(service: str, key: str) -> UUID:
    """Return the message id of a request. The ids that its decision creates are derived from it."""
    return derived(MESSAGES, f"/leadline/{service}/requests\n{key}")
