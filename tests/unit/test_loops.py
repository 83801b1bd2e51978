"""Loops never end unseen: what passes is waited for, and whatever else ends one crashes the worker."""

import ast
import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    OutOfOrderSequenceNumber,
    TopicAuthorizationFailedError,
)
from asyncpg import AdminShutdownError, UndefinedTableError
from mode import Service
from structlog.testing import capture_logs
from structlog.typing import EventDict

from services.kernel.base.clock import HeldClock
from services.kernel.base.ending import CancelledInside, PartFailed, crash_on_unexpected_end
from services.kernel.kafka.clients import ConnectionLost, is_away
from services.kernel.processing.loops import Waiting, keep_doing, worst

SERVICES = Path(__file__).parents[2] / "services"
PATIENCE_SECONDS = 10
NOON = datetime(2026, 9, 7, 12, tzinfo=UTC)
SECRET = "Zebedee Quillfeather"


class Looking(Service):
    """A part with one loop."""

    def __init__(self, work: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self._work = work

    @Service.task
    async def _look_for_ever(self) -> None:
        await keep_doing(self, self._work, pause_seconds=0.001, waiting=Waiting("looks wait"))


class Reading(Service):
    """A part that holds a task of its own."""

    def __init__(self, work: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self._work = work

    @Service.task
    async def _read_for_ever(self) -> None:
        with crash_on_unexpected_end(self):
            await self._work()


async def crashed(part: Service) -> tuple[BaseException | None, list[EventDict]]:
    """Run a part until it crashes; return why, and what our own logger said."""
    with capture_logs() as lines:
        async with part, asyncio.timeout(PATIENCE_SECONDS):
            await part.wait_until_stopped()
            reason = part.crash_reason  # forgotten when the context ends
    return reason, lines


async def test_what_time_brings_is_done_at_once_when_a_held_clock_is_moved(tmp_path: Path) -> None:
    """However long the pause; and nobody waits for it to end either."""
    clock = HeldClock(tmp_path / "clock")
    clock.set(NOON)
    looks: asyncio.Queue[datetime] = asyncio.Queue()

    class Raising(Service):
        @Service.task
        async def _raise(self) -> None:
            await keep_doing(self, self._look, pause_seconds=3600, waiting=None, clock=clock)

        async def _look(self) -> None:
            looks.put_nowait(clock.now())

    async with Raising(), asyncio.timeout(PATIENCE_SECONDS):
        assert await looks.get() == NOON
        clock.set(NOON + timedelta(hours=2))
        assert await looks.get() == NOON + timedelta(hours=2)


@pytest.mark.parametrize("kind", [Looking, Reading])
async def test_an_unknown_error_crashes_the_worker_and_is_told_by_type_and_place(
    kind: type[Looking | Reading],
) -> None:
    """Never by its message, which could quote a value."""

    async def fails() -> None:
        raise LookupError(SECRET)

    reason, lines = await crashed(kind(fails))
    assert isinstance(reason, PartFailed)
    assert str(reason) == "LookupError"
    (line,) = lines
    assert (line["log_level"], line["part"], line["error"]) == ("error", kind.__name__, "LookupError")
    assert "in fails" in line["at"]
    assert SECRET not in str(line)


async def test_an_error_that_mode_takes_for_a_closed_loop_crashes_the_worker() -> None:
    """Mode drops every RuntimeError with these words in it."""

    async def fails() -> None:
        raise RuntimeError("Event loop is closed")

    reason, _ = await crashed(Looking(fails))
    assert isinstance(reason, PartFailed)


async def test_a_group_of_errors_is_told_by_its_first() -> None:
    """What tasks side by side raise arrives as a group, and its type says nothing."""

    async def fails() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(one())

    async def one() -> None:
        raise LookupError(SECRET)

    reason, lines = await crashed(Looking(fails))
    assert str(reason) == "LookupError"
    assert "in one" in lines[0]["at"]


@pytest.mark.parametrize("kind", [Looking, Reading])
async def test_a_task_that_is_cancelled_from_inside_crashes_the_worker(kind: type[Looking | Reading]) -> None:
    """Mode takes it for one that is done."""

    async def cancelled() -> None:
        raise asyncio.CancelledError

    reason, lines = await crashed(kind(cancelled))
    assert isinstance(reason, CancelledInside)
    assert [line["log_level"] for line in lines] == ["error"]


async def test_a_task_that_ends_before_it_was_told_to_crashes_the_worker() -> None:
    """A loop that was left by mistake would otherwise be missed by nobody."""

    async def ends() -> None:
        return

    reason, _ = await crashed(Reading(ends))
    assert str(reason) == "ended without being told to"


async def test_what_passes_is_waited_for_and_told_once_each_time() -> None:
    """Two troubles of several looks each: two warnings, each with its end."""
    troubles = iter([True, True, True, False, False, True, True, False])
    done = asyncio.Event()

    async def look() -> None:
        trouble = next(troubles, None)
        if trouble is None:
            done.set()
        elif trouble:
            raise AdminShutdownError(SECRET)

    part = Looking(look)
    with capture_logs() as lines:
        async with part, asyncio.timeout(PATIENCE_SECONDS):
            await done.wait()
            assert part.crash_reason is None
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("looks wait", "warning"),
        ("goes on", "info"),
    ] * 2
    assert lines[0]["error"] == "AdminShutdownError"
    assert SECRET not in str(lines)


async def test_a_stop_ends_a_loop_quietly_wherever_it_is() -> None:
    """Between two looks, or in the middle of one that would never end."""
    begun = asyncio.Event()

    async def hangs() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def looks() -> None:
        begun.set()

    for work in (hangs, looks):
        begun.clear()
        part = Looking(work)
        with capture_logs() as lines:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await part.start()
                await begun.wait()
                await part.stop()
        assert part.crash_reason is None
        assert lines == []


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (KafkaConnectionError(), True),
        (ConnectionLost(), True),
        (OutOfOrderSequenceNumber(), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (TopicAuthorizationFailedError(), False),
        (KafkaError(), False),
        (LookupError(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_broker_is_away_where_connecting_again_may_help(error: Exception, *, away: bool) -> None:
    """Missing rights stay missing, and what nobody knows is no reason to wait."""
    assert is_away(error) is away


def test_of_several_errors_the_one_that_does_not_pass_counts() -> None:
    """Waiting for the other would pass over it."""
    passes, stays = AdminShutdownError(""), UndefinedTableError("")
    assert worst([None, passes, stays]) is stays
    assert worst([passes, None]) is passes
    assert worst([None]) is None


def loops_in(tree: ast.AST) -> Iterator[ast.AsyncFunctionDef]:
    """Yield what mode runs as a task of a part: `@Service.task`, `@Part.task`, `@Service.timer(...)` …"""
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef):
            decorators = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
            if any(isinstance(each, ast.Attribute) and each.attr in MODE_RUNS for each in decorators):
                yield node


MODE_RUNS = {"task", "timer", "crontab"}


def is_held(loop: ast.AsyncFunctionDef) -> bool:
    """Return whether a task ends with `keep_doing` or `with crash_on_unexpected_end`, and no other may fail.

    Before it, names may be given to things.
    """
    *before, last = loop.body
    if not all(isinstance(each, ast.Assign | ast.AnnAssign) or _is_docstring(each) for each in before):
        return False
    if isinstance(last, ast.With):
        return [_called(item.context_expr) for item in last.items] == ["crash_on_unexpected_end"]
    return (
        isinstance(last, ast.Expr)
        and isinstance(last.value, ast.Await)
        and _called(last.value.value) == "keep_doing"
    )


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _called(expression: ast.expr) -> str | None:
    if isinstance(expression, ast.Call) and isinstance(expression.func, ast.Name):
        return expression.func.id
    return None


def test_every_loop_of_a_worker_is_held() -> None:
    """One that is not ends unseen when it is cancelled, and the worker lives on without it."""
    found = [
        (f"{path.relative_to(SERVICES)}: {loop.name}", is_held(loop))
        for path in sorted(SERVICES.rglob("*.py"))
        for loop in loops_in(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert [name for name, held in found if not held] == []
    assert {name.partition(":")[0] for name, _ in found} == {
        "kernel/worker/watch.py",
        "kernel/kafka/consumer.py",
        "kernel/worker/process.py",
        "kernel/processing/relay.py",
        "kernel/processing/due_scanner.py",
        "notify/due_scanner.py",
        "notify/queries/rates.py",
        "notify/delivery/receipts.py",
        "notify/delivery/dispatcher.py",
    }


@pytest.mark.parametrize(
    ("body", "held"),
    [
        ("await keep_doing(self, self.look, pause_seconds=1, waiting=None)", True),
        ("with crash_on_unexpected_end(self):\n            await self.look()", True),
        ("while not self.should_stop:\n            await self.look()", False),
        ("await self.look()\n        await keep_doing(self, self.look)", False),
        ("with suppress(OSError):\n            await self.look()", False),
    ],
)
def test_a_loop_that_is_not_held_is_noticed(body: str, *, held: bool) -> None:
    """Else the rule above would be worth nothing."""
    source = f"class Part(Service):\n    @Service.task\n    async def _look(self):\n        {body}\n"
    assert [is_held(loop) for loop in loops_in(ast.parse(source))] == [held]
