"""Real engines with the topics applied, services as their own processes, and data nobody here wrote."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from deploy.embedded.engines import Engines
from deploy.embedded.ports import free_port
from services.kernel.base.settings import Settings
from services.kernel.kafka.admin import Bus
from tests.flow.conftest import bench

__all__ = ["bench"]

ROOT = Path(__file__).parents[2]
SAMPLE_DATA = ROOT / "var" / "sample-data"
SAMPLE_PACKAGE = "cs-demand-model==0.5.1"


@pytest.fixture(scope="session")
def topics(engines: Engines) -> Engines:
    """The engines, with every topic created."""

    async def apply() -> None:
        async with Bus(Settings(kafka=engines.kafka)) as bus:
            await bus.apply()

    asyncio.run(apply())
    return engines


@contextmanager
def worker(engines: Engines, name: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a service's worker as its own process, as a council would."""
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli.main", "worker", name],
        cwd=ROOT,
        env={**os.environ, **engines.env(), **env},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def referral_service(topics: Engines) -> Iterator[subprocess.Popen[bytes]]:
    """A running referral worker."""
    with worker(topics, "referral") as process:
        yield process


def eventually(condition: Callable[[], bool], what: str, *, within: float = 60.0) -> None:
    """Wait until a condition holds; fail with `what` when it does not in time."""
    give_up = time.monotonic() + within
    while not condition():
        if time.monotonic() > give_up:
            pytest.fail(f"not within {within:.0f} s: {what}")
        time.sleep(0.05)


@pytest.fixture
def site(topics: Engines) -> Iterator[str]:
    """The referral service's API, as a process of its own."""
    port = free_port()
    env = {**os.environ, **topics.env(), "LEADLINE_PORT": str(port), "LEADLINE_LOG_LEVEL": "warning"}
    command = [sys.executable, "-m", "services.cli.main", "web", "referral"]
    process = subprocess.Popen(command, cwd=ROOT, env=env)
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{address}/health", timeout=5.0).is_success
        except httpx.TransportError:
            return False

    try:
        eventually(answers, "the site answers")
        yield address
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def sample_returns() -> Path:
    """Five years of a made-up council's statutory return, from a published package, fetched once.

    The same place and the same command as `make sample-data`; nothing of it is kept in the repository.
    """
    directory = SAMPLE_DATA / "cs_demand_model_samples" / "combined"
    if not directory.is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        subprocess.run([*command, str(SAMPLE_DATA), SAMPLE_PACKAGE], check=True, timeout=120)
    return directory
