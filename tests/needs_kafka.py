"""Tests that the fallback broker cannot serve are left out, and the end of the session says how many and why.

`@pytest.mark.needs_kafka` on a test, or `needs_kafka(engines)` in a fixture that a whole module shares. Both
look at the broker that has started. What it lacks: idempotent producers, a limit on the size of a message,
and ends of partitions that a second reader can rely on. `tests/conftest.py` takes this module in.
"""

from typing import Any

import pytest

from deploy.embedded.engines import Engines
from deploy.embedded.java import NEEDED

LEFT_OUT = "the fallback broker cannot serve it"


def needs_kafka(engines: Engines) -> None:
    """Skip the test that asks for this where the fallback broker serves."""
    if engines.kafka_is_fallback:
        pytest.skip(f"{LEFT_OUT}: {engines.kafka_name} ({engines.kafka_reason})")


@pytest.fixture(autouse=True)
def _needs_kafka(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("needs_kafka"):
        needs_kafka(request.getfixturevalue("engines"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many were left out, which, and what to do about it."""
    reports = terminalreporter.stats.get("skipped", [])
    left_out = [r for r in reports if isinstance(r.longrepr, tuple) and LEFT_OUT in r.longrepr[2]]
    if left_out:
        terminalreporter.write_line(
            f"{len(left_out)} tests were left out, because the fallback broker cannot serve them. "
            f"For Apache Kafka unset LEADLINE_BROKER; where it cannot be fetched, install Java {NEEDED} or "
            f"newer and Maven.",
            yellow=True,
        )
        for report in left_out:
            terminalreporter.write_line(f"  {report.nodeid}")
