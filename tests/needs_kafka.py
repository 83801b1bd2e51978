"""Tests that the fallback broker cannot serve are left out, and the end of the session says how many and why.

`@pytest.mark.needs_kafka` on a test, or `needs_kafka(engines)` in a fixture that a whole module shares. Both
look at what the broker that serves can do. `tests/conftest.py` takes this module in.
"""

from typing import Any

import pytest

from deploy.embedded.engines import Engines
from deploy.embedded.java import NEEDED

LEFT_OUT = "the broker has no idempotent producers"


def needs_kafka(engines: Engines) -> None:
    """Skip the test that asks for this unless idempotent producers work, as on every Apache Kafka."""
    if not engines.kafka_idempotent:
        pytest.skip(f"{LEFT_OUT}: {engines.kafka_name} ({engines.kafka_reason})")


@pytest.fixture(autouse=True)
def _needs_kafka(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("needs_kafka"):
        needs_kafka(request.getfixturevalue("engines"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many were left out, and what to do about it."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = [report.longrepr[2] for report in reports if isinstance(report.longrepr, tuple)]
    left_out = [reason for reason in reasons if LEFT_OUT in reason]
    if left_out:
        terminalreporter.write_line(
            f"{len(left_out)} tests were left out, for the broker that served has no idempotent producers. "
            f"For Apache Kafka unset LEADLINE_BROKER; where it cannot be fetched, install Java {NEEDED} or "
            f"newer and Maven. `pytest -rs` names the tests.",
            yellow=True,
        )
