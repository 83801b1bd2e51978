"""The statutory return through the real bus into a running placement service, on data nobody here wrote."""

import asyncio
import csv
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import text

from deploy.embedded.engines import Engines
from schemas.topics import PARTNER
from services.kernel.base.clock import SystemClock
from services.kernel.base.settings import Settings
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.kafka.consumer import BatchConsumer
from services.kernel.postgres.connection import Engine
from services.kernel.postgres.database import create_engine, migrate
from services.kernel.processing.batches import BatchProcessor
from services.placement.app import build
from services.placement.ssda903.importing import import_returns
from services.placement.ssda903.report import ImportReport

pytestmark = pytest.mark.connected

TABLES = (
    "episodes",
    "looked_after_children",
    "looked_after_reviews",
    "missing_episodes",
    "journal",
    "outbox",
    "inbox",
    "deadlines",
    "dead_letters",
)
YEARS = range(2017, 2022)


@pytest.fixture
def settings(engines: Engines) -> Settings:
    return Settings(
        kafka=engines.kafka,
        database=engines.database_url,
        kafka_idempotent=engines.kafka_idempotent,
    )


@pytest.fixture
async def store(settings: Settings, topics: Engines) -> AsyncIterator[Engine]:
    """The placement store, empty."""
    engine = create_engine(settings, "placement")
    await migrate(engine, "placement")
    async with engine.begin() as connection:
        await connection.execute(text(f"TRUNCATE {', '.join(TABLES)} CASCADE"))
    yield engine
    await engine.dispose()


@asynccontextmanager
async def placement_running(settings: Settings, store: Engine) -> AsyncIterator[None]:
    """The placement service reads the bus into its store."""
    delivery = BatchProcessor(build(settings), store, SystemClock(), calendar=WorkingCalendar())
    intake = BatchConsumer(
        topics=[PARTNER.name],
        group="placement",
        bootstrap=settings.kafka,
        prepare=delivery.prepare,
        deliver=delivery.settle,
    )
    await intake.start()
    try:
        yield
    finally:
        await intake.stop()


async def run_import(
    directory: Path,
    settings: Settings,
    progress: list[tuple[int, int]] | None = None,
    *,
    wait_seconds: float = 120,
) -> ImportReport:
    told: list[tuple[int, int]] = [] if progress is None else progress
    return await asyncio.to_thread(
        import_returns,
        directory,
        settings=settings,
        local_authority="test-council",
        wait_seconds=wait_seconds,
        on_progress=lambda done, total: told.append((done, total)),
    )


async def rows(engine: Engine, sql: str) -> list[Any]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(sql))]


async def everything(engine: Engine) -> list[Any]:
    """All that the service keeps, to compare before and after."""
    return [
        await rows(engine, f"SELECT * FROM {table} ORDER BY 1") for table in TABLES if table != "journal"
    ] + [await rows(engine, "SELECT position, event_id, data::text FROM journal ORDER BY position")]


def read(directory: Path, part: str) -> dict[int, list[dict[str, str]]]:
    """The rows of one part of the return by year, with nothing but the csv module."""
    return {
        year: list(csv.DictReader((directory / f"{year}-{part}.csv").read_text().splitlines()))
        for year in YEARS
    }


def day(text: str) -> date:
    return datetime.strptime(text, "%d/%m/%Y").replace(tzinfo=UTC).date()


def distinct_episodes(directory: Path) -> tuple[int, int]:
    """Distinct (CHILD, DECOM) in all years, and how many of them overlap an earlier one of the child.

    The importer refuses an episode that begins before an earlier one has ended, whichever years report it,
    and believes the newest year about the end; nothing else is wrong with the sample's episodes. So the store
    holds the first number less the second.
    """
    ends: dict[tuple[str, date], str] = {}
    for of_year in read(directory, "episodes").values():
        for row in of_year:
            ends[row["CHILD"], day(row["DECOM"])] = row["DEC"]
    by_child = defaultdict(list)
    for (child, began), end in sorted(ends.items()):
        by_child[child].append((began, day(end) if end else date.max))
    overlapping = 0
    for stays in by_child.values():
        free_from = date.min
        for began, ended in stays:
            if began < free_from:
                overlapping += 1
            else:
                free_from = ended
    return len(ends), overlapping


async def test_five_years_of_returns_arrive_whole_and_a_second_run_adds_nothing(
    sample_returns: Path, settings: Settings, store: Engine
) -> None:
    """Every row is taken or refused with a reason; what is stored is what an independent count finds."""
    progress: list[tuple[int, int]] = []
    async with placement_running(settings, store):
        report = await run_import(sample_returns, settings, progress)

    assert report.handled
    assert progress[-1] == (report.published, report.published)
    for count in report.files:
        raw = (sample_returns / count.file).read_text().splitlines()
        assert count.rows == len([line for line in raw if line.strip()]) - 1, count.file
        assert count.taken + count.refused == count.rows, count.file
        assert count.refused == len([each for each in report.refusals if each.file == count.file]), count.file
    assert {count.file for count in report.files} == {
        f"{year}-{part}.csv" for year in YEARS for part in ("header", "episodes", "reviews", "missing")
    }
    assert len(report.not_read) == 5 * 6
    assert json.loads(json.dumps(report.as_dict()))["rows"] == report.rows

    distinct, overlapping = distinct_episodes(sample_returns)
    assert (distinct, overlapping) == (2827, 48)
    assert await rows(store, "SELECT count(*) FROM episodes") == [(distinct - overlapping,)]
    children = {row["CHILD"] for of_year in read(sample_returns, "header").values() for row in of_year}
    assert await rows(store, "SELECT count(*) FROM looked_after_children") == [(len(children),)]
    reviews = {
        (row["CHILD"], row["REVIEW"])
        for year, of_year in read(sample_returns, "reviews").items()
        for row in of_year
        if day(row["REVIEW"]) <= date(year + 1, 3, 31)
    }
    assert await rows(store, "SELECT count(*) FROM looked_after_reviews") == [(len(reviews),)]
    assert await rows(store, "SELECT count(*) FROM missing_episodes") == [(7,)]
    assert await rows(store, "SELECT count(*) FROM dead_letters") == [(0,)]
    types = dict(await rows(store, "SELECT type, count(*) FROM journal GROUP BY type"))
    assert types["placement.started.v1"] == distinct - overlapping
    ended = await rows(store, "SELECT count(*) FROM episodes WHERE status = 'ended'")
    assert [(types["placement.ended.v1"],)] == ended
    assert await rows(store, "SELECT count(*) FROM deadlines") == [(0,)]

    before = await everything(store)
    async with placement_running(settings, store):
        again = await run_import(sample_returns, settings)

    assert again.handled
    assert (again.published, again.refusals) == (report.published, report.refusals)
    assert await everything(store) == before


async def test_nothing_personal_travels(sample_returns: Path, settings: Settings, store: Engine) -> None:
    """Neither the council's numbers of children nor birthdays, postcodes, pupil numbers or ethnicity."""
    async with placement_running(settings, store):
        await run_import(sample_returns, settings)

    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, auto_offset_reset="earliest")
    places = [TopicPartition(PARTNER.name, number) for number in range(PARTNER.partitions)]
    consumer.assign(places)
    ends = consumer.end_offsets(places)
    keys: set[str] = set()
    values: set[str] = set()
    while any(consumer.position(place) < ends[place] for place in places):
        for records in consumer.poll(timeout_ms=1000).values():
            for record in records:
                if ("ce_source", b"/partners/ssda903") in record.headers:
                    keys.update(json.loads(record.value))
                    values.update(map(str, json.loads(record.value).values()))
    consumer.close()
    assert keys == {
        "child_id", "return_year",
        "episode_id", "started_on", "reason_started", "legal_status", "need", "placement_type",
        "placement_provider", "ended_on", "reason_ended", "reason_place_change",
        "review_id", "reviewed_on", "review_code",
        "missing_id", "kind",
    }  # fmt: skip
    personal = {
        row[column]
        for part, columns in {"header": ("CHILD", "UPN"), "episodes": ("HOME_POST", "PL_POST")}.items()
        for of_year in read(sample_returns, part).values()
        for row in of_year
        for column in columns
    }
    assert len(personal) > 1000
    assert not values & personal


async def test_an_import_that_nobody_handles_says_so_and_waits_on_the_bus(
    tmp_path: Path, settings: Settings, store: Engine
) -> None:
    """The service may come later, and the import may be run again: there is one episode."""
    (tmp_path / "2026-episodes.csv").write_text(
        "CHILD,DECOM,RNE,LS,CIN,PLACE,PLACE_PROVIDER,DEC,REC\n1,02/05/2025,S,C2,N1,U6,PR4,,\n"
    )
    progress: list[tuple[int, int]] = []

    report = await run_import(tmp_path, settings, progress, wait_seconds=0.3)

    assert (report.handled, report.published, progress[-1]) == (False, 1, (0, 1))
    assert await rows(store, "SELECT count(*) FROM episodes") == [(0,)]
    async with placement_running(settings, store):
        again = await run_import(tmp_path, settings)
    assert again.handled
    assert await rows(store, "SELECT status, legal_status FROM episodes") == [("open", "C2")]
    assert await rows(store, "SELECT count(*) FROM inbox") == [(1,)]
