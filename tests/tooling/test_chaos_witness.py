"""What the reader beside a chaos run notices of its own polls."""

import asyncio

import pytest

from tests.chaos import witness as reading
from tests.chaos.evidence import digest
from tests.chaos.witness import Witness, witnessing

PLACE = ("referral-events", 0)


def saw(*offsets: int, cluster_id: str = "L1") -> Witness:
    """A witness that has polled these offsets, in this order."""
    witness = Witness()
    for offset in offsets:
        witness.saw(cluster_id, PLACE, offset, str(offset).encode())
    return witness


def test_offsets_without_a_gap_are_nothing_to_tell() -> None:
    """Their values are kept, and reading goes on behind the last."""
    witness = saw(0, 1, 2)
    assert witness.wrong == []
    assert witness.seen == {"L1": {PLACE: [digest(b"0"), digest(b"1"), digest(b"2")]}}
    assert witness.positions("L1") == {PLACE: 3}


def test_a_poll_that_skips_is_told() -> None:
    """What comes after the gap keeps its place."""
    witness = saw(0, 3)
    assert len(witness.wrong) == 1
    assert witness.seen["L1"][PLACE] == [digest(b"0"), b"", b"", digest(b"3")]


def test_a_poll_that_goes_back_is_told() -> None:
    """The first value stays: the recount compares with it."""
    witness = saw(0, 1)
    witness.saw("L1", PLACE, 0, b"another")
    assert len(witness.wrong) == 1
    assert witness.seen["L1"][PLACE] == [digest(b"0"), digest(b"1")]


def test_a_wiped_broker_is_another_log() -> None:
    """Its offsets begin again, and reading with them."""
    witness = saw(0, 1)
    assert witness.positions("L2") == {}
    witness.saw("L2", PLACE, 0, b"another")
    assert witness.wrong == []
    assert witness.positions("L2") == {PLACE: 1}


async def test_a_reader_that_is_cancelled_from_inside_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the end of the run ends it: what the Kafka client cancels of its own does not."""
    begun = 0
    again = asyncio.Event()

    async def cancelled_at_first(_witness: Witness, _kafka: str) -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise asyncio.CancelledError
        again.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(reading, "_read_one_cluster", cancelled_at_first)
    monkeypatch.setattr(reading, "RETRY_SECONDS", 0.0)
    async with asyncio.timeout(10), witnessing("nobody"):
        await again.wait()
    assert begun == 2
