"""What a storm sees of a worker's transactions, also when the worker stands still or is gone."""

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.kernel.postgres.connection import Engine
from services.kernel.processing.batches import BatchProcessor
from tests.chaos import at_work
from tests.chaos.at_work import Work, work_of

PID = 4711


class Interrupted(Exception):  # noqa: N818 - what a test raises
    """The transaction is rolled back."""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The counts of a process that counts, in which nobody connects to anything."""

    @asynccontextmanager
    async def begin(_engine: Engine) -> AsyncIterator[None]:
        yield None

    async def retrying(_delivery: Any, arrivals: Any) -> Any:
        async with Engine.begin(None):  # type: ignore[arg-type]  # nobody looks at it
            return arrivals()

    monkeypatch.setattr(Engine, "begin", begin)
    monkeypatch.setattr(BatchProcessor, "_retrying", retrying)
    at_work._count(tmp_path / str(PID))
    return tmp_path


async def test_a_batch_is_in_a_transaction_until_it_has_ended(file: Path) -> None:
    """Seen from outside while it is at it, and afterwards."""
    seen: list[Work] = []
    await BatchProcessor._retrying(None, lambda: seen.append(work_of(file, PID)))  # type: ignore[arg-type]
    assert seen == [Work(1, 0)]
    assert seen[0].in_a_transaction
    assert work_of(file, PID) == Work(1, 1)
    assert not work_of(file, PID).in_a_transaction


async def test_a_batch_that_is_rolled_back_has_ended_too(file: Path) -> None:
    """It is no longer under way."""

    def interrupted() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        await BatchProcessor._retrying(None, interrupted)  # type: ignore[arg-type]
    assert work_of(file, PID) == Work(1, 1)


async def test_other_transactions_do_not_count(file: Path) -> None:
    """The scanner's and the mailer's are no batches."""
    async with Engine.begin(None):  # type: ignore[arg-type]
        assert work_of(file, PID) == Work(0, 0)


@pytest.mark.parametrize("content", [None, b"", struct.pack("<I", 1)[:3], struct.pack("<I", 1)])
def test_a_process_that_has_not_begun_to_count_has_done_nothing(
    content: bytes | None, tmp_path: Path
) -> None:
    """No file, an empty one, or a part of one."""
    if content is not None:
        (tmp_path / str(PID)).write_bytes(content)
    assert work_of(tmp_path, PID) == Work(0, 0)
