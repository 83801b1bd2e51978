"""A bad network between a client and an engine: a TCP proxy that delays, trickles, goes silent or cuts.

with Proxy(("127.0.0.1", 9092)) as proxy:
    ...                                # clients connect to 127.0.0.1, port proxy.port
    proxy.behave(latency(0.05))        # for connections that exist and for new ones
    proxy.behave(PASSING)              # healed: what was held back arrives, in order
"""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LOOPBACK = "127.0.0.1"
READ_BYTES = 64 * 1024
QUEUED_READS = 256
"""Read ahead and on its way, per direction: whoever sends more must wait, as with a full socket."""

TRICKLES_PER_SECOND = 20
HOPELESS_SECONDS = 10.0

Address = tuple[str, int] | Path
"""Host and port, or a unix socket."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a network behaves, in both directions alike.

    What is sent arrives `latency_seconds` later, and no faster than `bytes_per_second` in each direction of
    each connection; with 0 nothing arrives, and nobody is told. `cut` ends every connection and each new one.
    """

    latency_seconds: float = 0.0
    bytes_per_second: float | None = None
    cut: bool = False


PASSING = Manner()
BLACKHOLE = Manner(bytes_per_second=0)
CUT = Manner(cut=True)


def latency(seconds: float) -> Manner:
    """Return a network that is late, not slow: many bytes may be on their way."""
    return Manner(latency_seconds=seconds)


def trickle(bytes_per_second: float) -> Manner:
    """Return a network of so little bandwidth."""
    return Manner(bytes_per_second=bytes_per_second)


class Proxy:
    """Listens on the loopback while its context lasts, in its own thread. Passes until told otherwise.

    With `path` it listens at a unix socket in place of a port.
    """

    def __init__(self, upstream: Address, *, port: int = 0, path: Path | None = None) -> None:
        """`port` 0 takes a free one."""
        self.port = port
        self._path = path
        self._upstream = upstream
        self._manner = PASSING
        self._changed = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event
        self._started: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        """Return once clients can connect. Raises OSError when the port is taken."""
        self._thread.start()
        self.port = self._started.result(HOPELESS_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every connection."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    @property
    def connections(self) -> int:
        """Return how many clients are connected."""
        return len(self._serving)

    def behave(self, manner: Manner) -> None:
        """Change how the network behaves; in effect when this returns. For any thread."""
        asyncio.run_coroutine_threadsafe(self._change(manner), self._loop).result(HOPELESS_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._listen())
        except OSError as error:
            self._started.set_exception(error)

    async def _listen(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        if self._path is None:
            server = await asyncio.start_server(self._serve, LOOPBACK, self.port)
            self._started.set_result(server.sockets[0].getsockname()[1])
        else:
            server = await asyncio.start_unix_server(self._serve, self._path)
            self._started.set_result(0)
        await self._end.wait()
        server.close()
        await self._drop_all()

    async def _change(self, manner: Manner) -> None:
        self._manner = manner
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        if manner.cut:
            await self._drop_all()

    async def _drop_all(self) -> None:
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        if serving:
            await asyncio.wait(serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one client's connection on until either side ends it."""
        if self._manner.cut:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            there, back = await self._connected()
            try:
                await _together(self._pass_on(reader, back), self._pass_on(there, writer))
            finally:
                back.transport.abort()
        except OSError:
            pass  # the engine does not answer, or one side is gone: the other is told below
        except asyncio.CancelledError:
            # Dropped: told below as well. Python 3.11 would report a cancelled server's task as an error.
            pass
        finally:
            writer.transport.abort()
            self._serving.discard(task)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._upstream, Path):
            return await asyncio.open_unix_connection(self._upstream)
        return await asyncio.open_connection(*self._upstream)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one direction on, its end included."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUED_READS)
        await _together(self._take(reader, queue), self._give(queue, writer))

    async def _take(self, reader: asyncio.StreamReader, queue: "asyncio.Queue[tuple[float, bytes]]") -> None:
        while True:
            read = await reader.read(READ_BYTES)
            await queue.put((self._loop.time(), read))
            if not read:
                return

    async def _give(self, queue: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        while True:
            sent_at, read = await queue.get()
            await self._when_due(sent_at)
            if not read:
                writer.write_eof()
                return
            await self._write(read, writer)

    async def _write(self, read: bytes, writer: asyncio.StreamWriter) -> None:
        rest = memoryview(read)
        while rest:
            rate = self._manner.bytes_per_second
            if rate == 0:
                await self._changed_within(inf)
                continue
            piece = rest if rate is None else rest[: max(1, int(rate / TRICKLES_PER_SECOND))]
            rest = rest[len(piece) :]
            writer.write(piece)
            await writer.drain()
            if rate is not None:
                await self._changed_within(len(piece) / rate)

    async def _when_due(self, sent_at: float) -> None:
        """Return when what was sent then may arrive; of an end, too, nobody hears in a black hole."""
        while True:
            manner = self._manner
            wait = sent_at + manner.latency_seconds - self._loop.time()
            if manner.bytes_per_second == 0:
                wait = inf
            if wait <= 0:
                return
            await self._changed_within(wait)

    async def _changed_within(self, seconds: float) -> None:
        """Return when the network behaves differently, or when the time is over."""
        try:
            async with asyncio.timeout(None if seconds == inf else seconds):
                await self._changed.wait()
        except TimeoutError:
            return


async def _together(*works: Coroutine[Any, Any, None]) -> None:
    """Return when all have ended; when one fails, cancel the others and raise its error."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
