"""Live pages: when nobody looks for them any more, they come again, and the log says why."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest
from asyncpg import CannotConnectNowError
from structlog.testing import capture_logs

from services.kernel.base.clock import SystemClock
from services.kernel.postgres.connection import Engine
from services.notify.pages import live
from services.notify.pages.live import Live

PATIENCE_SECONDS = 10
NOWHERE = cast("Engine", SimpleNamespace(address="postgresql://nowhere/leadline_notify"))


def failing(errors: list[BaseException]) -> Callable[..., Any]:
    """Return a listener that fails in the next way each time it begins to listen."""

    class Failing:
        async def __aenter__(self) -> Self:
            raise errors.pop(0)

        async def __aexit__(self, *_: object) -> None:
            """Nothing was begun."""

    return lambda *_: Failing()


@pytest.mark.parametrize("error", [LookupError("a value"), asyncio.CancelledError()], ids=repr)
async def test_pages_come_again_when_nobody_looks_for_them_any_more(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """A stream that stayed open would never hear of anything again; what passes is waited for before."""
    monkeypatch.setattr(live, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(
        live, "Listener", failing([CannotConnectNowError(""), CannotConnectNowError(""), error])
    )
    pages = Live(NOWHERE, SystemClock())
    with capture_logs() as lines:
        async with asyncio.timeout(PATIENCE_SECONDS), pages.watch("W-0600") as watcher:
            assert await watcher.news() is None
            assert watcher.has_ended
    assert [(line["event"], line["error"]) for line in lines] == [
        ("live pages wait", "CannotConnectNowError"),
        ("live pages have to come again", type(error).__name__),
    ]


async def test_the_last_page_that_closes_ends_the_watch_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to tell anybody."""
    monkeypatch.setattr(live, "Listener", failing([CannotConnectNowError("")]))
    pages = Live(NOWHERE, SystemClock())
    with capture_logs() as lines:
        async with pages.watch("W-0600") as watcher:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not watcher.has_ended
    assert [line["event"] for line in lines] == ["live pages wait"]
