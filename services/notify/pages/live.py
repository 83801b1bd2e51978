"""Live pages: one watcher a process looks when the store says that something happened, and tells every page.

A page is told a fingerprint of what is open in its inbox and asks for itself again when it shows another
one. So nothing is lost between a page and its stream, nor while a stream was away.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from schemas.events import Code
from services.kernel.base.clock import Clock, SystemClock
from services.kernel.base.ending import kind_of, place_of
from services.kernel.postgres.connection import Engine
from services.kernel.processing.loops import Waiting
from services.kernel.web.pages.answers import Forbidden, NotSignedIn
from services.notify.pages.context import PageContext, needs_inbox
from services.notify.queries import watching
from services.notify.queries.watching import InboxStanding, Listener

log = structlog.get_logger()

LOOK_SECONDS = 2.0
"""How often the store is looked at when it says nothing: what was put off comes back without an event."""
PAUSE_SECONDS = 0.1
"""Between two looks: many alerts at once are one look."""
RETRY_SECONDS = 1.0
ALIVE_SECONDS = 15.0
"""How often a stream says that it is there, and looks whether its browser still is."""


class Watcher:
    """One open page. `news` gives fingerprints that differ from the last one, until it `has_ended`."""

    def __init__(self, inbox: str) -> None:
        self.inbox = inbox
        self.has_ended = False
        """Whether nobody looks for it any more: its page has to come again."""
        self._told: str | None = None
        self._changed = asyncio.Event()
        self._standing = ""

    def tell(self, standing: str) -> None:
        """Take the inbox's present fingerprint."""
        if standing != self._standing:
            self._standing = standing
            self._changed.set()

    def end(self) -> None:
        """Let the page come again."""
        self.has_ended = True
        self._changed.set()

    async def news(self) -> str | None:
        """Return the inbox's fingerprint when it has changed; None when nothing has for a while."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), ALIVE_SECONDS)
        self._changed.clear()
        if self._standing == (self._told or ""):
            return None
        self._told = self._standing
        return self._standing


class Live:
    """Watches the inboxes of the pages that are open in this process; sleeps while there are none."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._watchers: set[Watcher] = set()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._waiting = Waiting("live pages wait")

    @asynccontextmanager
    async def watch(self, inbox: str) -> AsyncIterator[Watcher]:
        """Watch an inbox for as long as the context lasts."""
        watcher = Watcher(inbox)
        self._watchers.add(watcher)
        self._woken.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look_for_ever())
            self._task.add_done_callback(self._ended)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            if not self._watchers and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _look_for_ever(self) -> None:
        while self._watchers:
            try:
                async with Listener(self._engine.address, self._woken.set) as listener:
                    while not listener.is_closed:
                        await self._look()
                        self._waiting.end()
                        await asyncio.sleep(PAUSE_SECONDS)
                        with suppress(TimeoutError):
                            await asyncio.wait_for(self._woken.wait(), LOOK_SECONDS)
            except Exception as error:  # noqa: BLE001 - what does not pass is raised again
                self._waiting.begin(error)
            await asyncio.sleep(RETRY_SECONDS)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Log why the watch ended, unless no page is left. Open pages connect again."""
        if task.cancelled() and task is not self._task:
            return  # the last page was closed
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            log.error("live pages have to come again", error=kind_of(error), at=place_of(error))
        if task is self._task:
            for watcher in self._watchers:
                watcher.end()

    async def _look(self) -> None:
        self._woken.clear()  # before the look: what commits after it, wakes us again
        inboxes = sorted({watcher.inbox for watcher in self._watchers})
        async with self._engine.connect() as connection:
            found = await watching.open_alerts(connection, inboxes, now=self._clock.now())
        for watcher in tuple(self._watchers):
            if watcher.inbox in found:
                watcher.tell(fingerprint(found[watcher.inbox]))


def fingerprint(standings: Iterable[InboxStanding]) -> str:
    """Return a short text that changes whenever one of these open alerts does."""
    lines = sorted(f"{each.alert_id}:{each.version}" for each in standings)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def add(routes: APIRouter, context: PageContext) -> None:
    """Add the stream."""
    live = Live(context.executor.engine, context.executor.clock)
    real_time = SystemClock()

    @routes.get("/inbox/live", response_class=StreamingResponse, include_in_schema=False)
    async def stream(request: Request, inbox: Annotated[Code, Query()]) -> Response:
        """Send an event whenever the inbox has changed, until the page is closed."""
        try:
            visit = await context.visit(request)
            needs_inbox(visit, inbox)
        except (NotSignedIn, Forbidden):
            return Response(status_code=403)  # a browser does not ask again

        async def events() -> AsyncIterator[str]:
            async with live.watch(inbox) as watcher:
                yield "retry: 2000\n\n"
                while real_time.now() < visit.session.until and not await request.is_disconnected():
                    standing = await watcher.news()
                    if watcher.has_ended:
                        return
                    if standing is None:
                        yield ": still here\n\n"
                    else:
                        yield f"event: standing\ndata: {json.dumps({'standing': standing})}\n\n"

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(events(), media_type="text/event-stream", headers=headers)
