"""A full disk under a service's tables: the database says so, the kernel waits, and nothing is lost."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from deploy.embedded.engines import Engines
from services.kernel.postgres.database import is_transient
from services.kernel.store import inbox
from tests.builders import MONDAY
from tests.chaos.full_disk import Disk, NoSmallDiskError, on_disk, own_disk
from tests.flow import ledger
from tests.flow.conftest import Bench, MakeBench
from tests.flow.test_delivery import accepted, children_done

pytestmark = pytest.mark.connected

MORE_THAN_A_PAGE = 2_000


def dsn_of(engines: Engines, database: str) -> str:
    """Return the address of a database for asyncpg."""
    url = make_url(engines.database_url.replace("{service}", "x")).set(drivername="postgresql")
    return url.set(database=database).render_as_string(hide_password=False)


async def data_of(engines: Engines) -> Path:
    """Return where the server keeps its data."""
    connection = await asyncpg.connect(dsn_of(engines, "postgres"))
    try:
        return Path(str(await connection.fetchval("SHOW data_directory")))
    finally:
        await connection.close()


@pytest.fixture
def disk(engines: Engines) -> Iterator[Disk]:
    """A small disk beside the session's own server."""
    data = asyncio.run(data_of(engines))
    if not data.exists():
        pytest.skip("the database runs on another machine: its disk is not ours to fill")
    try:
        with own_disk(data) as one:
            yield one
    except NoSmallDiskError as error:
        pytest.skip(str(error))


@pytest.fixture
async def assessment(bench: MakeBench) -> Bench:
    return await bench("assessment", ledger.build)


async def test_a_full_disk_is_an_error_that_passes_by_itself(
    engines: Engines, disk: Disk, assessment: Bench
) -> None:
    """PostgreSQL refuses what needs a new page, in words by which we know that trying again may succeed."""
    ids = [UUID(int=number) for number in range(MORE_THAN_A_PAGE)]
    async with on_disk(dsn_of(engines, "leadline_assessment"), disk):
        disk.fill()
        assert disk.free_bytes < 8192
        with pytest.raises(asyncpg.DiskFullError) as refused:
            async with assessment.engine.begin() as connection:
                await inbox.claim(connection, ids, now=MONDAY)
    assert is_transient(refused.value)


async def test_events_wait_while_the_disk_is_full_and_have_their_effect_once_it_is_not(
    engines: Engines, disk: Disk, assessment: Bench
) -> None:
    """Nothing of the batch is written before, and nothing is parked."""
    events = [accepted(child) for child in range(1, MORE_THAN_A_PAGE + 1)]
    async with on_disk(dsn_of(engines, "leadline_assessment"), disk):
        disk.fill()
        delivering = asyncio.create_task(assessment.deliver(*events))
        done, _ = await asyncio.wait([delivering], timeout=0.5)
        assert not done
        assert await children_done(assessment) == []
        disk.heal()
        await delivering
    assert await children_done(assessment) == list(range(1, MORE_THAN_A_PAGE + 1))
    assert await assessment.rows("SELECT 1 FROM dead_letters") == []
